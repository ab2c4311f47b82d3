"""Group readers: at least once, committed after handling."""

from time import monotonic

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.bus.consumer import GroupReader
from streams.bus.embedded import OFFSET_COMMIT, EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.settings import Settings
from streams.topology import NOTIFICATIONS
from tests.eventually import eventually

COORDINATOR_NOT_AVAILABLE = 15
HEARTBEAT, REBALANCE_IN_PROGRESS = 12, 27
SLOWER_THAN_A_SESSION_MS = 20_000


def member(broker: EmbeddedBroker, *, most_open: int = 10_000) -> GroupReader:
    # the embedded broker waits a session timeout at every change of a group's members
    return GroupReader(broker.settings, "mailer", [NOTIFICATIONS], most_open=most_open, session_timeout_ms=3_000)


def send(settings: Settings, count: int, *, partition: int | None = 0, first: int = 0) -> None:
    producer = Producer(settings)
    for number in range(first, first + count):
        producer.send(NOTIFICATIONS.name, b"%d" % number, key=str(number), partition=partition)
    producer.close()


def read(reader: GroupReader, count: int, most: int = 500) -> list[Record]:
    """Exactly `count` records, as they come."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(reader.read(0.1, min(most, count - len(records)) or 1))
        return len(records) >= count

    eventually(enough, 30, what=f"{count} records")
    return records


def values(records: list[Record]) -> list[int]:
    return sorted(int(record.value or b"") for record in records)


def test_what_was_done_is_not_read_again(embedded: EmbeddedBroker) -> None:
    """A new member of the group begins after the last record that was done."""
    send(embedded.settings, 10)
    with member(embedded) as reader:
        for record in read(reader, 10)[:6]:
            reader.done(record)

    with member(embedded) as reader:
        assert values(read(reader, 4)) == [6, 7, 8, 9]


def test_a_commit_never_passes_a_record_that_is_not_done(embedded: EmbeddedBroker) -> None:
    """All but the third are done; it and what follows come again."""
    send(embedded.settings, 6)
    with member(embedded) as reader:
        records = read(reader, 6)
        for record in records:
            if record.value != b"2":
                reader.done(record)
        assert reader.open_records() == 1

    with member(embedded) as reader:
        assert values(read(reader, 4)) == [2, 3, 4, 5]


def test_groups_of_different_names_each_read_everything(embedded: EmbeddedBroker) -> None:
    """The group is `<app>-<name>`."""
    send(embedded.settings, 3)

    for name in ("mailer", "enforcement"):
        with GroupReader(embedded.settings, name, [NOTIFICATIONS]) as reader:
            assert reader.group == f"loginwatch-{name}"
            for record in read(reader, 3):
                reader.done(record)


def test_a_paused_reader_reads_nothing_until_it_is_resumed(embedded: EmbeddedBroker) -> None:
    """The mailer pauses while the mail server is away, and stays a member."""
    send(embedded.settings, 1)
    with member(embedded) as reader:
        read(reader, 1)
        reader.pause()
        send(embedded.settings, 1, first=1)
        assert [reader.read(0.1) for _ in range(5)] == [[]] * 5

        reader.resume()

        assert values(read(reader, 1)) == [1]


def test_unfinished_records_are_bounded(embedded: EmbeddedBroker) -> None:
    """With three open, nothing more is handed out until enough are done."""
    send(embedded.settings, 10)
    with member(embedded, most_open=3) as reader:
        records = read(reader, 3, most=1)
        assert [reader.read(0.1) for _ in range(5)] == [[]] * 5

        for record in records:
            reader.done(record)

        assert values(read(reader, 3)) == [3, 4, 5]


def test_a_second_member_takes_over_what_the_first_leaves(embedded: EmbeddedBroker) -> None:
    """Two share the partitions; when one ends, its partitions and what it had not done are the other's."""
    first = member(embedded)
    second = member(embedded)
    seen: set[int] = set()

    def shared() -> bool:
        for reader in (first, second):
            reader.read(0.05)
        return len(first.assigned()) == len(second.assigned()) == 2

    def taken_over() -> bool:
        seen.update(values(second.read(0.05)))
        return len(second.assigned()) == 4

    eventually(shared, 60)
    send(embedded.settings, 20, partition=None)
    eventually(lambda: first.read(0.05), 30, what="records of the first member")
    first.close()
    eventually(taken_over, 60)
    # what the second read before the rebalance and had not done comes again: at least once
    eventually(lambda: seen.update(values(second.read(0.05))) or seen == set(range(20)), 30, what="all records")
    second.close()


def test_a_refused_commit_is_tried_again(embedded: EmbeddedBroker) -> None:
    """The coordinator is away at the first try: the second round has it."""
    send(embedded.settings, 3)
    reader = member(embedded)
    for record in read(reader, 3):
        reader.done(record)
    embedded.fail(OFFSET_COMMIT, [COORDINATOR_NOT_AVAILABLE] * 3)

    def committed() -> bool:
        reader.commit()
        (position,) = reader.committed()
        return position == (NOTIFICATIONS.name, 0, 3)

    eventually(committed, 30)
    reader.close()


def test_a_reader_survives_a_broker_that_goes_and_comes(embedded: EmbeddedBroker) -> None:
    """It says so meanwhile, and reads on."""
    send(embedded.settings, 1)
    with member(embedded) as reader:
        reader.done(read(reader, 1)[0])
        embedded.down()
        eventually(lambda: reader.read(0.1) or reader.last_error, 30)
        embedded.up()
        send(embedded.settings, 1, first=1)

        assert values(read(reader, 1)) == [1]
        eventually(lambda: reader.read(0.1) or reader.last_error is None, 30)
        assert reader.lag() == 0


class Slowed(GroupReader):
    """A reader whose broker takes longer than a session for each answer, from the moment that its partitions move."""

    broker: EmbeddedBroker
    revoked = False

    def _revoked(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self.broker.slow(SLOWER_THAN_A_SESSION_MS)
        super()._revoked(consumer, parts)
        self.broker.slow(0)
        self.revoked = True


def test_a_broker_slower_than_the_session_holds_no_reader_in_a_rebalance(
    embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up its commit after a time, says so, and what was not committed comes again; it can still leave."""
    monkeypatch.setattr("streams.bus.consumer.LEAVE_S", 1.0)
    monkeypatch.setattr("streams.bus.consumer.COMMIT_EVERY_S", 600.0)
    send(embedded.settings, 3)
    reader = Slowed(embedded.settings, "mailer", [NOTIFICATIONS], session_timeout_ms=3_000)
    reader.broker = embedded
    for record in read(reader, 3):
        reader.done(record)
    embedded.fail(HEARTBEAT, [REBALANCE_IN_PROGRESS])
    begun = monotonic()
    eventually(lambda: reader.read(0.1) or reader.revoked, what="the partitions are given up")

    assert monotonic() - begun < SLOWER_THAN_A_SESSION_MS / 1_000 / 2
    assert "did not confirm it in time" in (reader.last_error or "")
    assert values(read(reader, 3)) == [0, 1, 2]
    monkeypatch.undo()
    reader.close()
