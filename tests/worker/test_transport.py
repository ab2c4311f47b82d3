"""The bookkeeping of offsets: what is committed, and what never is."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver

from streams.geo import NoPlaces
from streams.metrics import Metrics
from streams.settings import Settings
from streams.worker.app import Shell, build
from streams.worker.transport import OVERRIDDEN, BatchConsumer, _message, assert_compiled
from tests.worker.stand_in import StandIn, StandInForm

TP = TopicPartition("logins", 0)


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


def batch(first: int, last: int, generation: int = 1) -> Any:
    records = [SimpleNamespace(offset=offset, timestamp=1000, timestamp_type=1) for offset in range(first, last + 1)]
    return _message(TP, records, generation)


def committable(consumer: BatchConsumer) -> dict[Any, int]:
    return consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))


def test_every_overridden_method_still_exists_in_faust() -> None:
    """An upgrade that renames one would silently bring the stock behaviour back."""
    for owner, names in OVERRIDDEN.items():
        for name in names:
            assert callable(getattr(getattr(driver, owner), name))
    for name in ("need_recovery", "_build_highwaters", "_build_offsets", "_seek_offsets", "on_recovery_completed"):
        assert callable(getattr(Recovery, name))


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
    message = batch(0, 9)

    assert consumer.ack(message)
    assert not consumer.ack(message)

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


async def test_the_bookkeeping_does_not_grow(consumer: BatchConsumer) -> None:
    """One number per partition, however much is processed between two commits."""
    for first in range(0, 10_000, 10):
        message = batch(first, first + 9)
        consumer.ack(message)
        consumer.delivered(message)

    assert not consumer._acked[TP]
    assert len(consumer._delivered) == 1


async def test_the_table_belongs_to_the_app_and_shows_the_engines_states(shell: Shell) -> None:
    """Faust knows `accounts` and its changelog; reading goes to the engine, writing is refused."""
    table = shell.app.tables["accounts"]

    assert table.changelog_topic_name == "loginwatch-accounts-changelog"
    with pytest.raises(NotImplementedError, match="agent"):
        table.data["a@example.org"] = b""
    assert list(table.data) == []
    assert NoPlaces().available is False
