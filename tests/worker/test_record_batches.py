"""Compiled code finds what aiokafka finds, or leaves it to aiokafka."""

import struct

import numpy as np
from aiokafka.record.util import calc_crc32c, encode_varint
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.worker.fetched import Fetched, Record
from streams.worker.record_batches import columns, crc_by_tables, read_batches
from tests.worker.record_log import (
    APPENDED,
    CONTROL,
    LZ4,
    NONE,
    TRANSACTIONAL,
    batch,
    legacy,
    ours,
    record,
    sealed,
    theirs,
)

some_bytes = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=5), some_bytes), max_size=3).map(tuple)


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Batches of a partition: gaps of compaction, transactions and markers, all codecs, both kinds of times."""
    offset, log = draw(st.integers(0, 1 << 40)), b""
    for _ in range(draw(st.integers(1, 6))):
        records = []
        for _ in range(draw(st.integers(0, 5))):
            offset += draw(st.integers(1, 300))
            time = draw(st.integers(0, 1 << 45))
            records.append(Record(offset, time, draw(some_bytes), draw(some_bytes), draw(headers)))
        offset += draw(st.integers(1, 3))
        codec = draw(st.sampled_from((NONE, NONE, NONE, 1, 2, 3, 4))) if records else NONE
        flags = draw(st.sampled_from((0, 0, APPENDED, TRANSACTIONAL, TRANSACTIONAL | CONTROL)))
        log += batch(records, codec=codec, flags=flags, last=offset)
    return log


@settings(deadline=None)
@given(logs(), st.data())
def test_any_log_is_read_as_aiokafka_reads_it(log: bytes, data: st.DataObject) -> None:
    """From any offset on, and with a last batch that is cut off, as Kafka's answers have it."""
    everything = theirs(log)
    base, last_delta = struct.unpack_from(">q", log, 0)[0], struct.unpack_from(">i", log, 23)[0]
    start = data.draw(st.integers(base, base + last_delta))  # Kafka answers with the batch that has the position
    cut = log[: len(log) - data.draw(st.sampled_from([0, 1, 20, 70]))]

    assert ours(log) == everything
    assert ours(cut, start) == theirs(cut, start)


@settings(deadline=None, max_examples=300)
@given(logs(), st.data())
def test_a_damaged_log_is_refused_or_read_as_aiokafka_does(log: bytes, data: st.DataObject) -> None:
    """With a checksum that fits, as a program could write it: nothing behind the end of a batch is ever looked at."""
    raw = bytearray(log[: 12 + int.from_bytes(log[8:12])])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(21, len(raw) - 1))] = data.draw(st.sampled_from((0, 1, 2, 0x7F, 0x80, 0xFF)))
    damaged = sealed(raw, {})

    table, end, next_offset = read_batches(columns(damaged), 0, True)

    if end:
        found = Fetched(columns(damaged), table)
        names = [name for each in found for name, _ in each.headers]
        if not any("\N{REPLACEMENT CHARACTER}" in name for name in names):  # there aiokafka refuses
            read = [each._replace(headers=tuple(each.headers)) for each in found]
            assert (read, next_offset) == theirs(damaged, -(1 << 62))


def test_it_stops_before_what_is_not_plain() -> None:
    """Compressed, of a transaction, a marker, an older format, with an unknown attribute, with a wrong checksum."""
    plain = batch([record(0), record(1)])
    broken = bytearray(batch([record(2)]))
    broken[-3] ^= 1
    others = [
        batch([record(2)], codec=LZ4),
        batch([record(2)], flags=TRANSACTIONAL),
        batch([record(2)], flags=CONTROL),
        batch([record(2)], flags=0x40),
        legacy(1, [record(2)]),
        bytes(broken),
    ]

    for other in others:
        table, end, next_offset = read_batches(columns(plain + other), 0, True)
        assert (table[:, 0].tolist(), end, next_offset) == ([0, 1], len(plain), 2)


def test_an_impossible_number_of_records_asks_for_no_memory() -> None:
    """Two thousand million in a batch of 80 bytes."""
    raw = sealed(batch([record(0)]), {57: (">i", 0x7FFFFFFF)})

    assert read_batches(columns(raw), 0, True)[1] == 0


def test_records_that_are_not_counted_are_left_to_aiokafka() -> None:
    """It refuses a batch with bytes behind its last record."""
    raw = batch([record(0), record(1)])

    assert read_batches(columns(sealed(raw, {57: (">i", 1)})), 0, True)[1] == 0


def test_offsets_that_do_not_rise_are_left_to_aiokafka() -> None:
    """It skips what it has read; the worker must not read it twice."""
    raw = batch([record(0), record(1)])

    assert read_batches(columns(raw * 2), 0, True)[1] == len(raw)
    assert ours(raw * 2) == theirs(raw * 2)


def test_the_table_is_what_compiled_code_takes() -> None:
    """One block of int64 in C order, and bytes that are read-only: numba would compile another form anew."""
    raw = batch([record(0), record(1)])

    table, _, _ = read_batches(columns(raw), 0, True)

    assert table.dtype == np.int64
    assert table.flags.c_contiguous
    assert not columns(raw).flags.writeable


def test_headers_are_checked_like_everything_else() -> None:
    """Their count says more than there are: aiokafka refuses the batch."""
    raw = batch([record(0, headers=(("a", b"b"),))])
    count = bytearray()
    encode_varint(2, count.append)

    assert read_batches(columns(sealed(raw[:-5] + count + raw[-4:], {})), 0, True)[1] == 0


@settings(deadline=None)  # the first example compiles
@given(st.binary(max_size=100), st.integers(0, 20))
def test_the_checksum_is_right_without_the_processors_instruction(raw: bytes, at: int) -> None:
    """The tables give what aiokafka computes, from any position on."""
    start = min(at, len(raw))

    assert crc_by_tables(columns(raw), start, len(raw)) == calc_crc32c(raw[start:])
