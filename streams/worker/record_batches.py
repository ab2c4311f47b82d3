"""
Where the records of a fetch are, found by compiled code: Kafka's record batches of magic 2, as they lie in the answer.

A Python object for each record cost more than all that a usual login costs after it. Read here is what nearly every batch
is: not compressed, not of a transaction, sound. At the first batch that is anything else `read_batches` stops, also when its
checksum or its structure is wrong, and aiokafka reads that batch, and judges it. So there is nothing to refuse here.

The format is Kafka's (KIP-98, `DefaultRecordBatch` and `DefaultRecord`). All positions are checked before they are used, as
compiled code reads whatever lies behind the end of an array.
"""

from collections.abc import Callable

import numpy as np
from numpy import int64
from numpy import typing as npt

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.layout import COLUMNS, KEY, KEY_END, NULL, OFFSET, TIMESTAMP, VALUE, VALUE_END
from streams.engine.compiled.numbers import Bytes, Numbers
from streams.worker import machine

LENGTH_AT, MAGIC_AT, CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, FIRST_TIME_AT, MAX_TIME_AT, COUNT_AT = (
    8,
    16,
    17,
    21,
    23,
    27,
    35,
    57,
)
BEFORE_LENGTH = 12
"""Offset and length: the length counts what follows them."""
HEADER = 61
"""Bytes of a batch before its first record."""
LEAST_RECORD = 7
LOG_APPEND_TIME = 0x08
LANES = 16
"""Bytes of the checksum at a time where the processor has no instruction for it: 373 µs for 1 MiB, 462 with 8."""
POLYNOMIAL = 0x82F63B78
ALL_BITS = 0xFFFFFFFF


def _crc_tables() -> npt.NDArray[np.uint32]:
    """CRC-32C of one byte, followed by as many zeros as the number of the row."""
    tables = np.zeros((LANES, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        tables[0, byte] = crc
    for row in range(1, LANES):
        tables[row] = tables[row - 1] >> 8 ^ tables[0][tables[row - 1] & 0xFF]
    return tables


CRC = _crc_tables()


def read_batches(data: Bytes, at: int, check: bool) -> tuple[Numbers, int, int]:
    """
    The records of the batches from `at` on, the position of the first batch that is not plain, and the offset that follows.

    The position is `at` when that is the first one already. `check` says whether checksums are compared.
    """
    room, end = _plain(data, at)
    table = np.empty((room, COLUMNS), np.int64)
    rows, at, next_offset = _fill(data, at, end, check, table)
    return table[:rows], at, next_offset


@compiled
def _plain(data: Bytes, at: int) -> tuple[int, int]:
    """How many records are in the batches from `at` on that look plain, and where these end."""
    room = 0
    while at + HEADER <= len(data):
        length, count = _int32(data, at + LENGTH_AT), _int32(data, at + COUNT_AT)
        stop = at + BEFORE_LENGTH + length
        if stop < at + HEADER or stop > len(data) or data[at + MAGIC_AT] != 2:
            break
        if data[at + ATTRIBUTES_AT] != 0 or data[at + ATTRIBUTES_AT + 1] & ~LOG_APPEND_TIME != 0:
            break
        if count < 0 or count * LEAST_RECORD > stop - at - HEADER:
            break
        room += count
        at = stop
    return room, at


@compiled
def _fill(data: Bytes, at: int, end: int, check: bool, table: Numbers) -> tuple[int, int, int]:
    """Read the batches that look plain: how many records, where the sound ones end, and the offset that follows these."""
    rows, next_offset = 0, -1
    while at < end:
        stop = at + BEFORE_LENGTH + _int32(data, at + LENGTH_AT)
        if check and _crc(data, at + ATTRIBUTES_AT, stop) != _int32(data, at + CRC_AT) & ALL_BITS:
            break
        count = _int32(data, at + COUNT_AT)
        after = int(table[rows - 1, OFFSET]) if rows else -1
        if not _read_records(data, at, stop, table[rows : rows + count], after):
            break
        next_offset = _int64(data, at) + _int32(data, at + LAST_DELTA_AT) + 1
        rows += count
        at = stop
    return rows, at, next_offset


@compiled
def _read_records(data: Bytes, at: int, stop: int, table: Numbers, after: int) -> bool:
    """Fill the table with the records of the batch between `at` and `stop`; whether they are sound, and all after an offset."""
    base, first_time, max_time = _int64(data, at), _int64(data, at + FIRST_TIME_AT), _int64(data, at + MAX_TIME_AT)
    appended = data[at + ATTRIBUTES_AT + 1] & LOG_APPEND_TIME != 0
    at += HEADER
    for row in range(len(table)):
        length, at = _varint(data, at, stop)
        if at < 0 or length < 0 or length > stop - at:
            return False
        end = at + length
        _, at = _varint(data, at, end)  # attributes: none are defined
        time_delta, at = _varint(data, at, end)
        offset_delta, at = _varint(data, at, end)
        key, key_end, at = _bytes(data, at, end)
        value, value_end, at = _bytes(data, at, end)
        if at < 0 or _behind_headers(data, at, end) != end or base + offset_delta <= after:
            return False
        after = base + offset_delta
        table[row, OFFSET] = after
        table[row, TIMESTAMP] = max_time if appended else first_time + time_delta
        table[row, KEY], table[row, KEY_END] = key, key_end
        table[row, VALUE], table[row, VALUE_END] = value, value_end
        at = end
    return at == stop


@compiled
def _behind_headers(data: Bytes, at: int, end: int) -> int:
    """Where the headers end that begin at `at`; -1 when they are not sound."""
    if at < end and data[at] == 0:
        return at + 1
    count, at = _varint(data, at, end)
    if count < 0:
        return -1
    while count > 0 and at >= 0:
        _, key_end, at = _bytes(data, at, end)
        if key_end < 0:
            return -1
        _, _, at = _bytes(data, at, end)
        count -= 1
    return at


@compiled
def _bytes(data: Bytes, at: int, end: int) -> tuple[int, int, int]:
    """Start and end (-1 for null) of bytes with their length before them, and where they are over; that is -1 when they do not fit."""
    length, at = _varint(data, at, end)
    if at < 0 or length > end - at:
        return 0, NULL, -1
    if length < 0:
        return at, NULL, at
    return at, at + length, at + length


@compiled
def _varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A zigzag number of up to 64 bits, and where it is over; that is -1 when it does not fit, or `at` was negative."""
    if at < 0:
        return 0, -1
    number, shift = 0, 0
    while at < end and shift < 64:
        byte = _byte(data, at)
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1 & 0x7FFFFFFFFFFFFFFF) ^ -(number & 1), at
        shift += 7
    return 0, -1


@compiled
def crc_by_tables(data: Bytes, at: int, end: int) -> int:
    """CRC-32C, sixteen bytes at a time (Kounavis and Berry, "slicing-by-8", here by 16)."""
    crc = ALL_BITS
    while at + LANES <= end:
        crc ^= _byte(data, at) | _byte(data, at + 1) << 8 | _byte(data, at + 2) << 16 | _byte(data, at + 3) << 24
        mixed = _shifted(15, crc) ^ _shifted(14, crc >> 8) ^ _shifted(13, crc >> 16) ^ _shifted(12, crc >> 24)
        for lane in range(4, LANES):
            mixed ^= _shifted(15 - lane, _byte(data, at + lane))
        crc = mixed
        at += LANES
    while at < end:
        crc = crc >> 8 ^ _shifted(0, crc ^ _byte(data, at))
        at += 1
    return crc ^ ALL_BITS


@compiled
def _shifted(zeros: int, byte: int) -> int:
    return int(int64(CRC[zeros, byte & 0xFF]))


_crc: Callable[[Bytes, int, int], int] = machine.crc32c if machine.has_instruction() else crc_by_tables


@compiled
def _byte(data: Bytes, at: int) -> int:
    return int(int64(data[at]))


@compiled
def _int32(data: Bytes, at: int) -> int:
    high = _byte(data, at) << 24 | _byte(data, at + 1) << 16 | _byte(data, at + 2) << 8 | _byte(data, at + 3)
    return high - (high >> 31 << 32)


@compiled
def _int64(data: Bytes, at: int) -> int:
    return _int32(data, at) << 32 | _int32(data, at + 4) & ALL_BITS


def columns(raw: bytes) -> Bytes:
    """Bytes as the array that compiled code reads. Always read-only: numba would compile everything twice."""
    return np.frombuffer(raw, np.uint8)
