"""What in an incident speaks for which reason."""

import pytest

from streams.panel.pages.signals import signals
from streams.panel.words import words_of
from tests.panel.pages.records import DAY_MS, NOW_MS, incident, network, taken_over, travelling

HOUR_MS = 3_600_000


def verdicts(record: dict[str, object]) -> list[str]:
    return [signal.verdict for signal in signals(record)]


def test_a_takeover_speaks_for_itself() -> None:
    """Foreign senders, many messages, SMTP from abroad, and the home network in use all the while."""
    assert set(verdicts(taken_over())) == {"compromised"}
    assert len(verdicts(taken_over())) == 4


def test_a_home_network_that_fell_silent_speaks_for_a_journey() -> None:
    """Nothing speaks for a thief."""
    assert verdicts(travelling()) == ["travelling"]


def test_new_networks_of_one_owner_abroad_speak_for_a_service_and_at_home_for_a_telephone() -> None:
    """A mail service fetches from one company's networks; a telephone stays with its provider in its country."""
    home = network("192.0.2.1/32", "DE", None, NOW_MS - 90 * DAY_MS, NOW_MS - 3 * HOUR_MS, days=50)

    def new(country: str) -> list[dict[str, object]]:
        return [network(f"198.51.100.{n}/32", country, None, NOW_MS, NOW_MS, owner="One Company") for n in range(3)]

    assert "third_party" in verdicts(incident("1", "a@example.org", NOW_MS, [home, *new("US")]))
    assert set(verdicts(incident("1", "a@example.org", NOW_MS, [home, *new("DE")]))) == {"mobile"}


def test_nothing_is_said_where_nothing_is_known() -> None:
    """No place, no owner, one login each: no observation, and no failure."""
    unknown = [network(f"192.0.2.{n}/32", None, None, NOW_MS, NOW_MS, owner=None) for n in range(4)]

    assert signals(incident("1", "a@example.org", NOW_MS, unknown)) == []
    assert signals(incident("1", "a@example.org", NOW_MS, [])) == []


@pytest.mark.parametrize(
    ("language", "messages", "sentence"),
    [
        ("en", 1, "1 message was sent with a sender address (MAIL FROM) that is"),
        ("en", 2, "2 messages were sent with sender addresses (MAIL FROM) that are"),
        ("de", 1, "1 Nachricht wurde mit einer Absenderadresse (MAIL FROM) gesendet"),
        ("de", 2, "2 Nachrichten wurden mit Absenderadressen (MAIL FROM) gesendet"),
    ],
)
def test_one_message_is_said_as_one(language: str, messages: int, sentence: str) -> None:
    """Under someone else's address, one is what an incident begins with."""
    first = signals(taken_over(foreign_messages_24h=messages))[0]

    assert first.sentence(words_of(language)).startswith(sentence)


def test_records_from_before_senders_were_kept_are_read_too() -> None:
    """An old incident has no foreign senders; that is no sign of anything."""
    old = {name: value for name, value in taken_over(messages_24h=3).items() if not name.startswith("foreign")}

    assert all("MAIL FROM" not in signal.text for signal in signals(old))
