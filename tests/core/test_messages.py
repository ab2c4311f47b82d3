"""What is kept of the messages an account sent."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.messages import MOST_IDS, MOST_SENDERS, Messages, from_tail, to_tail
from streams.core.values import QUARTER_MS

USER = "user@example.org"
DAY_MS = 86_400_000
NOW = 1_767_600_000_000
"""The beginning of a quarter hour."""


def sent(sender: str = USER, *, time: int = NOW, id_: str | None = None, queue_id: str | None = None) -> dict[str, Any]:
    return {"time": time, "sender": sender, "id": id_, "queue_id": queue_id}


def through_the_tail(messages: Messages) -> Messages:
    tail: dict[str, Any] = {"g": 1}
    to_tail(messages, tail)
    assert tail.pop("g") == 1
    return from_tail(orjson.loads(orjson.dumps(tail)))


def test_a_message_with_the_accounts_own_address_leaves_only_its_number():
    """In any spelling, with a tag, and without a sender."""
    messages = Messages()
    for sender in (USER, "User+Shop@Example.org", "", "<>"):
        messages.count(sent(sender), USER, NOW)

    assert (messages.in_24h(NOW), messages.foreign_24h(NOW), messages.senders_24h(NOW)) == (4, 0, [])


def test_foreign_senders_are_kept_with_number_and_times():
    """The one with the most messages first; spellings of an address are one."""
    messages = Messages()
    for minute, sender in enumerate(("Boss@Example.com", "alias@example.org", "boss@example.com", "no address")):
        messages.count(sent(sender, time=NOW + minute * 60_000), USER, NOW + minute * 60_000)

    assert messages.foreign_24h(NOW) == 4
    boss, malformed, alias = messages.senders_24h(NOW)
    assert boss == {
        "sender": "boss@example.com", "relation": "foreign", "messages": 2, "first": NOW, "last": NOW + 120_000,
    }  # fmt: skip
    assert (malformed["sender"], malformed["relation"]) == ("no address", "malformed")
    assert (alias["sender"], alias["relation"]) == ("alias@example.org", "domain")


def test_a_message_told_late_may_be_the_first():
    """Logs of two servers are not read in the order of time."""
    messages = Messages()
    for minute in (20, 0, 30, 10):
        messages.count(sent("boss@example.com", time=NOW + minute * 60_000), USER, NOW + 1_800_000)

    [sender] = messages.senders_24h(NOW + 1_800_000)
    assert (sender["messages"], sender["first"], sender["last"]) == (4, NOW, NOW + 1_800_000)


def test_a_sender_not_used_for_24_hours_is_forgotten_and_one_in_use_keeps_its_first():
    """Its number is that of the 24 hours, whatever came before."""
    messages = Messages()
    for hour in range(0, 49, 12):
        now = NOW + hour * 3_600_000
        messages.count(sent("daily@example.com", time=now), USER, now)
    messages.count(sent("once@example.com", time=NOW + DAY_MS), USER, NOW + 2 * DAY_MS)

    [sender] = messages.senders_24h(NOW + 2 * DAY_MS)
    assert (sender["sender"], sender["messages"], sender["first"]) == ("daily@example.com", 2, NOW)
    assert messages.in_24h(NOW + 2 * DAY_MS) == messages.foreign_24h(NOW + 2 * DAY_MS) == 2
    assert messages.senders_24h(NOW + 4 * DAY_MS) == []

    messages.count(sent(time=NOW + 4 * DAY_MS), USER, NOW + 4 * DAY_MS)
    assert messages.senders == {}


def test_many_single_senders_do_not_hide_the_one_that_is_used():
    """The list stays short, the newest is in it, and no message is lost from the number."""
    messages = Messages()
    for number in range(100):
        messages.count(sent(f"bounce-{number}@list.example", time=NOW + number), USER, NOW + number)
        messages.count(sent("boss@example.com", time=NOW + number), USER, NOW + number)
        messages = through_the_tail(messages)

    listed = messages.senders_24h(NOW + 99)
    assert len(listed) == MOST_SENDERS
    assert (listed[0]["sender"], listed[0]["messages"], listed[0]["first"]) == ("boss@example.com", 100, NOW)
    assert "bounce-99@list.example" in [sender["sender"] for sender in listed]
    assert messages.foreign_24h(NOW + 99) == messages.in_24h(NOW + 99) == 200


@pytest.mark.parametrize("name", ["id_", "queue_id"])
def test_the_same_message_told_again_counts_once(name: str):
    """By its queue id or its id; other ids are other messages."""
    messages = Messages()

    told = [messages.count(sent("boss@example.com", **{name: one}), USER, NOW) for one in ("a", "b", "a", "a", "b")]

    assert told == [True, True, False, False, False]
    assert messages.in_24h(NOW) == messages.foreign_24h(NOW) == 2


def test_two_doors_that_tell_of_one_message_are_recognised_by_its_queue_id():
    """Postfix's door and the log reader name it differently, and may see it on two sides of a quarter hour."""
    messages = Messages()
    messages.count(sent(time=NOW - 1, id_="192.0.2.25/7d76.1", queue_id="4E88A2300001"), USER, NOW)

    assert not messages.count(sent(time=NOW, id_="8c1f0d9e", queue_id="4E88A2300001"), USER, NOW)
    assert messages.count(sent(time=NOW + QUARTER_MS, queue_id="4E88A2300001"), USER, NOW + QUARTER_MS)


def test_messages_without_any_id_all_count():
    """Nothing tells a repetition of theirs from another message."""
    messages = Messages()

    assert [messages.count(sent(id_=""), USER, NOW) for _ in range(3)] == [True, True, True]
    assert messages.codes == {}


def test_the_last_256_ids_are_remembered():
    """A repetition of what lies further back counts again: memory is bounded, for who sends without end."""
    messages = Messages()
    for number in range(MOST_IDS + 10):
        time = NOW + number * QUARTER_MS // 100
        assert messages.count(sent(id_=str(number), time=time), USER, time)

    later = NOW + 3 * QUARTER_MS
    assert sum(map(len, messages.codes.values())) == MOST_IDS * 6
    again = [messages.count(sent(id_=str(n), time=NOW + n * QUARTER_MS // 100), USER, later) for n in (265, 10, 9)]
    assert again == [False, False, True]


def test_ids_go_with_the_messages_that_are_older_than_24_hours():
    """An account that has stopped sending keeps next to nothing."""
    messages = Messages()
    messages.count(sent("boss@example.com", id_="a"), USER, NOW)
    messages.count(sent(id_="b", time=NOW + 2 * DAY_MS), USER, NOW + 2 * DAY_MS)

    assert list(messages.codes) == list(messages.quarters) == [(NOW + 2 * DAY_MS) // QUARTER_MS]


def test_a_message_that_comes_a_day_late_leaves_nothing():
    """A backfill of old logs is read, and changes no number of the last 24 hours."""
    messages = Messages()

    assert messages.count(sent("boss@example.com", time=NOW - DAY_MS, id_="a"), USER, NOW)
    assert messages == Messages()


ADDRESSES = st.sampled_from([USER, "", "boss@example.com", "alias@example.org", "nobody"])
told = st.tuples(st.integers(0, 200), st.integers(0, 110), ADDRESSES, st.sampled_from([None, "a", "b"]))


@given(st.lists(told, max_size=40))
def test_what_is_kept_survives_the_packed_form(submissions: list[tuple[int, int, str, str | None]]):
    """Counting goes on from it as if it had never been written down."""
    kept, packed = Messages(offset=3), Messages(offset=3)
    for quarter, late, sender, id_ in sorted(submissions, key=lambda one: one[0]):
        now = NOW + quarter * QUARTER_MS
        submission = sent(sender, time=now - late * QUARTER_MS, id_=id_)
        assert kept.count(submission, USER, now) == packed.count(submission, USER, now)
        packed = through_the_tail(packed)
        assert kept == packed
        assert kept.foreign_24h(now) == sum(sender["messages"] for sender in kept.senders_24h(now)) <= kept.in_24h(now)


def test_an_account_that_sends_as_everybody_all_day_stays_small():
    """Sixteen senders in every quarter hour, each message with an id: the most there can be."""
    messages = Messages()
    for number in range(96 * 20):
        time = NOW + number * QUARTER_MS // 20
        sender = f"{number % 20:03}{'x' * 200}@example.com"
        messages.count(sent(sender, time=time, id_=f"id-{number}"), USER, time)
    tail: dict[str, Any] = {}
    to_tail(messages, tail)

    assert len(orjson.dumps(tail)) < 12_000
