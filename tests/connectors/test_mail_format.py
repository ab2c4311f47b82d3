"""From a notification to the bytes of a mail."""

import email
import email.policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.connectors.mail_address import parse_address
from streams.connectors.mail_format import Writer, compose, message_id_of
from tests.connectors.notifications import IDENTITY, incident, left_out, network, notification, policy, sender

SENDER = parse_address("loginwatch@bücher.example")
SOC = parse_address("soc@example.org")
HEADERS = {
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
    "From",
    "To",
    "Date",
}


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_headers_name_one_recipient_and_silence_automatic_answers() -> None:
    """From, To, Date of the notification, and what RFC 3834 and Exchange ask for."""
    message = parsed(compose(notification(), SOC, Writer(SENDER)).content)

    assert set(message.keys()) == HEADERS
    assert message["From"] == "loginwatch <loginwatch@xn--bcher-kva.example>"
    assert message["To"] == "soc@example.org"
    assert message["Date"].datetime.isoformat() == "2023-11-14T22:13:21+00:00"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Subject"] == "Account user@example.org blocked: logins from 3 networks within 60 minutes"
    assert not message.defects


def test_text_and_html_carry_the_same_evidence() -> None:
    """Whoever reads only one of them misses nothing."""
    details = incident(foreign_messages_24h=20, foreign_senders=[sender("boss@example.com")])
    message = parsed(compose(notification(details=details), SOC, Writer(SENDER, help_text="+49 30 1234")).content)

    page = Page(text_of(message, "html")).text
    for body in (text_of(message, "plain"), page):
        for evidence in (
            "user@example.org",
            "3 networks > 2 allowed in 60 minutes",
            "yes, until Tue, 14 Nov 2023 22:43:20 UTC",
            "203.0.113.5",
            "São Paulo, Brazil",
            "Rede <Exemplo>",
            "Tue, 14 Nov 2023 21:53:20 UTC",
            "2001:db8:1:2::99",
            "512",
            "Head office",
            "20 of them with foreign senders",
            "boss@example.com (an address of another domain): 17 messages",
            "and 3 messages with other foreign senders",
            "Ask the owner of the account, by telephone",
            "+49 30 1234",
        ):
            assert evidence in body


def test_german_mails_are_german_throughout() -> None:
    """Subject, text and page, with umlauts intact."""
    message = parsed(compose(notification(), SOC, Writer(SENDER, "de")).content)

    assert message["Content-Language"] == "de"
    assert message["Subject"].startswith("Konto user@example.org gesperrt")
    assert "Nicht gezählt, weil sicher" in text_of(message, "plain")
    assert '<html lang="de"' in text_of(message, "html")
    assert "network" not in text_of(message, "plain").lower()


def test_the_account_itself_gets_a_mail_in_other_words() -> None:
    """The owner is told what to do, not what an administrator could do."""
    own = parsed(compose(notification(), parse_address("User@example.org"), Writer(SENDER)).content)

    assert own["Subject"] == "Your account user@example.org was blocked: logins from 3 networks within 60 minutes"
    assert "change your password at once" in text_of(own, "plain")
    assert "loginwatch account" not in text_of(own, "plain")


def test_a_repeated_mail_is_the_same_bytes() -> None:
    """Nothing in it comes from a clock or from chance."""
    assert compose(notification(), SOC, Writer(SENDER)) == compose(notification(), SOC, Writer(SENDER))


def test_the_message_id_derives_from_notification_and_recipient() -> None:
    """Written down here, because a changed one would make every repetition a new mail."""
    other = parse_address("other@example.org")

    assert message_id_of(IDENTITY, SOC, SENDER) == "<2ad4f5b0-7974-53cc-bb84-8d2bd64fda3b@xn--bcher-kva.example>"
    assert message_id_of(IDENTITY, SOC, SENDER) != message_id_of(IDENTITY, other, SENDER)
    assert message_id_of("another", SOC, SENDER) != message_id_of(IDENTITY, SOC, SENDER)
    assert parsed(compose(notification(), SOC, Writer(SENDER)).content)["Message-ID"] == message_id_of(
        IDENTITY, SOC, SENDER
    )


def test_only_an_address_outside_ascii_makes_the_mail_utf8() -> None:
    """Everything else goes through every server, 7-bit."""
    plain_mail = compose(notification(), parse_address("soc@bücher.example"), Writer(SENDER, "de"))
    mail = compose(notification(), parse_address("jürgen@example.org"), Writer(SENDER, "de"))

    assert not plain_mail.utf8
    assert plain_mail.content.isascii()
    assert mail.utf8
    assert "To: jürgen@example.org".encode() in mail.content


def test_an_encoded_word_in_an_account_name_is_not_decoded_into_headers() -> None:
    """Python's email package would decode it, find a line end, and begin another header."""
    name = "=?utf-8?q?x=0D=0ABcc:_thief=40example.net?=@example.org"

    message = parsed(compose(notification(account=name), SOC, Writer(SENDER)).content)

    assert set(message.keys()) == HEADERS
    assert "= ?utf-8?q?x=0D=0ABcc" in message["Subject"]


def hostile() -> st.SearchStrategy[str]:
    """Text with everything that could break out of its place."""
    tricks = st.sampled_from(
        [
            "\r\nBcc: thief@example.net\r\n",
            "\n\n<script>alert(1)</script>",
            "\u202e\u200b\u2028\u0085",
            '"><img src=x onerror=alert(1)>',
            "{{ letter }}{% raw %}",
            "{account}{0}%s",
            "=?utf-8?q?=0D=0ABcc:_x?=",
            "\n.\r\n",
            "--=_2ad4f5b0-7974-53cc-bb84-8d2bd64fda3b--",
            "x" * 3000,
            "\0\x1b[2J",
            "ü" * 500,
        ]
    )
    return st.lists(st.one_of(tricks, st.text(max_size=30)), min_size=1, max_size=4).map("".join)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(hostile(), min_size=9, max_size=9), language=st.sampled_from(["en", "de"]))
def test_no_text_from_outside_gets_into_the_headers_or_the_markup(texts: list[str], language: str) -> None:
    """Whatever account, city, owner, scope, description, country, service, sender or id say, the form of the mail is the same."""
    account, city, owner, scope, description, country, cidr, address, identity = texts
    told = notification(
        id=identity,
        incident=identity,
        account=account,
        details=incident(
            account=account,
            summary=description,
            networks=[network(cidr, city=city, owner=owner, country=country, address=cidr, service=city)],
            countries=[{"country": country, "logins": 1}],
            left_out=[left_out(cidr, scope=scope, description=description, country=country, safe_network=cidr)],
            policy=policy(origins={"allowed_ips": scope}),
            foreign_messages_24h=20,
            foreign_senders=[sender(address)],
        ),
    )

    mail = compose(told, SOC, Writer(SENDER, language, description[:500]))

    message = parsed(mail.content)
    assert set(message.keys()) == HEADERS
    assert message["To"] == "soc@example.org"
    assert not message.defects
    assert not any(message[name].defects for name in ("To", "From", "Date"))
    assert mail.content.isascii()
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    harmless = parsed(compose(one_network(), SOC, Writer(SENDER, language, "x")).content)
    reference = Page(text_of(harmless, "html"))
    page = Page(text_of(message, "html"))
    assert set(page.tags) <= set(reference.tags)
    assert page.attributes == reference.attributes
    lines = text_of(message, "plain").splitlines()
    assert len(lines) <= len(text_of(harmless, "plain").splitlines())
    assert not [char for line in lines for char in line if char in "\u202e\u200b\0\x1b"]


def one_network() -> dict[str, Any]:
    sent = {"foreign_messages_24h": 20, "foreign_senders": [sender("boss@example.com")]}
    return notification(details=incident(networks=[network("2001:db8::/64", address="2001:db8::1")], **sent))
