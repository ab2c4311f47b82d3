"""What the tests of the log reader share: lines as mail servers write them, a fixed clock, readers."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson

from streams.connectors.log_frames import FrameReader
from streams.connectors.log_reader import LineReader, Unreadable
from streams.connectors.log_records import Made, RecordMaker
from streams.core.refusal import Refused

PROGRAMS = ("dovecot", "postfix")


def at(text: str) -> int:
    """A moment in UTC, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


DAY_AFTER = at("2026-11-23T00:00:00")
"""The samples were written the day before."""


def frames(zone: str = "UTC", reference: str = "2026-11-23T00:00:00") -> FrameReader:
    """A reader of frames at a fixed moment."""
    return FrameReader(ZoneInfo(zone), lambda: at(reference))


def records_of(lines: list[bytes], unreadable: Unreadable | None = None) -> list[Made]:
    """The records that follow from these lines."""
    reader = LineReader(frames(), PROGRAMS, unreadable or Unreadable())
    maker = RecordMaker()
    made = []
    for event in filter(None, map(reader.read, lines)):
        try:
            record = maker.take(event)
        except Refused:
            continue
        if record is not None:
            made.append(record)
    return made


def login_line(number: int = 0, *, second: int = 0, user: str = "user@example.org") -> bytes:
    """A login of Dovecot in syslog's ISO form; the address and the session tell the number."""
    return (
        f"2026-11-22T04:25:{second:02}.058799+00:00 vm dovecot: imap-login: Login: user=<{user}>, method=PLAIN,"
        f" rip=192.0.2.{number % 250}, lip=192.0.2.25, mpid={number}, TLS, session=<S{number}>\n"
    ).encode()


def journal_line(number: int, sequence: str = "a" * 32) -> bytes:
    """That login as journalctl -o json gives it: entry `number` of a sequence."""
    cursor = f"s={sequence};i={number:x};b={'b' * 32};m=1;t=2;x=3"
    entry = {
        "__CURSOR": cursor,
        "__REALTIME_TIMESTAMP": "1795321534058799",
        "_HOSTNAME": "vm",
        "SYSLOG_IDENTIFIER": "dovecot",
        "MESSAGE": login_line(number).decode().rstrip().partition("dovecot: ")[2],
    }
    return orjson.dumps(entry) + b"\n"
