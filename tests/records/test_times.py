"""Times from outside."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecordError
from streams.records.times import LAST_MS, check_range, epoch_ms, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-05T09:00:00Z", 1_767_603_600_000),
        ("2026-01-05t09:00:00z", 1_767_603_600_000),
        ("2026-01-05 09:00:00Z", 1_767_603_600_000),
        ("2026-01-05T10:00:00+01:00", 1_767_603_600_000),
        ("2026-01-05T00:30:00-08:30", 1_767_603_600_000),
        ("2026-01-05T09:00:00-00:00", 1_767_603_600_000),
        ("2026-01-05T09:00:00.5Z", 1_767_603_600_500),
        ("2026-01-05T09:00:00.123456789Z", 1_767_603_600_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2100-01-01T00:00:00Z", 4_102_444_800_000),
        ("9999-12-31T23:59:59.999Z", LAST_MS),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_rfc_3339_is_read_to_the_millisecond(text: str, expected: int) -> None:
    """Offsets, fractions, small letters, the leap second: all that RFC 3339 allows."""
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-05",
        "2026-01-05T09:00:00",
        "2026-01-05T09:00Z",
        "2026-01-05T09:00:00.Z",
        "2026-01-05T09:00:00.1234567890Z",
        "2026-01-05T09:00:00+0100",
        "2026-01-05T09:00:00+24:00",
        "2026-02-30T09:00:00Z",
        "2026-01-05T24:00:00Z",
        "2026-01-05T09:60:00Z",
        "2026-01-05T09:00:61Z",
        "0000-01-05T09:00:00Z",
        "12026-01-05T09:00:00Z",
        "2026-01-05T09:00:00Z\n",
        " 2026-01-05T09:00:00Z",
        "٢٠٢٦-01-05T09:00:00Z",
        "1767603600000",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    """Above all a time without an offset, which could be anywhere within a day."""
    with pytest.raises(BadRecordError) as refusal:
        parse_rfc3339(text)

    assert refusal.value.reason == "bad-time"


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30)),
    offset=st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_what_python_writes_is_read_as_python_means_it(moment: datetime, offset: int) -> None:
    """Any moment in any zone, in Python's own RFC 3339 form."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    assert parse_rfc3339(aware.isoformat(timespec="microseconds")) == epoch_ms(aware)


@pytest.mark.parametrize("time_ms", [-1, LAST_MS + 1, 2**63 - 1])
def test_times_before_1970_and_after_9999_are_refused(time_ms: int) -> None:
    """They are mistakes, microseconds for instance, and no later code could print them."""
    with pytest.raises(BadRecordError) as refusal:
        check_range(time_ms)

    assert refusal.value.reason == "time-out-of-range"


def test_a_moment_in_milliseconds_is_cut_not_rounded() -> None:
    """One microsecond before a second is still in the millisecond before."""
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)) == 999
