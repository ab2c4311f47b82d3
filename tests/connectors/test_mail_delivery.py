"""One mail to a real SMTP server, with everything that can go wrong on the way."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from streams.connectors.mail_address import parse_address
from streams.connectors.mail_delivery import Outcome, SmtpServer, check_protection
from streams.connectors.mail_format import Mail, Writer, compose
from streams.errors import ConfigurationError
from streams.settings import Settings
from tests.connectors.notifications import notification
from tests.connectors.smtp_servers import (
    Certificates,
    Inbox,
    Users,
    bytes_of,
    hang_up,
    make_certificates,
    say_nothing,
    smtp_server,
)
from tests.ports import free_port


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def settings(port: int, **values: Any) -> Settings:
    return Settings(smtp_port=port, mail_from="loginwatch@example.org", **{"smtp_tls": "none", **values})


def mail(to: str = "soc@example.org") -> Mail:
    return compose(notification(), parse_address(to), Writer(parse_address("loginwatch@example.org"), "de"))


async def test_a_mail_arrives_as_it_was_written() -> None:
    """Byte for byte, from mail_from, to its one recipient."""
    inbox = Inbox()
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        delivery = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.SENT
    assert [(sent.mail_from, sent.rcpt_tos) for sent in inbox.delivered] == [
        ("loginwatch@example.org", ["soc@example.org"])
    ]
    assert bytes_of(inbox.delivered[0]) == mail().content


async def test_several_mails_share_a_connection() -> None:
    """Also when one between them is refused."""
    inbox = Inbox(rcpt={"bad@example.org": ["550 5.1.1 no such user"]})
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        outcomes = [
            (await server.send(mail(to))).outcome for to in ("a@example.org", "bad@example.org", "b@example.org")
        ]

        await server.close()
    assert outcomes == [Outcome.SENT, Outcome.NEVER, Outcome.SENT]
    assert len(inbox.sessions) == 1


async def test_starttls_and_authentication(certificates: Certificates) -> None:
    """The password travels only after TLS, and the certificate is checked against the CA of the settings."""
    inbox = Inbox()
    options = {"tls_context": certificates.server, "require_starttls": True, "authenticator": Users()}
    with smtp_server(inbox, auth_required=True, **options) as port:
        server = SmtpServer(
            settings(
                port,
                smtp_tls="starttls",
                smtp_ca_file=certificates.ca_file,
                smtp_username="mailer",
                smtp_password="secret",
            )
        )

        delivery = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.SENT
    assert inbox.sessions[-1].ssl is not None
    assert inbox.sessions[-1].authenticated


async def test_a_wrong_password_is_the_servers_failure_not_the_mails(certificates: Certificates) -> None:
    """A mail must not be lost because of a password, and the reply is for the operator."""
    options = {"tls_context": certificates.server, "require_starttls": True, "authenticator": Users()}
    with smtp_server(Inbox(), auth_required=True, **options) as port:
        server = SmtpServer(
            settings(
                port,
                smtp_tls="starttls",
                smtp_ca_file=certificates.ca_file,
                smtp_username="mailer",
                smtp_password="wrong-secret",
            )
        )

        delivery = await server.send(mail())

    assert delivery.outcome is Outcome.NO_SERVER
    assert delivery.reply.startswith("535")
    assert "wrong-secret" not in delivery.reply


async def test_tls_from_the_start(certificates: Certificates) -> None:
    """As on port 465."""
    inbox = Inbox()
    with smtp_server(inbox, tls=certificates.server) as port:
        server = SmtpServer(settings(port, smtp_tls="tls", smtp_ca_file=certificates.ca_file))

        delivery = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.SENT
    assert len(inbox.delivered) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_unknown_ca_or_another_name_is_not_trusted(certificates: Certificates, tls: str) -> None:
    """Verification is never off: the mail waits."""
    for context, ca_file in ((certificates.server, ""), (certificates.other_name, certificates.ca_file)):
        inbox = Inbox()
        options: dict[str, Any] = {"tls": context} if tls == "tls" else {"tls_context": context}
        with smtp_server(inbox, **options) as port:
            delivery = await SmtpServer(settings(port, smtp_tls=tls, smtp_ca_file=ca_file)).send(mail())

        assert delivery.outcome is Outcome.NO_SERVER
        assert "certificate" in delivery.reply.lower()
        assert inbox.delivered == []


async def test_starttls_is_required_where_it_is_set() -> None:
    """Somebody between who hides STARTTLS gets nothing to read."""
    inbox = Inbox()
    with smtp_server(inbox) as port:
        delivery = await SmtpServer(settings(port, smtp_tls="starttls")).send(mail())

    assert delivery.outcome is Outcome.NO_SERVER
    assert "STARTTLS" in delivery.reply
    assert inbox.delivered == []


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("450 4.2.0 greylisted", Outcome.LATER),
        ("452 4.2.2 mailbox full", Outcome.LATER),
        ("421 4.3.2 going down", Outcome.LATER),
        ("550 5.1.1 no such user", Outcome.NEVER),
        ("552 5.2.2 mailbox full", Outcome.NEVER),
    ],
)
async def test_the_servers_answer_to_a_recipient_decides(reply: str, outcome: Outcome) -> None:
    """4xx is for now, 5xx for good, and the words are kept; the next mail goes through."""
    inbox = Inbox(rcpt={"soc@example.org": [reply]})
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        delivery = await server.send(mail())
        again = await server.send(mail())

        await server.close()
    assert (delivery.outcome, delivery.reply) == (outcome, reply)
    assert again.outcome is Outcome.SENT


@pytest.mark.parametrize(
    ("reply", "outcome"), [("451 4.3.0 try again", Outcome.LATER), ("554 5.7.1 looks like spam", Outcome.NEVER)]
)
async def test_the_servers_answer_to_the_content_decides(reply: str, outcome: Outcome) -> None:
    """After DATA as after RCPT."""
    with smtp_server(Inbox(data=[reply])) as port:
        server = SmtpServer(settings(port))

        delivery = await server.send(mail())

        await server.close()
    assert (delivery.outcome, delivery.reply) == (outcome, reply)


@pytest.mark.parametrize("reply", ["450 4.7.1 slow down", "553 5.7.1 not your address"])
async def test_a_refused_sender_is_our_trouble_not_the_recipients(reply: str) -> None:
    """Every mail would meet the same answer: all wait, none is lost."""
    with smtp_server(Inbox(mail=[reply])) as port:
        server = SmtpServer(settings(port))

        delivery = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.NO_SERVER
    assert delivery.reply == f"the sender address is refused: {reply}"


async def test_a_connection_lost_amid_the_content_is_that_mails_failure() -> None:
    """A mail that kills the server's process must not hold the others; the next one gets a new connection."""
    inbox = Inbox(data=[hang_up])
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        delivery = await server.send(mail())
        again = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.LATER
    assert again.outcome is Outcome.SENT
    assert len(inbox.sessions) == 2


async def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_failure() -> None:
    """Servers end idle sessions; that is nobody's fault."""
    inbox = Inbox(mail=[None, hang_up, None, "421 4.4.2 idle too long"])
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        outcomes = [(await server.send(mail())).outcome for _ in range(3)]

        await server.close()
    assert outcomes == [Outcome.SENT] * 3
    assert len(inbox.sessions) == 3


async def test_a_server_that_hangs_up_at_once_every_time_is_failing() -> None:
    """There is no third connection in a row."""
    inbox = Inbox(mail=[hang_up, hang_up])
    with smtp_server(inbox) as port:
        delivery = await SmtpServer(settings(port)).send(mail())

    assert delivery.outcome is Outcome.NO_SERVER
    assert len(inbox.sessions) == 1


async def test_a_slow_server_is_not_waited_for_longer_than_the_setting() -> None:
    """The mail is tried again later, on another connection."""
    inbox = Inbox(data=[say_nothing])
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port, smtp_timeout=1))

        delivery = await server.send(mail())
        again = await server.send(mail())

        await server.close()
    assert delivery.outcome is Outcome.LATER
    assert again.outcome is Outcome.SENT


async def test_nobody_listening_is_the_servers_failure() -> None:
    """With the address in the words."""
    delivery = await SmtpServer(settings(free_port())).send(mail())

    assert delivery.outcome is Outcome.NO_SERVER
    assert "127.0.0.1" in delivery.reply


async def test_a_listener_that_speaks_something_else_is_the_servers_failure() -> None:
    """A wrong port in the settings."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n\xff\xfe")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        delivery = await SmtpServer(settings(listener.sockets[0].getsockname()[1])).send(mail())

    assert delivery.outcome is Outcome.NO_SERVER


async def test_an_address_outside_ascii_needs_smtputf8() -> None:
    """With it the address arrives as it is; without it the mail can never be sent by this server."""
    inbox, plain_inbox = Inbox(), Inbox()
    with smtp_server(inbox, enable_SMTPUTF8=True) as port, smtp_server(plain_inbox, enable_SMTPUTF8=False) as other:
        knows, knows_not = SmtpServer(settings(port)), SmtpServer(settings(other))

        sent, refused = await knows.send(mail("jürgen@example.org")), await knows_not.send(mail("jürgen@example.org"))

        await knows.close()
        await knows_not.close()
    assert sent.outcome is Outcome.SENT
    assert inbox.recipients() == ["jürgen@example.org"]
    assert "SMTPUTF8" in inbox.options[0]
    assert refused.outcome is Outcome.NEVER
    assert "SMTPUTF8" in refused.reply


async def test_a_probe_opens_a_session_without_a_mail() -> None:
    """Misconfiguration shows at the start, not at the first incident."""
    inbox = Inbox()
    with smtp_server(inbox) as port:
        server = SmtpServer(settings(port))

        probed = await server.probe()

        await server.close()
    refused = await SmtpServer(settings(free_port())).probe()

    assert probed.outcome is Outcome.SENT
    assert inbox.delivered == []
    assert refused.outcome is Outcome.NO_SERVER


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_without_tls_only_the_same_machine(host: str) -> None:
    """Loopback needs no encryption."""
    check_protection(Settings(smtp_host=host, smtp_tls="none"))


@pytest.mark.parametrize("host", ["192.0.2.1", "mail.example.org", "127.0.0.1.example.org", "::", "0.0.0.0"])
def test_without_tls_another_machine_is_refused_unless_allowed(host: str) -> None:
    """The sentence names the settings that help."""
    with pytest.raises(ConfigurationError, match="smtp_allow_plaintext"):
        check_protection(Settings(smtp_host=host, smtp_tls="none"))

    check_protection(Settings(smtp_host=host, smtp_tls="none", smtp_allow_plaintext=True))
    check_protection(Settings(smtp_host=host, smtp_tls="starttls"))


def test_an_unusable_ca_file_is_said_at_start(tmp_path: Path) -> None:
    """Missing, or no certificate."""
    (tmp_path / "no.pem").write_text("nothing")
    for name in ("missing.pem", "no.pem"):
        with pytest.raises(ConfigurationError, match="smtp_ca_file"):
            SmtpServer(settings(25, smtp_tls="tls", smtp_ca_file=str(tmp_path / name)))


def test_old_tls_is_not_spoken(certificates: Certificates) -> None:
    """1.2 is the least."""
    server = SmtpServer(settings(25, smtp_tls="tls", smtp_ca_file=certificates.ca_file))

    assert server._tls is not None
    assert server._tls.minimum_version == ssl.TLSVersion.TLSv1_2
    assert server._tls.verify_mode == ssl.CERT_REQUIRED
    assert server._tls.check_hostname
