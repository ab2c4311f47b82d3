"""Times as people type them: a duration from now, a date, a time, or milliseconds since the epoch. All in UTC."""

import re
import time
from datetime import UTC, datetime

from streams.errors import UsageError

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last time that a record may carry."""
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_EPOCH_MS = re.compile(r"\d{11,15}", re.ASCII)


def now_ms() -> int:
    """Milliseconds since the epoch, by this machine's clock."""
    return time.time_ns() // 1_000_000


def ago(option: str, text: str | None, now: int) -> int | None:
    """The moment that an option names, a duration counted backwards from `now`; None if it was not given."""
    return None if text is None else _moment(option, text, now, -1)


def ahead(option: str, text: str | None, now: int) -> int | None:
    """The moment that an option names, a duration counted forwards from `now`; None if it was not given."""
    return None if text is None else _moment(option, text, now, 1)


def duration_ms(option: str, text: str) -> int:
    """The length of time that an option names, for instance 90m, 12h or 2d."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option} {text[:60]!r} is no duration: write for instance 30s, 90m, 12h or 2d")
    return int(match[1]) * UNITS_MS[match[2]]


def _moment(option: str, text: str, now: int, direction: int) -> int:
    stripped = text.strip()
    if match := _DURATION.fullmatch(stripped):
        moment = now + direction * int(match[1]) * UNITS_MS[match[2]]
    elif _EPOCH_MS.fullmatch(stripped):
        moment = int(stripped)
    else:
        moment = _written(option, stripped)
    if not 0 <= moment <= LAST_MS:
        raise UsageError(f"{option} {text!r} lies before 1970 or after 9999")
    return moment


def _written(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text[:60]!r} is no time: write a duration (90m, 12h, 30d), a date (2026-12-31) or a time in UTC"
            " (2026-12-31T18:00:00Z)"
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
