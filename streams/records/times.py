"""Times from outside: RFC 3339 with an offset, or milliseconds since the epoch, between 1970 and the year 9999."""

import re
from datetime import UTC, datetime, timedelta, timezone

from streams.errors import BadRecordError
from streams.records.reasons import BAD_TIME, TIME_OUT_OF_RANGE, shown

FIRST_MS = 0
"""1970-01-01T00:00:00Z."""
LAST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last time that Python and RFC 3339 can write."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
RFC_3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))", re.ASCII
)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware time; finer parts are cut off."""
    return (moment - EPOCH) // MILLISECOND


def parse_rfc3339(text: str) -> int:
    """
    Milliseconds since the epoch of an RFC 3339 time; parts finer than a millisecond are cut off.

    A leap second (:60) is the first instant of the next minute. Raises BadRecordError when the text is no such time or
    has no offset: a time without one could be anywhere within a day.

    >>> parse_rfc3339("2026-01-05T09:00:00.250+01:00")
    1767600000250
    """
    match = RFC_3339.fullmatch(text)
    if match is None:
        raise BadRecordError(
            BAD_TIME, f"{shown(text)} is no RFC 3339 time with an offset, such as 2026-01-05T09:00:00Z"
        )
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    leap = second == "60"
    millisecond = int((fraction or "0").ljust(3, "0")[:3])
    try:
        offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        naive = datetime(int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second))  # noqa: DTZ001
        moment = naive.replace(tzinfo=zone)
    except ValueError as error:
        raise BadRecordError(BAD_TIME, f"{shown(text)} is no time: {error}") from error
    seconds_ms = (moment - EPOCH) // timedelta(seconds=1) * 1000
    return seconds_ms + 1000 if leap else seconds_ms + millisecond


def check_range(time_ms: int) -> int:
    """The time itself, if it lies between 1970 and 9999."""
    if not FIRST_MS <= time_ms <= LAST_MS:
        raise BadRecordError(
            TIME_OUT_OF_RANGE, f"{time_ms} ms is before 1970 or after 9999; times are milliseconds since the epoch"
        )
    return time_ms
