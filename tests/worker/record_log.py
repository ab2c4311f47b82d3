"""A partition's log as bytes, batch by batch, as Kafka answers a fetch, and what aiokafka reads in it."""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from streams.worker.fetched import Record
from streams.worker.fetches import AnswerRecords, ColumnRecords

TP = TopicPartition("logins", 0)
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
APPENDED, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
READ_COMMITTED = 1
ABORT = Record(0, 0, struct.pack(">hh", 0, 0), b"", ())
AIOKAFKA: Any = ColumnRecords.__base__


def record(offset: int, value: bytes | None = b"value", **changes: Any) -> Record:
    return Record(offset, 1000 + offset, b"key", value, ())._replace(**changes)


def batch(
    records: Sequence[Record], *, codec: int = NONE, flags: int = 0, producer: int = -1, last: int | None = None
) -> bytes:
    """A sound batch; `last` is its last offset, where compaction took away the record there."""
    base = records[0].offset if records else last or 0
    builder = DefaultRecordBatchBuilder(2, codec, 0, producer, 0, 0, 1 << 24)
    for each in records:
        builder.append(each.offset - base, each.timestamp, each.key, each.value, list(each.headers))
    raw = bytearray(builder.build())
    end = max([last or 0, *(each.offset for each in records)])
    struct.pack_into(">q", raw, 0, base)
    return sealed(raw, {21: (">h", raw[22] | flags), 23: (">i", end - base)})


def sealed(raw: bytes | bytearray, changes: dict[int, tuple[str, int]]) -> bytes:
    """A batch with other numbers at these positions, and the checksum that fits them."""
    changed = bytearray(raw)
    for at, (form, number) in changes.items():
        struct.pack_into(form, changed, at, number)
    struct.pack_into(">I", changed, 17, calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


def legacy(magic: int, records: Sequence[Record], *, codec: int = NONE) -> bytes:
    """Records as they were written before Kafka 0.11."""
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 24)
    for each in records:
        builder.append(each.offset, each.timestamp if magic else None, each.key, each.value)
    return bytes(builder.build())


class Reading(NamedTuple):
    records: list[Record]
    next_offset: int


def ours(raw: bytes, at: int = 0, *, aborted: Sequence[tuple[int, int]] = (), isolation: int = 0) -> Reading:
    """What the worker reads from this offset on."""
    reader = ColumnRecords(TP, AnswerRecords(raw), list(aborted), at, None, None, True, isolation)
    return Reading([each._replace(headers=tuple(each.headers)) for each in reader.take(None)], reader.next_fetch_offset)


def theirs(raw: bytes, at: int = 0, *, aborted: Sequence[tuple[int, int]] = (), isolation: int = 0) -> Reading:
    """The plain reference: aiokafka's parser, an object for each record."""
    reader = AIOKAFKA(TP, MemoryRecords(raw), list(aborted), at, None, None, True, isolation)
    records = [Record(each.offset, each.timestamp, each.key, each.value, each.headers) for each in reader]
    return Reading(records, reader.next_fetch_offset)
