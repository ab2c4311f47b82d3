"""
The log reader: follows mail logs and writes Logins and Submissions, for sites whose mail servers cannot report.

Settings: `log_*`. Decision: one loop reads a piece, sends its records, waits for Kafka's acknowledgement and only then saves
the position, so nothing is lost; what is repeated after a crash has the same ids. While Kafka is away reading waits: the
logs themselves are the buffer. Read on in `log_follow` and `log_files` (rotation), `log_reader` with `log_frames` and
`log_lines` (what a line says), `log_records` (records), `log_delivery` (Kafka), `log_position`; old logs in `log_backfill`.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from time import monotonic

import structlog

from streams.bus.health import HealthServer
from streams.connectors.log_delivery import Delivery, codec_of
from streams.connectors.log_follow import ROTATED_GRACE_S, FollowedLog, StandardInput
from streams.connectors.log_frames import FrameReader, zone_of
from streams.connectors.log_position import Progress, load_progress, lock_progress, save_progress, unwritable
from streams.connectors.log_reader import LineReader, Unreadable
from streams.connectors.log_records import Made, RecordMaker
from streams.core.refusal import Refused
from streams.errors import ConfigurationError
from streams.metrics import KAFKA_UP, LOG_BEHIND, LOG_LET_GO, LOG_LINES, LOG_ROTATIONS, LOG_WAITING, Metrics
from streams.records.codec import Codec
from streams.settings import Settings

LOG = structlog.get_logger(__name__)

STANDARD_INPUT = "-"
POLL_S = 0.25
SAVE_EVERY_S = 1.0
STOP_S = 5.0
"""For records on their way when the process is told to stop; later ones are read again at the next start."""


class LogReader:
    """
    One log reader. Raises ConfigurationError for settings that cannot work.

    `codec`, `grace_s` and `descriptor` (of standard input) are for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        codec: Codec | None = None,
        grace_s: float = ROTATED_GRACE_S,
        descriptor: int = 0,
    ) -> None:
        if not settings.log_files:
            raise ConfigurationError(
                "there is nothing to follow: set log_files, for instance /var/log/mail.log, or name files"
            )
        zone = _zone(settings)
        self.metrics = Metrics("logs")
        self._position_file = Path(settings.log_position_file)
        self._keeps_position = True
        self._lock: int | None = None
        progress = self._load(needed=any(name != STANDARD_INPUT for name in settings.log_files))
        self._logs = progress.logs
        """Positions, also of logs that are not read now."""
        self._cursors = progress.cursors
        self._newest = dict(progress.newest)
        self._stop = threading.Event()
        self._unreadable = Unreadable(self.metrics)
        self._records = RecordMaker(
            default_domain=settings.default_domain, failed_logins=settings.log_failed_logins, waiting=progress.waiting
        )
        self._delivery = Delivery(settings, codec or codec_of(settings), self.metrics, self._unreadable, self._stop)
        self._sources = [
            _open(name, progress, settings, grace_s, descriptor) for name in dict.fromkeys(settings.log_files)
        ]
        self._frames = {
            source.name: FrameReader(zone, _now_ms, self._newest.get(source.name, 0)) for source in self._sources
        }
        self._readers = {
            name: LineReader(frames, settings.log_programs, self._unreadable) for name, frames in self._frames.items()
        }
        self._trouble: str | None = None
        self._unsaved = True
        self._saved_s = 0.0
        self._counted = {LOG_LET_GO.name: 0, LOG_ROTATIONS.name: 0}
        self._show_gauges()

    def stop(self) -> None:
        """End `run` after the piece in hand, from any thread or a signal."""
        self._stop.set()

    def problems(self) -> list[str]:
        """Why logins do not flow, a sentence each; empty = all is well."""
        found = [source.trouble for source in self._sources] + [self._delivery.problem(), self._trouble]
        return [trouble for trouble in found if trouble]

    def run(self) -> None:
        """Follow until `stop`, or until standard input ends and there is nothing else."""
        try:
            while not self._stop.is_set():
                made, lines = self._read()
                if made and not self._delivery.deliver(made, STOP_S):
                    return  # stopped while Kafka is away: what is not acknowledged is not saved
                self._unsaved = self._unsaved or bool(lines)
                self._save_now_and_then()
                if not lines:
                    if all(source.ended for source in self._sources):
                        return
                    self._stop.wait(POLL_S)
            self._save()
        finally:
            for source in self._sources:
                source.close()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _read(self) -> tuple[list[Made], int]:
        """A piece of every log: the records in it, and how many lines it had."""
        made, number = [], 0
        for source in self._sources:
            reader = self._readers[source.name]
            lines = source.read()
            number += len(lines)
            for line in lines:
                if (event := reader.read(line)) is not None:
                    try:
                        record = self._records.take(event)
                    except Refused as refusal:
                        if getattr(event.said, "success", True):
                            self._unreadable.note(refusal, line)
                        continue
                    if record is not None:
                        made.append(record)
        self.metrics.of(LOG_LINES).inc(number)
        return made, number

    def _load(self, *, needed: bool) -> Progress:
        """The position, and proof that it can be saved; if it is not `needed`, reading goes on without one."""
        try:
            self._lock = lock_progress(self._position_file)
            progress = load_progress(self._position_file)
            try:
                save_progress(self._position_file, progress)
            except OSError as error:
                raise unwritable(self._position_file, error) from error
        except ConfigurationError as error:
            if needed:
                raise
            LOG.warning("standard input is read without a position: a restart repeats lines", reason=str(error))
            self._keeps_position = False
            return Progress({}, [])
        return progress

    def _save_now_and_then(self) -> None:
        if self._unsaved and monotonic() - self._saved_s >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        self._count_changes()
        if not self._keeps_position:
            return
        for source in self._sources:
            if isinstance(source, StandardInput):
                self._cursors = source.cursors()
            else:
                self._logs[source.name] = source.positions()
                self._newest[source.name] = self._frames[source.name].newest_ms
        self._saved_s = monotonic()
        try:
            save_progress(self._position_file, self._progress())
        except OSError as error:
            trouble = f"cannot write log_position_file {self._position_file}: {error.strerror}; a restart repeats lines"
            if self._trouble is None:
                LOG.warning("the position cannot be saved", file=str(self._position_file), reason=error.strerror)
            self._trouble = trouble
            return
        self._trouble = None
        self._unsaved = False

    def _progress(self) -> Progress:
        return Progress(self._logs, self._records.waiting(), self._cursors, newest=tuple(self._newest.items()))

    def _count_changes(self) -> None:
        now = {
            LOG_LET_GO: self._records.let_go,
            LOG_ROTATIONS: sum(source.rotations for source in self._sources),
        }
        for metric, value in now.items():
            self.metrics.of(metric).inc(value - self._counted[metric.name])
            self._counted[metric.name] = value

    def _show_gauges(self) -> None:
        show = self.metrics.on_scrape
        show(LOG_BEHIND, lambda: sum(source.behind for source in self._sources))
        show(LOG_WAITING, lambda: len(self._records))
        show(KAFKA_UP, lambda: self._delivery.problem() is None)


def serve(settings: Settings, *, ready: Callable[[LogReader, HealthServer], None] | None = None) -> int:
    """
    Run a log reader until SIGTERM or SIGINT; the exit code. In a thread other than the main one there are no signals: keep
    the reader that `ready` is given, and call its `stop`.

    Raises ConfigurationError for settings that cannot work.
    """
    reader = LogReader(settings)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reader.stop())
    health = HealthServer(
        settings.logs_health_listen, metrics=reader.metrics, ready=reader.problems, setting="logs_health_listen"
    )
    with health:
        LOG.info("log reader starts", health=health.address, logs=settings.log_files)
        if ready is not None:
            ready(reader, health)
        reader.run()
    LOG.info("log reader stopped")
    return 0


def _open(
    name: str, progress: Progress, settings: Settings, grace_s: float, descriptor: int
) -> FollowedLog | StandardInput:
    if name == STANDARD_INPUT:
        return StandardInput(descriptor, progress.cursors)
    path = Path(name).absolute()
    from_beginning = settings.log_from_beginning or progress.damaged
    return FollowedLog(path, progress.logs.get(str(path)), from_beginning=from_beginning, grace_s=grace_s)


def _zone(settings: Settings) -> tzinfo | None:
    try:
        return zone_of(settings.log_timezone)
    except Refused as refusal:
        raise ConfigurationError(f"setting log_timezone: {refusal}") from refusal


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
