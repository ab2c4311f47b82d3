"""Reading topics from a moment to a moment, merged into one history."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.cli import reading
from streams.cli.reading import History, Span
from streams.errors import BrokerUnavailableError, TopicError

START = 1_700_000_000_000
OPEN = Span()


def fill(broker: EmbeddedBroker, topic: str, places: list[tuple[int, int]]) -> None:
    """One record for each partition and timestamp (after START)."""
    producer = Producer(broker.settings)
    for partition, time in places:
        producer.send(topic, str(time).encode(), key=None, partition=partition, timestamp_ms=START + time)
    producer.close()


def test_partitions_and_topics_are_merged_by_timestamp(embedded: EmbeddedBroker) -> None:
    """One history, whatever the order in which partitions arrive."""
    fill(embedded, "logins", [(0, 1), (0, 4), (1, 2), (1, 6), (3, 3)])
    fill(embedded, "submissions", [(0, 5), (2, 0)])

    records = list(History(embedded.settings, {"logins": OPEN, "submissions": OPEN}))

    assert [record.timestamp_ms - START for record in records] == [0, 1, 2, 3, 4, 5, 6]


def test_a_partition_keeps_its_own_order(embedded: EmbeddedBroker) -> None:
    """Timestamps that go back, as producers may write them, do not reorder a partition."""
    fill(embedded, "logins", [(0, 5), (0, 1), (0, 3)])

    records = list(History(embedded.settings, {"logins": OPEN}))

    assert [record.offset for record in records] == [0, 1, 2]


def test_each_topic_has_its_own_span(embedded: EmbeddedBroker) -> None:
    """From inclusive, until exclusive."""
    fill(embedded, "logins", [(0, time) for time in range(6)])
    fill(embedded, "submissions", [(0, 0)])

    spans = {"logins": Span(START + 2, START + 4), "submissions": OPEN}
    records = list(History(embedded.settings, spans))

    assert [record.timestamp_ms - START for record in records] == [0, 2, 3]


def test_a_history_ends_where_the_topics_ended_when_it_began(embedded: EmbeddedBroker) -> None:
    """What comes meanwhile is not waited for, nor read."""
    fill(embedded, "logins", [(0, 1), (1, 2)])
    history = History(embedded.settings, {"logins": OPEN})
    fill(embedded, "logins", [(0, 3), (1, 4)])

    assert [record.timestamp_ms - START for record in history] == [1, 2]
    assert history.total == 2


def test_a_partition_that_runs_ahead_is_held_and_nothing_is_lost(
    embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by pausing; all records come, in order."""
    monkeypatch.setattr(reading, "MOST_WAITING", 50)
    monkeypatch.setattr(reading, "RESUME_WAITING", 10)
    monkeypatch.setattr(reading, "FETCH_RECORDS", 20)
    times = [(partition, 2 * number + partition) for partition in (0, 1) for number in range(2000)]
    fill(embedded, "logins", times)

    records = list(History(embedded.settings, {"logins": OPEN}))

    assert [record.timestamp_ms - START for record in records] == list(range(4000))


def test_a_key_reads_only_its_partition(embedded: EmbeddedBroker) -> None:
    """The records of an account are all in one place."""
    producer = Producer(embedded.settings)
    for number in range(20):
        producer.send("logins", b"x", key=f"user{number}@example.org", timestamp_ms=START)
    producer.close()

    history = History(embedded.settings, {"logins": OPEN}, key="user7@example.org")
    keys = [record.key for record in history]

    assert b"user7@example.org" in keys
    assert len(keys) < 20


def test_a_topic_that_is_not_there_is_named(embedded: EmbeddedBroker) -> None:
    """With what to do."""
    with pytest.raises(TopicError, match=r"there is no topic elsewhere .*topics create"):
        History(embedded.settings, {"elsewhere": OPEN})


def test_a_broker_that_falls_silent_is_an_error_not_an_end(
    embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history that cannot be read whole says so."""
    monkeypatch.setattr(reading, "SILENCE_S", 0.5)
    fill(embedded, "logins", [(0, 1)])
    history = History(embedded.settings, {"logins": OPEN})
    embedded.down()

    with pytest.raises(BrokerUnavailableError, match="sent nothing of logins"):
        list(history)
