"""Records as columns are the same records."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.worker.fetched import Fetched, Record
from streams.worker.record_batches import columns, read_batches
from tests.worker.record_log import batch, record

MIXED = [
    record(3),
    record(5, None),
    record(6, b"", key=None),
    record(9, b"long" * 100, headers=(("name", b"1"), ("ünïcode", None))),
    record(10, None, key=None, headers=(("a", b""),)),
    record(11, b"last"),
]


def plain(found: Fetched) -> list[Record]:
    return [each._replace(headers=tuple(each.headers)) for each in found]


def read(records: list[Record]) -> Fetched:
    """As they come from Kafka."""
    data = columns(batch(records))
    return Fetched(data, read_batches(data, 0, True)[0])


@pytest.fixture(params=["from Kafka", "of objects"])
def mixed(request: pytest.FixtureRequest) -> Fetched:
    """Records with everything that can be null or empty, in either way that they come."""
    return read(MIXED) if request.param == "from Kafka" else Fetched.of(MIXED)


def test_each_record_is_there_as_an_object(mixed: Fetched) -> None:
    """By number, from the end, and in a loop."""
    assert plain(mixed) == MIXED
    assert [mixed.record(number)[:4] for number in range(len(mixed))] == [each[:4] for each in MIXED]
    assert mixed[-1].value == b"last"
    assert mixed.offset == 11


def test_the_columns_say_where_everything_is(mixed: Fetched) -> None:
    """Offset, time, key and value; an end of -1 is null."""
    found = []
    for offset, timestamp, key, key_end, value, value_end in mixed.table.tolist():
        found.append((
            offset,
            timestamp,
            None if key_end == -1 else bytes(mixed.data[key:key_end]),
            None if value_end == -1 else bytes(mixed.data[value:value_end]),
        ))  # fmt: skip

    assert found == [each[:4] for each in MIXED]


@given(st.lists(st.integers(0, len(MIXED)), max_size=5), st.booleans())
def test_parts_that_are_joined_are_the_whole(cuts: list[int], from_kafka: bool) -> None:
    """However it was cut, and whatever lies around a part in its array."""
    whole = read(MIXED) if from_kafka else Fetched.of(MIXED)
    edges = [0, *sorted(cuts), len(MIXED)]

    joined = Fetched.joined([whole[first:last] for first, last in pairwise(edges)])

    assert plain(joined) == MIXED
    assert len(joined.data) <= len(whole.data)
    assert not joined.data.flags.writeable
    assert joined.table.flags.c_contiguous


def test_joining_copies_only_what_the_records_span() -> None:
    """A small part of a large answer does not bring all of it along."""
    whole = read([record(number, b"x" * 1000) for number in range(100)])

    joined = Fetched.joined([whole[10:12], whole[50:51]])

    assert [each.offset for each in joined] == [10, 11, 50]
    assert len(joined.data) < 3_100


def test_what_lies_before_an_offset_is_left_out(mixed: Fetched) -> None:
    """Also where compaction took away the record at the offset."""
    assert mixed.behind(0) is mixed
    assert [each.offset for each in mixed.behind(7)] == [9, 10, 11]


def test_a_header_whose_name_is_not_text_is_readable() -> None:
    """The worker must not stop for good at it."""
    raw = batch([record(0, headers=(("name", b"1"),))]).replace(b"name", b"n\xffme")
    data = columns(raw)

    (found,) = Fetched(data, read_batches(data, 0, False)[0])

    assert list(found.headers) == [("n\N{REPLACEMENT CHARACTER}me", b"1")]


def test_nothing_is_nothing() -> None:
    """No records, joined with no records."""
    assert len(Fetched.joined([Fetched.of([]), Fetched.of([])])) == 0
    assert Fetched.of([]).table.shape == (0, 6)
    assert Fetched.of([]).table.dtype == np.int64
