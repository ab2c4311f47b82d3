"""
Kafka's record batches of magic 2, written by compiled code from bytes that lie in one array.

One pass copies keys and values to where they are sent from: 40 ns a record, its checksum included, where librdkafka and the
Python call for each record took a microsecond. Not compressed: lz4 alone would cost ten times as much.

The format is Kafka's (KIP-98, `DefaultRecordBatch` and `DefaultRecord`); `tests/worker/test_batch_writer.py` holds it against
a plain form and against aiokafka's reader.
"""

from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy import int64
from numpy import typing as npt

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.memory import copy_bytes
from streams.engine.compiled.numbers import Bytes
from streams.worker.machine import crc32c

Table = npt.NDArray[np.int64]

PARTITION, KEY, KEY_END, VALUE, VALUE_END = range(5)
"""Columns of a table of records: positions in the array of their bytes. A value's end of -1 is a tombstone."""
COLUMNS = 5
NULL = -1

HEADER = Struct(">qiibIhiqqqhii")
CHECKED_FROM = 21
"""The checksum covers what follows it."""
CRC = Struct(">I")
CRC_AT = 17
BEFORE_LENGTH = 12
MAGIC = 2


class Origin(NamedTuple):
    """Who writes, and the number of the batch's first record in what this producer wrote to the partition."""

    producer_id: int
    epoch: int
    sequence: int


@compiled
def _count(records: Table, length: int, starts: Table) -> int:
    """The first row that is impossible, or -1; `starts[p + 1]` counts the rows of partition p."""
    for row in range(len(records)):
        key, key_end, value = records[row, KEY], records[row, KEY_END], records[row, VALUE]
        value_end, partition = records[row, VALUE_END], records[row, PARTITION]
        if not (0 <= partition < len(starts) - 1 and 0 <= key <= key_end <= length):
            return row
        if value_end != NULL and not 0 <= value <= value_end <= length:
            return row
        starts[partition + 1] += 1
    return -1


@compiled
def _sort(records: Table, free: Table, order: Table) -> None:
    for row in range(len(records)):
        partition = records[row, PARTITION]
        order[free[partition]] = row
        free[partition] += 1


def by_partition(records: Table, length: int, partitions: int) -> tuple[Table, Table, int]:
    """
    The rows in the order of their partitions, where each partition begins, and the first row that is impossible, or -1.

    Within a partition the order stays. `length` is that of the array of bytes.
    """
    starts, order = np.zeros(partitions + 1, int64), np.empty(len(records), int64)
    wrong = _count(records, length, starts)
    starts = np.cumsum(starts)
    if wrong < 0:
        _sort(records, starts.copy(), order)
    return order, starts, wrong


@compiled
def _varint_size(number: int) -> int:
    size = 1
    while number >= 128:
        number >>= 7
        size += 1
    return size


@compiled
def _put(out: Bytes, at: int, number: int) -> int:
    while number >= 128:
        out[at] = (number & 127) | 128
        number >>= 7
        at += 1
    out[at] = number
    return at + 1


@compiled
def _write_records(data: Bytes, records: Table, rows: Table, out: Bytes, at: int, limit: int) -> tuple[int, int]:
    """Where the last of the records that fit below `limit` ends, and how many those are. Numbers are zigzag: 2n, and 1 for -1."""
    for number in range(len(rows)):
        row = rows[number]
        key, value, null = records[row, KEY], records[row, VALUE], records[row, VALUE_END] == NULL
        key_size = records[row, KEY_END] - key
        value_size = 0 if null else records[row, VALUE_END] - value
        value_number = 1 if null else 2 * value_size
        size = 3 + _varint_size(2 * number) + _varint_size(2 * key_size) + key_size
        size += _varint_size(value_number) + value_size
        if at + _varint_size(2 * size) + size > limit:
            return at, number
        at = _put(out, at, 2 * size)
        out[at] = 0  # attributes
        out[at + 1] = 0  # the time of the batch
        at = _put(out, at + 2, 2 * number)
        at = _put(out, at, 2 * key_size)
        copy_bytes(out, at, data, key, key_size)
        at = _put(out, at + key_size, value_number)
        copy_bytes(out, at, data, value, value_size)
        out[at + value_size] = 0  # headers
        at += value_size + 1
    return at, len(rows)


def write_batch(
    data: Bytes, records: Table, rows: Table, out: Bytes, at: int, limit: int, time_ms: int, origin: Origin
) -> tuple[int, int]:
    """
    One batch at `out[at:]`, of as many of the rows as fit below `limit`: its end, and how many; (at, 0) when none fits.

    The rows must be of `by_partition`, which has looked at their positions; `out` must be at least `limit` long.
    """
    if limit > len(out):
        raise ValueError(f"no room for {limit} bytes in {len(out)}")
    end, count = _write_records(data, records, rows, out, at + HEADER.size, limit)
    if count == 0:
        return at, 0
    length = end - at - BEFORE_LENGTH
    HEADER.pack_into(out.data, at, 0, length, -1, MAGIC, 0, 0, count - 1, time_ms, time_ms, *origin, count)
    CRC.pack_into(out.data, at + CRC_AT, crc32c(out, at + CHECKED_FROM, end))
    return end, count


def compile_now() -> None:
    """Have the machine code before it is needed: compiling takes seconds where it is not remembered."""
    data, out = np.frombuffer(b"kv", np.uint8), np.empty(100, np.uint8)
    records = np.array([[0, 0, 1, 1, 2]], int64)
    rows, _, _ = by_partition(records, len(data), 1)
    write_batch(data, records, rows, out, 0, len(out), 0, Origin(-1, -1, -1))
