"""The bookkeeping of offsets: what is committed, and what never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.structs import TopicPartition
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.geo import NoPlaces
from streams.metrics import Metrics
from streams.settings import Settings
from streams.worker.app import Shell, build
from streams.worker.fetched import Fetched, Record
from streams.worker.fetches import ColumnResult
from streams.worker.rounds import Round
from streams.worker.transport import MOST_BYTES, OVERRIDDEN, BatchConsumer, _message, assert_compiled
from tests.eventually import eventually_async
from tests.worker.record_log import record
from tests.worker.stand_in import StandIn, StandInForm

TP = TopicPartition("logins", 0)
OTHER = TopicPartition("logins", 1)


class NoTables:
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def apply_pending(self) -> None: ...

    def ready(self) -> bool:
        return True

    def problem(self) -> str | None:
        return None


@pytest.fixture
async def shell() -> Shell:
    """A worker that is built and not started."""
    failures: list[BaseException] = []
    return build(Settings(partitions=4), StandIn(), StandInForm(), NoTables(), Metrics("worker"), failures.append)


@pytest.fixture
async def consumer(shell: Shell) -> AsyncIterator[BatchConsumer]:
    """Its consumer, in generation 1."""
    shell.app.consumer_generation_id = 1
    shell.app.topics._acking_topics.add("logins")
    consumer = shell.app.consumer
    yield consumer
    consumer._thread.thread_loop.close()


def fetched(first: int, last: int) -> Fetched:
    return Fetched.of(record(offset) for offset in range(first, last + 1))


def batch(first: int, last: int, generation: int = 1) -> Round:
    """A round with one partition."""
    one = Round(generation)
    one.add(TP, fetched(first, last))
    return one


def message(one: Round) -> Any:
    return _message(TP, next(iter(one))[1][-1], one)


def committable(consumer: BatchConsumer) -> dict[Any, int]:
    return consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))


def test_every_overridden_method_still_exists_in_faust() -> None:
    """An upgrade that renames one would silently bring the stock behaviour back."""
    for owner, names in OVERRIDDEN.items():
        for name in names:
            assert callable(getattr(getattr(driver, owner), name))
    for name in ("need_recovery", "_build_highwaters", "_build_offsets", "_seek_offsets", "on_recovery_completed"):
        assert callable(getattr(Recovery, name))


async def test_a_worker_reads_columns(shell: Shell) -> None:
    """The fetcher hands out `Fetched` from the moment on that a worker is built."""
    assert shell.app.transport is not None
    assert fetcher.FetchResult is ColumnResult


def test_the_compiled_stream_iterator_is_in_use() -> None:
    """The worker refuses to start without it."""
    assert_compiled()


def test_a_missing_compiled_iterator_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says how to get it."""
    monkeypatch.setattr("faust.streams._CStreamIterator", None)

    with pytest.raises(RuntimeError, match="binary wheel"):
        assert_compiled()


async def test_an_acknowledgement_by_faust_commits_nothing(consumer: BatchConsumer) -> None:
    """Faust acknowledges what it skips and what an agent died of; that is not a delivery."""
    event = message(batch(0, 9))

    assert consumer.ack(event)
    assert not consumer.ack(event)

    assert committable(consumer) == {}


async def test_a_delivered_batch_commits_behind_its_last_record(consumer: BatchConsumer) -> None:
    """All of a backlog at once, not one batch per commit."""
    for first in range(0, 1000, 10):
        consumer.delivered(batch(first, first + 9))

    assert committable(consumer) == {TP: 1000}


async def test_a_batch_of_an_older_generation_commits_nothing(consumer: BatchConsumer) -> None:
    """A delivery that ends after a rebalance is another worker's business."""
    consumer.delivered(batch(0, 9, generation=0))

    assert committable(consumer) == {}


async def test_a_committed_offset_never_goes_back(consumer: BatchConsumer) -> None:
    """A batch that is read again after a seek is behind what was delivered already."""
    consumer.delivered(batch(0, 99))
    consumer.delivered(batch(0, 9))

    assert committable(consumer) == {TP: 100}


async def test_a_commit_that_failed_is_repeated_and_one_that_succeeded_is_not(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock Faust takes a failed commit for done."""
    answers = [False, True]

    async def answer(_self: Any, _offsets: Any, start_new_transaction: bool = True) -> bool:
        return answers.pop(0)

    monkeypatch.setattr(driver.Consumer, "_commit_offsets", answer)
    consumer.delivered(batch(0, 9))

    assert not await consumer._commit_offsets(committable(consumer))
    assert committable(consumer) == {TP: 10}

    assert await consumer._commit_offsets(committable(consumer))
    assert committable(consumer) == {}


async def test_offsets_of_partitions_that_are_gone_are_not_committed_and_end_nothing(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that wakes from a freeze commits before it knows; stock Faust crashes, or calls it done."""
    monkeypatch.setattr(consumer._thread, "assignment", set)

    assert not await consumer._thread._commit({TP: 10})


async def test_nothing_flows_before_the_states_are_read(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust resumes once before, and what came then was lost from the agent's queue with its second time."""

    async def assigned(*_: object) -> None:
        """The rest is not this consumer's business."""

    monkeypatch.setattr(consumer, "_on_partitions_assigned", assigned)
    monkeypatch.setattr(consumer.app, "on_rebalance_return", lambda: None)
    await consumer.on_partitions_assigned({TP}, 2)
    consumer.resume_flow()
    assert (consumer.flow_active, consumer.can_resume_flow.is_set()) == (False, False)

    consumer.recovered()
    consumer.resume_flow()
    assert (consumer.flow_active, consumer.can_resume_flow.is_set()) == (True, True)


async def test_what_was_dropped_before_the_first_commit_is_read_again(
    consumer: BatchConsumer, embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a new group aiokafka stays where it is when it is told to go to the committed offsets."""
    producer = Producer(embedded.settings)
    producer.send("logins", b"a login", key="user@example.org", partition=0)
    producer.close()
    place = TopicPartition("logins", 0)
    reader = AIOKafkaConsumer(
        bootstrap_servers=embedded.settings.bootstrap_servers,
        group_id="a-new-group",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await reader.start()
    reader.assign([place])

    async def read() -> int:
        return sum(map(len, (await reader.getmany(timeout_ms=500)).values()))

    async def call(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await function(*arguments)

    monkeypatch.setattr(consumer._thread, "_ensure_consumer", lambda: reader)
    monkeypatch.setattr(consumer._thread, "call_thread", call)
    try:
        await eventually_async(read, 30)
        assert await reader.position(place) == 1

        await consumer._thread.seek_to_committed()

        assert await reader.position(place) == 0
        await eventually_async(read, 30)
    finally:
        await reader.stop()


async def test_the_bookkeeping_does_not_grow(consumer: BatchConsumer) -> None:
    """One number per partition, however much is processed between two commits."""
    for first in range(0, 10_000, 10):
        one = batch(first, first + 9)
        consumer.ack(message(one))
        consumer.delivered(one)

    assert not consumer._acked[TP]
    assert len(consumer._delivered) == 1


class Fetches:
    """A consumer's fetches by script: what each finds, and with how much room it asked."""

    def __init__(self, consumer: BatchConsumer, *found: dict[Any, list[Any]]) -> None:
        self.rooms: list[int] = []
        self._found = list(found)
        self._consumer = consumer
        consumer._set_active_tps({TP, OTHER})
        consumer.flow_active = True
        consumer._thread.fetch = self._fetch

    async def _fetch(self, _partitions: Any, _timeout: float, most: int) -> dict[Any, list[Any]]:
        self.rooms.append(most)
        return self._found.pop(0)

    async def next(self) -> list[Round]:
        return [event.value async for _, event in self._consumer.getmany(1.0)]


async def test_what_comes_while_a_round_waits_joins_it(consumer: BatchConsumer) -> None:
    """The agent finds all of it when it comes, each partition in its order; the next round begins when it has taken this."""
    fetches = Fetches(consumer, {TP: fetched(0, 4)}, {TP: fetched(5, 9), OTHER: fetched(0, 0)}, {TP: fetched(10, 12)})

    (first,) = await fetches.next()
    assert await fetches.next() == []
    first.take()
    (second,) = await fetches.next()

    assert [record.offset for record in dict(first)[TP]] == list(range(10))
    assert len(dict(first)[OTHER]) == 1
    assert [record.offset for record in dict(second)[TP]] == [10, 11, 12]


async def test_a_round_never_holds_more_than_the_setting_allows(consumer: BatchConsumer) -> None:
    """A fetch asks for what there is room for; when there is none left, the fetcher waits for the agent."""
    consumer._most = 8
    fetches = Fetches(consumer, {TP: fetched(0, 4)}, {TP: fetched(5, 7)}, {TP: fetched(8, 8)})

    (first,) = await fetches.next()
    assert await fetches.next() == []
    assert first.records == 8
    waiting = asyncio.ensure_future(fetches.next())
    await asyncio.sleep(0)
    assert fetches.rooms == [8, 3]
    first.take()
    (second,) = await waiting

    assert fetches.rooms == [8, 3, 8]
    assert (first.records, second.records) == (8, 1)


async def test_a_round_of_large_records_is_bounded_by_their_bytes(consumer: BatchConsumer) -> None:
    """40,000 records of garbage, each as large as is allowed, would be gigabytes."""
    large = Record(0, 0, b"key", bytes(MOST_BYTES), ())
    fetches = Fetches(consumer, {TP: Fetched.of([large])}, {TP: fetched(1, 1)})

    (first,) = await fetches.next()
    waiting = asyncio.ensure_future(fetches.next())
    await asyncio.sleep(0)
    assert len(fetches.rooms) == 1, "nothing is asked for while it waits"
    first.take()
    (second,) = await waiting

    assert (first.records, second.records) == (1, 1)
    assert first.size == MOST_BYTES + len(b"key")


async def test_a_round_of_an_older_generation_takes_nothing_in(consumer: BatchConsumer) -> None:
    """Faust has dropped it; what is fetched after a rebalance makes a new one."""
    fetches = Fetches(consumer, {TP: fetched(0, 4)}, {TP: fetched(0, 4)})

    (first,) = await fetches.next()
    consumer.app.consumer_generation_id = 2
    (second,) = await fetches.next()

    assert first is not second
    assert (first.records, second.records, second.generation) == (5, 5, 2)


async def test_the_table_belongs_to_the_app_and_shows_the_engines_states(shell: Shell) -> None:
    """Faust knows `accounts` and its changelog; reading goes to the engine, writing is refused."""
    table = shell.app.tables["accounts"]

    assert table.changelog_topic_name == "loginwatch-accounts-changelog"
    with pytest.raises(NotImplementedError, match="agent"):
        table.data["a@example.org"] = b""
    assert list(table.data) == []
    assert NoPlaces().available is False
