"""What a notification says in words."""

from dataclasses import fields
from string import Formatter

import pytest

from streams.connectors.mail_letter import LISTED, LISTED_SENDERS, country_in_words, time_in_words, write
from streams.connectors.mail_words import ENGLISH, GERMAN, LANGUAGES, Words
from tests.connectors.notifications import (
    MINUTE_MS,
    OPENED,
    incident,
    left_out,
    network,
    notification,
    policy,
    sender,
)

BOTH = pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))


def test_the_subject_says_which_account_what_happened_and_why() -> None:
    """Readable in a list of mails, without opening one."""
    letter = write(notification(), ENGLISH, own=False)

    assert letter.subject == "Account user@example.org blocked: logins from 3 networks within 60 minutes"


def test_a_report_is_not_called_a_block() -> None:
    """The word blocked appears only when it is true."""
    told = notification(kind="reported", details=incident(blocked_until=None, rule="countries", count=2, limit=1))

    letter = write(told, ENGLISH, own=False)

    assert letter.subject == "Account user@example.org: logins from 2 countries within 60 minutes"
    assert ("Blocked", "no, the policy only reports") in letter.facts
    assert letter.steps == ENGLISH.steps_reported


def test_the_facts_answer_which_when_why_how_long_and_how_much() -> None:
    """Account, time in UTC, count against limit with its origin, end of the block, messages, countries."""
    letter = write(notification(), ENGLISH, own=False)

    assert letter.facts == (
        ("Account", "user@example.org"),
        ("Detected", "Tue, 14 Nov 2023 22:13:20 UTC"),
        ("Rule", "3 networks > 2 allowed in 60 minutes (limit set for domain:example.org)"),
        ("Blocked", "yes, until Tue, 14 Nov 2023 22:43:20 UTC"),
        ("Messages sent in the last 24 hours", "512"),
        ("Logins by country", "Germany 12, unknown country 12, Brazil 1"),
    )


def test_the_same_facts_in_german() -> None:
    """Country names, dates and numbers follow the language."""
    letter = write(notification(), GERMAN, own=False)

    assert letter.subject == "Konto user@example.org gesperrt: Anmeldungen aus 3 Netzen innerhalb von 60 Minuten"
    assert ("Regel", "Anmeldungen aus 3 Netzen > 2 erlaubt in 60 Minuten (Grenze gesetzt für domain:example.org)") in (
        letter.facts
    )
    assert ("Gesperrt", "ja, bis Di., 14. Nov. 2023 22:43:20 UTC") in letter.facts
    assert ("Anmeldungen nach Land", "Deutschland 12, unbekanntes Land 12, Brasilien 1") in letter.facts


def test_every_network_has_place_owner_service_use_and_times() -> None:
    """The evidence, in the order of the first login."""
    letter = write(notification(), ENGLISH, own=False)

    assert [entry.network for entry in letter.networks] == ["192.0.2.10", "2001:db8:1:2::/64", "203.0.113.5"]
    thief = letter.networks[2]
    assert (thief.place, thief.owner, thief.service, thief.use, thief.address) == (
        "São Paulo, Brazil",
        "Rede <Exemplo>",
        "SMTP",
        "1 login on 1 day",
        "",
    )
    assert (thief.first, thief.last) == ("Tue, 14 Nov 2023 22:13:20 UTC", "Tue, 14 Nov 2023 22:13:20 UTC")
    unknown = letter.networks[1]
    assert (unknown.place, unknown.owner, unknown.address) == ("unknown country", "", "2001:db8:1:2::99")


def test_what_a_safe_network_left_out_is_said_with_its_description() -> None:
    """So that a too large safe network is noticed."""
    letter = write(notification(), ENGLISH, own=False)

    assert letter.left_out == (
        "192.0.2.200 (Germany), 4 logins: inside safe network 192.0.2.0/24 of domain:example.org: Head office",
    )


def test_foreign_senders_are_told_with_number_and_times() -> None:
    """How many of the messages, and as whom; what is no address is said to be none."""
    senders = [
        sender("boss@example.com"),
        sender("alias@example.org", relation="domain", messages=1, last=OPENED - 30 * MINUTE_MS),
        sender("nobody", relation="malformed"),
    ]
    details = incident(foreign_messages_24h=40, foreign_senders=senders)

    for own in (False, True):
        letter = write(notification(details=details), ENGLISH, own=own)

        assert dict(letter.facts)["Messages sent in the last 24 hours"] == "512, 40 of them with foreign senders"
        assert letter.senders == (
            (
                "boss@example.com (an address of another domain): 17 messages, "
                "from Tue, 14 Nov 2023 21:43:20 UTC to Tue, 14 Nov 2023 22:12:20 UTC"
            ),
            (
                "alias@example.org (another address of the domain): 1 message, "
                "from Tue, 14 Nov 2023 21:43:20 UTC to Tue, 14 Nov 2023 21:43:20 UTC"
            ),
            "nobody (no address): 17 messages, from Tue, 14 Nov 2023 21:43:20 UTC to Tue, 14 Nov 2023 22:12:20 UTC",
        )
        assert letter.senders_more == "and 5 messages with other foreign senders"


def test_foreign_senders_in_german() -> None:
    """As the rest of the mail."""
    details = incident(foreign_messages_24h=1, foreign_senders=[sender("chef@example.com", messages=1)])

    letter = write(notification(details=details), GERMAN, own=False)

    assert dict(letter.facts)["Gesendete Nachrichten in den letzten 24 Stunden"] == "512, davon 1 mit fremdem Absender"
    assert letter.senders[0].startswith(
        "chef@example.com (Adresse einer anderen Domain): 1 Nachricht, von Di., 14. Nov"
    )
    assert letter.senders_more == ""


@BOTH
def test_long_lists_are_cut_to_the_latest_and_say_how_many_more(words: Words) -> None:
    """A mail stays readable whatever an attacker does."""
    many = [network(f"10.0.0.{n}/32", last=OPENED - n * MINUTE_MS, first=OPENED - 3600_000 - n) for n in range(64)]
    safe = [left_out(f"192.0.2.{n}/32") for n in range(25)]
    sent = {"foreign_messages_24h": 1000, "foreign_senders": [sender(f"{n}@example.com") for n in range(16)]}

    letter = write(notification(details=incident(networks=many, left_out=safe, **sent)), words, own=False)

    assert [entry.network for entry in letter.networks] == [f"10.0.0.{n}" for n in reversed(range(LISTED))]
    assert letter.networks_more == words.more.format(number=44)
    assert len(letter.left_out) == LISTED
    assert letter.left_out_more == words.more.format(number=5)
    assert len(letter.senders) == LISTED_SENDERS
    assert "830" in letter.senders_more


@BOTH
def test_the_owner_is_addressed_and_told_nothing_of_the_provider(words: Words) -> None:
    """Other subject, other steps, and no safe network, scope or ignored country."""
    details = incident(ignored_logins=7, policy=policy(familiar_days=3))

    letter = write(notification(details=details), words, own=True)

    assert letter.subject == words.subject_blocked_own.format(
        account="user@example.org", count=f"3 {words.networks[1]}", window=f"60 {words.minutes[1]}"
    )
    assert letter.steps == words.steps_own
    assert letter.left_out == ()
    shown = repr(letter)
    assert "domain:example.org" not in shown
    assert "Head office" not in shown
    assert words.ignored not in dict(letter.facts)


@BOTH
def test_administrators_see_ignored_logins_and_what_stays_open(words: Words) -> None:
    """Both explain what the networks alone do not."""
    letter = write(notification(details=incident(ignored_logins=7, policy=policy(familiar_days=3))), words, own=False)

    facts = dict(letter.facts)
    assert facts[words.ignored] == "7"
    assert facts[words.familiar] == words.familiar_sentence.format(days=f"3 {words.days[1]}")


def test_the_help_line_is_there_only_when_the_setting_is() -> None:
    """Nobody reads an empty label."""
    assert write(notification(), ENGLISH, own=False, help_text="+49 30 1234").help == "Questions: +49 30 1234"
    assert write(notification(), ENGLISH, own=False, help_text="  ").help == ""


@pytest.mark.parametrize(
    ("code", "name"), [("de", "Germany"), ("BR", "Brazil"), ("Q?", "Q?"), (None, "unknown country")]
)
def test_countries_without_a_name_are_shown_by_their_code(code: str | None, name: str) -> None:
    """What the geo database says is not always in the list of names."""
    assert country_in_words(code, ENGLISH) == name


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "Thu, 1 Jan 1970 00:00:00 UTC"),
        (4_102_444_799_999, "Thu, 31 Dec 2099 23:59:59 UTC"),
        (-1_000, "Wed, 31 Dec 1969 23:59:59 UTC"),
        (2**62, "unknown time"),
        (-(2**62), "unknown time"),
    ],
)
def test_any_time_can_be_written(time_ms: int, text: str) -> None:
    """A record from 1970, 2100 or nowhere costs no mail."""
    assert time_in_words(time_ms, ENGLISH) == text


def test_all_languages_have_the_same_placeholders_and_steps() -> None:
    """A translation that forgot one would raise when its mail is due."""
    for field in fields(Words):
        english, german = getattr(ENGLISH, field.name), getattr(GERMAN, field.name)
        assert bool(english) == bool(german), field.name
        if isinstance(english, str):
            assert placeholders(english) == placeholders(german), field.name
        else:
            assert len(english) == len(german), field.name


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
