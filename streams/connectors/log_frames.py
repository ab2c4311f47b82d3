"""
The frame around a line of a mail log: when, on which host, by which program, and the message itself.

Read are syslog lines of RFC 3164 and RFC 5424, those with ISO times, Dovecot's own log file, and journald's JSON. Decision:
RFC 3164 says neither year nor zone. The zone is a setting; the year is the latest that does not put the line more than a
day after `reference` (the clock when following, the file's date when reading old logs). In the hour that a change of clocks
repeats, a line belongs to the second pass if an earlier line of the same file was later than it would be in the first.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from streams.core.refusal import Refused

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DISORDER_MS = 10 * MINUTE_MS
"""Lines of one file may be out of order by this much, without being taken for the repeated hour."""
LEAP_YEARS_APART = 8
"""29 February is at most this many years ago (1896 to 1904, 2096 to 2104)."""
LEAP_SECOND = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}

_ISO_TIME = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) +"
_TRADITIONAL_TIME = r"(([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d)):(\d\d)(?:\.\d+)? +"
_TAG = r"(\S*[^\s:]) ([^\s\[\]:]+)(?:\[\d+\])?: ?(.*)"
_ISO = re.compile(f"{_ISO_TIME}(?:{_TAG}|(.*))", re.DOTALL)
_TRADITIONAL = re.compile(f"{_TRADITIONAL_TIME}(?:{_TAG}|(.*))", re.DOTALL)
_OWN = re.compile(
    r"([a-z][a-z0-9_-]*(?:\(.*?\))?(?:<[^<>]*>)*: )(?:Info|Warning|Error|Fatal|Panic|Debug): (.*)", re.DOTALL
)
_RFC5424 = re.compile(
    r'<\d{1,3}>1 (\S+) (\S+) (\S+) \S+ \S+ (?:-|(?:\[[^"\]]*(?:"(?:[^"\\]|\\.)*"[^"\]]*)*\])+) ?\ufeff?(.*)', re.DOTALL
)
_PRIORITY = re.compile(r"<\d{1,3}>")


class Frame(NamedTuple):
    """A line taken apart. `host` and `program` are "" in Dovecot's own file."""

    time_ms: int
    host: str
    program: str
    message: str


class FrameReader:
    """
    Takes the lines of one file apart, in their order.

    `zone` is that of times without one, None is this machine's. `reference_ms` is a moment that no line is much later than.
    `newest_ms` is the latest time in the file so far, also that of lines which another reader read before.
    """

    def __init__(self, zone: tzinfo | None, reference_ms: Callable[[], int], newest_ms: int = 0) -> None:
        self._zone = zone
        self._reference_ms = reference_ms
        self.newest_ms = newest_ms
        self._minute = ""
        self._minute_ms = 0

    def read(self, line: str) -> Frame:
        """The line's frame and message. Raises Refused: unknown-frame, bad-time."""
        first = line[:1]
        if first == "{":
            frame = _journald(line)
        elif first == "<":
            frame = self._with_priority(line)
        else:
            frame = self._timed(line)
        if frame.time_ms < 0:
            raise Refused("bad-time", "the line is from before 1970")
        self.newest_ms = max(self.newest_ms, frame.time_ms)
        return frame

    def _with_priority(self, line: str) -> Frame:
        if new := _RFC5424.fullmatch(line):
            time, host, program, message = new.groups()
            return Frame(self._iso_ms(time), host, program, message.lstrip())
        priority = _PRIORITY.match(line)
        return self._timed(line[priority.end() :] if priority else line)

    def _timed(self, line: str) -> Frame:
        if iso := _ISO.match(line):
            time, host, program, message, rest = iso.groups()
            return _framed(self._iso_ms(time), host, program, message, rest)
        if old := _TRADITIONAL.match(line):
            *time, host, program, message, rest = old.groups()
            return _framed(self._traditional_ms(time), host, program, message, rest)
        raise Refused("unknown-frame", "the line begins with no time that is known")

    def _iso_ms(self, text: str) -> int:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise Refused("bad-time", f"{text[:40]!r} is no time") from error
        if moment.tzinfo is None:
            return self._zoned_ms(moment) + moment.microsecond // 1000
        return (moment - EPOCH) // MILLISECOND

    def _traditional_ms(self, time: list[str]) -> int:
        minute, month, day, hour, minutes, second = time
        if int(second) > LEAP_SECOND:
            raise Refused("bad-time", f"{minute}:{second} is no time")
        if minute != self._minute:
            self._minute_ms = self._latest_ms(MONTHS.get(month, 0), int(day), int(hour), int(minutes))
            self._minute = minute
        return self._minute_ms + int(second) * 1000

    def _latest_ms(self, month: int, day: int, hour: int, minute: int) -> int:
        """This minute in the latest year that it can be."""
        limit_ms = self._reference_ms() + DAY_MS
        year = datetime.fromtimestamp(limit_ms / 1000, UTC).year + 1  # in zones east of UTC it may be next year already
        for candidate in range(year, year - LEAP_YEARS_APART - 2, -1):
            try:
                moment = datetime(candidate, month, day, hour, minute)  # noqa: DTZ001 - the zone comes with the next line
                found_ms = self._zoned_ms(moment)
            except (ValueError, OverflowError):
                continue
            if found_ms <= limit_ms:
                return found_ms
        raise Refused("bad-time", f"{month}-{day} {hour}:{minute} is no time")

    def _zoned_ms(self, moment: datetime) -> int:
        """A time of the wall clock, to the second."""
        moment = moment.replace(tzinfo=self._zone, microsecond=0)
        try:
            first, second = (int(moment.replace(fold=fold).timestamp()) * 1000 for fold in (0, 1))
        except (ValueError, OverflowError) as error:
            raise Refused("bad-time", "the year is out of range") from error
        again = second > first and self.newest_ms > first + DISORDER_MS and second <= self._reference_ms() + DAY_MS
        return second if again else first


def zone_of(name: str) -> tzinfo | None:
    """
    The zone of a setting; "" is this machine's.

    >>> zone_of("Europe/Berlin")
    zoneinfo.ZoneInfo(key='Europe/Berlin')

    Raises Refused.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise Refused("bad-zone", f"{name[:60]!r} is no time zone, for instance Europe/Berlin or UTC") from error


def _framed(time_ms: int, host: str, program: str, message: str, rest: str | None) -> Frame:
    """What stands after the time: syslog's host and tag, or (`rest`) Dovecot's own form, which says how severe it is."""
    if rest is None:
        return Frame(time_ms, host, program, message)
    if own := _OWN.match(rest):
        return Frame(time_ms, "", "", own[1] + own[2])
    raise Refused("unknown-frame", "after the time there is neither host and program nor Dovecot's own form")


def _journald(line: str) -> Frame:
    try:
        entry = orjson.loads(line)
    except ValueError as error:
        raise Refused("unknown-frame", "the line begins like JSON, but is none") from error
    try:
        micros = int(_text(entry, "__REALTIME_TIMESTAMP"))
        if not 0 <= micros < 1 << 62:
            raise ValueError
    except ValueError as error:
        raise Refused("bad-time", "the journal's entry has no __REALTIME_TIMESTAMP") from error
    program = _text(entry, "SYSLOG_IDENTIFIER") or _text(entry, "_COMM")
    return Frame(micros // 1000, _text(entry, "_HOSTNAME"), program, _text(entry, "MESSAGE").rstrip("\n"))


def _text(entry: dict[str, Any], name: str) -> str:
    """A field of the journal; bytes that are no UTF-8 come as a list of numbers."""
    value = entry.get(name)
    if isinstance(value, list):
        try:
            return bytes(value).decode(errors="replace")
        except (ValueError, TypeError):
            return ""
    return value if isinstance(value, str) else ""
