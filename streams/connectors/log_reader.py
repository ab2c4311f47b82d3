"""
One log's lines to events: prefilter, frame, message; and what becomes of lines that cannot be read.

Decision: nearly all lines are neither logins nor messages, so the bytes are looked at before anything is decoded. A line
that looks like a login and cannot be read is counted by reason; one a minute is logged with all foreign words hidden.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence

import structlog

from streams.connectors.log_files import LONGEST_KEPT
from streams.connectors.log_frames import FrameReader
from streams.connectors.log_lines import LONGEST_LINE, looks_like_login, masked, parse_message, worth_reading
from streams.connectors.log_records import Event, identity_of
from streams.core.refusal import Refused
from streams.metrics import LOG_UNREADABLE, Metrics

LOG = structlog.get_logger(__name__)

SAMPLE_EVERY_S = 60.0
OTHER_PROGRAM = "other-program"
"""A tag that is not listened to: on purpose, or the operator has named it nowhere. Counted, and no more."""

_IN_NUMBERS = re.compile(rb'"MESSAGE" ?: ?\[')
"""
How `journalctl -o json` begins a message with an unprintable character: as numbers of bytes, in which no word is found.
Whoever logs in may put such a character into the line. The spaces are those of systemd before 240.
"""


class Unreadable:
    """Counts lines that cannot be read, and shows a few."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.reasons: Counter[str] = Counter()
        self._metrics = metrics
        self._next_sample_s = 0.0

    def count(self, reason: str) -> None:
        """Count one line."""
        self.reasons[reason] += 1
        if self._metrics is not None:
            self._metrics.of(LOG_UNREADABLE, reason=reason).inc()

    def note(self, refusal: Refused, line: bytes) -> None:
        """Count one line; log it if none was logged for a minute."""
        self.count(refusal.reason)
        now_s = time.monotonic()
        if now_s >= self._next_sample_s:
            self._next_sample_s = now_s + SAMPLE_EVERY_S
            shape = masked(line[:LONGEST_LINE].decode(errors="replace"))
            LOG.warning("a line that looks like a login cannot be read", reason=refusal.reason, shape=shape)


class LineReader:
    """
    Reads the lines of one log in their order. `programs` are beginnings of the tags that are listened to.

    `read` never raises: what cannot be read goes to `unreadable`.
    """

    def __init__(self, frames: FrameReader, programs: Sequence[str], unreadable: Unreadable) -> None:
        self._frames = frames
        self._programs = tuple(programs)
        self._unreadable = unreadable

    def read(self, line: bytes) -> Event | None:
        """The event of one line (without its end); None for most."""
        if not worth_reading(line) and not (line[:1] == b"{" and _IN_NUMBERS.search(line)):
            return None
        try:
            return self._event(line)
        except Refused as refusal:
            if refusal.reason not in ("unknown-frame", "bad-time") or looks_like_login(line):
                self._unreadable.note(refusal, line)
            return None

    def _event(self, line: bytes) -> Event | None:
        if len(line) > (LONGEST_KEPT if line[:1] == b"{" else LONGEST_LINE):
            raise Refused("too-long", "the line is too long")
        frame = self._frames.read(line.decode(errors="replace"))
        if frame.program and not frame.program.startswith(self._programs):
            if looks_like_login(frame.message.encode()):
                self._unreadable.count(OTHER_PROGRAM)
            return None
        if len(frame.message) > LONGEST_LINE:  # a journal's entry has other fields too, and four bytes for each number
            raise Refused("too-long", "the message is too long")
        said = parse_message(frame.message)
        return None if said is None else Event(frame.time_ms, frame.host, said, identity_of(line, frame))
