"""Record batches from compiled code, held against a plain form of the format and against aiokafka's reader."""

from collections.abc import Sequence
from struct import pack

import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.worker import machine
from streams.worker.batch_writer import COLUMNS, HEADER, NULL, Origin, Table, by_partition, write_batch

TIME_MS = 1_763_856_000_123
ORIGIN = Origin(4001, 7, 90_000)
Pair = tuple[bytes, bytes | None]

PAIRS = st.lists(
    st.tuples(st.binary(max_size=70), st.none() | st.binary(max_size=10) | st.binary(min_size=60, max_size=20_000)),
    min_size=1,
    max_size=200,
)


def laid_out(placed: Sequence[tuple[int, bytes, bytes | None]]) -> tuple[bytes, Table]:
    """The bytes of (partition, key, value) with others between them, and where they are."""
    data, rows = bytearray(b"before"), []
    for partition, key, value in placed:
        start = len(data)
        data += key + b"|"
        at = len(data)
        data += value or b""
        rows.append((partition, start, start + len(key), at, NULL if value is None else len(data)))
    return bytes(data), np.array(rows, np.int64).reshape(-1, COLUMNS)


def varint(number: int) -> bytes:
    """Zigzag, least significant seven bits first."""
    rest, out = number << 1 ^ number >> 63, bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes(out) + bytes([rest])


def plain_batch(pairs: Sequence[Pair]) -> bytes:
    """KIP-98 as it is written down."""
    records = bytearray()
    for number, (key, value) in enumerate(pairs):
        body = b"\0" + varint(0) + varint(number) + varint(len(key)) + key
        body += varint(-1) if value is None else varint(len(value)) + value
        body += varint(0)
        records += varint(len(body)) + body
    last = len(pairs) - 1
    checked = pack(">hiqqqhii", 0, last, TIME_MS, TIME_MS, *ORIGIN, len(pairs)) + records
    rest = pack(">ibI", -1, 2, calc_crc32c(checked)) + checked
    return pack(">qi", 0, len(rest)) + rest


def batches(pairs: Sequence[Pair], limit: int) -> list[bytes]:
    """What the compiled writer makes of them."""
    data, records = laid_out([(0, key, value) for key, value in pairs])
    array = np.frombuffer(data, np.uint8)
    rows, _, wrong = by_partition(records, len(data), 1)
    assert wrong == -1
    out, found = np.zeros(limit + 9, np.uint8), []
    while len(rows):
        end, count = write_batch(array, records, rows, out, 9, 9 + limit, TIME_MS, ORIGIN)
        assert count
        found.append(out[9:end].tobytes())
        rows = rows[count:]
    return found


@settings(deadline=None)  # the first call may compile
@given(PAIRS)
def test_a_batch_is_the_plain_form_byte_for_byte(pairs: list[Pair]) -> None:
    """Lengths of one to three bytes, empty keys and values, tombstones."""
    assert batches(pairs, 1 << 23) == [plain_batch(pairs)]


@settings(deadline=None)  # the first call may compile
@given(PAIRS)
def test_aiokafka_reads_what_was_written_over_several_batches(pairs: list[Pair]) -> None:
    """A batch that is full ends before the record that does not fit, and the next begins with it."""
    found: list[Pair] = []
    for raw in batches(pairs, 20_200):
        batch = DefaultRecordBatch(raw)
        assert batch.validate_crc()
        assert len(raw) <= 20_200
        assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == ORIGIN
        found += [(record.key, record.value) for record in batch]
    assert found == pairs


def test_a_record_that_does_not_fit_is_not_begun() -> None:
    """Not even alone: nothing is written and the caller is told."""
    data, records = laid_out([(0, b"key", bytes(1000))])
    rows, _, _ = by_partition(records, len(data), 1)
    out = np.zeros(2000, np.uint8)

    assert write_batch(np.frombuffer(data, np.uint8), records, rows, out, 0, 1000, TIME_MS, ORIGIN) == (0, 0)
    assert not out.any()
    with pytest.raises(ValueError, match="no room for 3000 bytes in 2000"):
        write_batch(np.frombuffer(data, np.uint8), records, rows, out, 0, 3000, TIME_MS, ORIGIN)


def test_records_are_parted_without_changing_their_order() -> None:
    """Each partition's rows are together, as they came."""
    _, records = laid_out([(number * 7 % 4, b"", b"") for number in range(100)])

    rows, starts, wrong = by_partition(records, 1 << 20, 5)

    assert wrong == -1
    assert starts.tolist() == [0, 25, 50, 75, 100, 100]
    for partition in range(4):
        expected = [number for number in range(100) if number * 7 % 4 == partition]
        assert rows[starts[partition] : starts[partition + 1]].tolist() == expected


@pytest.mark.parametrize(
    "row",
    [(-1, 0, 1, 1, 2), (2, 0, 1, 1, 2), (0, -1, 1, 1, 2), (0, 2, 1, 1, 2), (0, 0, 11, 1, 2), (0, 0, 1, -1, 2),
     (0, 0, 1, 3, 2), (0, 0, 1, 1, 11), (0, 0, 1, 1, -2)],
)  # fmt: skip
def test_positions_outside_of_the_bytes_are_found(row: tuple[int, ...]) -> None:
    """Compiled code would read whatever lies there."""
    records = np.array([(1, 0, 10, 10, 10), (0, 0, 0, 99, NULL), row], np.int64)

    assert by_partition(records, 10, 2)[2] == 2
    assert by_partition(records[:2], 10, 2)[2] == -1


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 20))
def test_both_checksums_are_crc_32c(data: bytes, at: int) -> None:
    """By the processor's instruction where it has one, and by aiokafka's tables."""
    array, at = np.frombuffer(data, np.uint8).copy(), min(at, len(data))

    assert machine._by_tables(array, at, len(data)) == calc_crc32c(data[at:])
    assert machine.crc32c(array, at, len(data)) == calc_crc32c(data[at:])


def test_the_header_is_as_long_as_kafkas() -> None:
    """61 bytes before the first record."""
    assert HEADER.size == 61
