"""The worker's way into aiokafka's fetcher: it is in place, and what aiokafka filters is filtered."""

import inspect
import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from streams.worker import fetches
from streams.worker.fetched import Record
from tests.worker.record_log import (
    ABORT,
    APPENDED,
    CONTROL,
    GZIP,
    LZ4,
    READ_COMMITTED,
    SNAPPY,
    TP,
    TRANSACTIONAL,
    ZSTD,
    batch,
    legacy,
    ours,
    record,
    theirs,
)


class Position:
    """An aiokafka assignment with one partition."""

    tps = (TP,)
    active = has_valid_position = has_fetchable_position = True
    paused = False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, _tp: Any) -> "Position":
        return self

    def consumed_to(self, offset: int) -> None:
        self.position = offset


def result(raw: bytes, position: Position) -> Any:
    """What the fetcher makes of an answer, with whatever classes its module has."""
    records = fetcher.MemoryRecords(raw)
    found = fetcher.PartitionRecords(TP, records, None, position.position, None, None, True, 0)
    return fetcher.FetchResult(TP, assignment=position, partition_records=found, backoff=0)


@pytest.fixture(autouse=True)
def installed() -> None:
    fetches.install()


def test_every_replaced_class_is_made_and_used_by_the_fetcher() -> None:
    """An upgrade that goes another way would bring objects back, or lose records."""
    made = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    handed_out = inspect.getsource(fetcher.Fetcher.fetched_records)

    assert fetcher.PartitionRecords is fetches.ColumnRecords
    assert fetcher.FetchResult is fetches.ColumnResult
    assert fetcher.MemoryRecords is fetches.AnswerRecords
    for name in ("MemoryRecords(part_data[-1])", "PartitionRecords(", "FetchResult("):
        assert name in made
    assert "getall(max_records)" in handed_out
    assert "_consumer_record(tp, record)" in inspect.getsource(fetches.ColumnRecords._unpack_records)
    for name in ("check_assignment", "has_more", "_update_position"):
        assert callable(getattr(fetcher.FetchResult, name))


def test_a_fetch_begins_at_the_position_and_holds_at_most_what_was_asked_for() -> None:
    """The rest comes with the next, and the position follows what was handed out."""
    position = Position(4)
    found = result(batch([record(number) for number in range(10)]) + batch([record(10)], codec=LZ4), position)

    first = found.getall(2)
    assert ([each.offset for each in first], position.position) == ([4, 5], 6)
    second = found.getall(3)
    assert ([each.offset for each in second], position.position) == ([6, 7, 8], 9)
    third = found.getall()
    assert ([each.offset for each in third], position.position) == ([9, 10], 11)
    assert not found.has_more()


def test_a_position_that_was_moved_voids_what_was_fetched() -> None:
    """After a seek the records come again from there."""
    position = Position(0)
    found = result(batch([record(number) for number in range(10)]), position)
    found.getall(2)
    position.position = 0

    assert not found.getall(2)
    assert not found.has_more()


def test_the_position_moves_behind_what_compaction_took() -> None:
    """Else the same batch would be fetched for ever."""
    position = Position(0)

    found = result(batch([record(0)], last=5) + batch([], last=9), position)

    assert len(found.getall()) == 1
    assert position.position == 10


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_compressed_batches_are_columns_too(codec: int) -> None:
    """All that Kafka knows, with headers and nulls, before and behind plain ones."""
    records = [record(3), record(5, None), record(6, b"x" * 1000, headers=(("a", b"b"),)), record(7, key=None)]
    log = batch([record(1)]) + batch(records, codec=codec) + batch([record(8)])

    assert ours(log).records == [record(1), *records, record(8)]
    assert ours(log, 6) == theirs(log, 6)


def test_times_are_those_of_the_broker_where_it_gives_them() -> None:
    """All records of a batch came when the batch did."""
    log = batch([record(0), record(1)], flags=APPENDED) + batch([record(2), record(3)], codec=LZ4, flags=APPENDED)

    assert [each.timestamp for each in ours(log).records] == [1001, 1001, 1003, 1003]


def test_aborted_transactions_and_markers_are_left_out() -> None:
    """As aiokafka leaves them out, when it is told to read what is committed."""
    log = batch([record(0)], flags=TRANSACTIONAL, producer=7) + batch([record(1)], producer=8)
    log += batch([ABORT._replace(offset=2)], flags=TRANSACTIONAL | CONTROL, producer=7)
    log += batch([record(3)], flags=TRANSACTIONAL, producer=7)
    aborted = [(7, 0)]

    found = ours(log, aborted=aborted, isolation=READ_COMMITTED)

    assert [each.offset for each in found.records] == [1, 3]
    assert found == theirs(log, aborted=aborted, isolation=READ_COMMITTED)
    assert [each.offset for each in ours(log).records] == [0, 1, 3]


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, GZIP])
def test_old_formats_go_through_aiokafkas_parser(magic: int, codec: int) -> None:
    """They come as columns all the same; those of the oldest have no time."""
    old = [record(0, headers=()), record(1, None)]
    log = legacy(magic, old, codec=codec)

    found = ours(log + batch([record(2)])).records

    assert [(each.offset, each.key, each.value) for each in theirs(log).records] == [
        (each.offset, each.key, each.value) for each in found[:2]
    ]
    assert [each.timestamp for each in found] == [1000 if magic else -1, 1001 if magic else -1, 1002]


def test_a_wrong_checksum_is_an_error_and_what_lies_before_it_is_read() -> None:
    """aiokafka refuses the batch; the worker does not go past it."""
    raw = bytearray(batch([record(5)]))
    raw[-3] ^= 1
    position = Position(0)
    found = result(batch([record(0), record(1)]) + bytes(raw), position)

    assert [each.offset for each in found.getall(2)] == [0, 1]
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        found.getall(2)
    assert position.position == 2


def test_a_batch_of_an_impossible_length_is_an_error() -> None:
    """Not one that is read again and again."""
    raw = bytearray(batch([record(0)]))
    struct.pack_into(">i", raw, 8, -12)

    with pytest.raises(CorruptRecordException):
        ours(bytes(raw))


def test_a_record_is_as_it_was_sent() -> None:
    """Offset, time, key, value and headers."""
    sent = Record(4, 1009, b"key 9", b"value 9", (("header", b"1"),))

    assert ours(batch([record(3), sent]), 4).records == [sent]
