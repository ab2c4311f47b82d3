"""
Old logs, read once from beginning to end: to the topics, or as lines that `loginwatch replay` reads.

Decision: files are merged by the times in them, so that `mail.log*` gives the right order whatever the shell's, and several
servers' logs give one stream. Lines without a year belong to the year before the file's date (of a compressed file: the
date of what was compressed).
"""

import heapq
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

import orjson

from streams.connectors.log_delivery import Delivery, codec_of
from streams.connectors.log_files import CHUNK, Lines, Unpacked
from streams.connectors.log_frames import FrameReader, zone_of
from streams.connectors.log_reader import LineReader, Unreadable
from streams.connectors.log_records import Event, Made, RecordMaker
from streams.core.refusal import Refused
from streams.errors import DeliveryError, UsageError
from streams.metrics import Metrics
from streams.settings import Settings

GZIP = b"\x1f\x8b"
PIECE = 10_000
STOP_S = 5.0
Advance = Callable[[int], None]
"""Told how many more bytes of the files were read."""


class Backfill:
    """One run over old logs. `lines` and `unreadable` say what was found; `interrupted` asks for its end."""

    def __init__(self, settings: Settings, *, metrics: Metrics | None = None) -> None:
        """Raises ConfigurationError or Refused for settings that cannot work."""
        self.metrics = metrics or Metrics("logs")
        self.lines = 0
        self.unreadable = Unreadable(self.metrics)
        self.interrupted = threading.Event()
        self.damaged: list[str] = []
        """Files that could be read only in part."""
        self._settings = settings
        self._zone = zone_of(settings.log_timezone)

    def records(self, files: Sequence[BinaryIO], advance: Advance = lambda _: None) -> Iterator[Made]:
        """The records of these files, in the order of time as far as each file is. Files may be compressed with gzip."""
        maker = RecordMaker(
            default_domain=self._settings.default_domain, failed_logins=self._settings.log_failed_logins
        )
        streams = [self._events(file, advance) for file in files]
        events: Iterable[Event] = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("time_ms"))
        take = maker.take
        for event in events:
            try:
                made = take(event)
            except Refused as refusal:
                if getattr(event.said, "success", True):
                    self.unreadable.note(refusal, event.identity)
                continue
            if made is not None:
                yield made

    def to_topics(self, records: Iterator[Made]) -> int:
        """Write them to Kafka; how many. Raises DeliveryError when it was stopped before Kafka had all."""
        delivery = Delivery(self._settings, codec_of(self._settings), self.metrics, self.unreadable, self.interrupted)
        sent = 0
        while piece := list(islice(records, PIECE)):
            if not delivery.deliver(piece, STOP_S) or self.interrupted.is_set():
                raise DeliveryError(f"stopped after {sent} records; run it again, what is there already does no harm")
            sent += len(piece)
        return sent

    def _events(self, file: BinaryIO, advance: Advance) -> Iterator[Event]:
        stream, dated_ms = _plain(file)
        reader = LineReader(FrameReader(self._zone, lambda: dated_ms), self._settings.log_programs, self.unreadable)
        lines, done, read = Lines(), 0, reader.read
        while True:
            chunk = _next_bytes(stream)
            if chunk is None:  # the line in which the damage is has lost its end, and is not read
                self.damaged.append(str(file.name))
                return
            found = lines.feed(chunk) if chunk else lines.end()
            self.lines += len(found)
            for line in found:
                if (event := read(line)) is not None:
                    yield event
            if file.seekable():
                advance(file.tell() - done)
                done = file.tell()
            if not chunk:
                return


def replay_lines(records: Iterable[Made]) -> Iterator[bytes]:
    """Records as lines for `loginwatch replay`, each with the greatest time so far as its timestamp."""
    newest_ms = 0
    for topic, _, value in records:
        newest_ms = max(newest_ms, value["time"])
        line = {"topic": topic, "timestamp": newest_ms, "value": value}
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def open_files(names: Sequence[str], opened: ExitStack, standard_input: Callable[[], BinaryIO]) -> list[BinaryIO]:
    """The named files; `-` is standard input, asked for only then. Raises UsageError for one that cannot be read."""
    return [standard_input() if name == "-" else _opened(name, opened) for name in dict.fromkeys(names)]


def _opened(name: str, opened: ExitStack) -> BinaryIO:
    try:
        return opened.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error


def _next_bytes(stream: BinaryIO | Unpacked) -> bytes | None:
    """What comes next, nothing at the end; None where the file is damaged."""
    try:
        chunk = stream.read(CHUNK)
    except OSError:
        return None
    return None if not chunk and isinstance(stream, Unpacked) and stream.damage else chunk


def _plain(file: BinaryIO) -> tuple[BinaryIO | Unpacked, int]:
    """The file without compression, and the moment (ms) after which nothing was written to it."""
    head = file.peek(8)[:8] if hasattr(file, "peek") else b""
    try:
        dated_ms = int(Path(file.name).stat().st_mtime * 1000)
    except (OSError, TypeError, AttributeError):
        dated_ms = time.time_ns() // 1_000_000
    if not head.startswith(GZIP):
        return file, dated_ms
    if len(head) == 8 and (packed_s := struct.unpack_from("<I", head, 4)[0]):
        dated_ms = packed_s * 1000  # the date of the original (RFC 1952, MTIME)
    return Unpacked(file), dated_ms
