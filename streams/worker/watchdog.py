"""
A thread that ends the process when it stands still, so that the supervisor can start it again.

A consumer may hang in ways that no exception reports (commits that stop after a rebalance, a fetcher that waits for
ever); each of them shows in two numbers: records wait and none is processed, or records are processed and not
committed. Kafka being away is not our stall: the clock starts anew when it answers again.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence

import structlog

from streams.errors import StalledError
from streams.worker.progress import Progress
from streams.worker.trouble import Trouble

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
BROKER_SILENT_S = 15.0
"""Kafka counts as away when the lag reader (every 5 s) has had no answer for this long."""
SETTLE_FACTOR = 3
"""A rebalance waits for every member of the group, so it may take several stall timeouts."""


def stalls(progress: Progress, timeout_s: float, now: float, troubles: Sequence[Trouble] = ()) -> Iterator[str]:
    """Every way in which the worker stands still at `now`, as a sentence; with what its producers wait for, if they do."""
    why = "".join(f". {trouble.sentence}" for trouble in troubles if trouble.sentence is not None)
    silent = now - progress.loop_beat
    if silent > timeout_s:
        yield f"the event loop has not run for {silent:.0f} s"
    if progress.broker_error is not None or now - progress.broker_seen > BROKER_SILENT_S:
        return
    if progress.recovering:
        return  # the reader of the changelog has a watch of its own
    if not progress.settled:
        since = max(progress.unsettled_at, progress.count_from)
        if now - since > SETTLE_FACTOR * timeout_s:
            yield f"a rebalance of the group has not ended for {now - since:.0f} s"
        return
    for (topic, partition), seen in list(progress.partitions.items()):
        position = max(seen.processed, seen.committed, 0)
        idle = now - max(seen.processed_at, seen.since, progress.count_from)
        if seen.end > position and idle > timeout_s:
            waits = seen.end - position
            yield f"{topic} [{partition}]: {waits} records wait and none was processed for {idle:.0f} s{why}"
        idle = now - max(seen.committed_at, seen.since, progress.count_from)
        if seen.processed > seen.committed and idle > timeout_s:
            yield f"{topic} [{partition}]: offset {seen.processed} is processed and not committed for {idle:.0f} s"


def end_process(sentence: str) -> None:
    """Say why and exit at once: a stuck process cannot be trusted to stop in good order."""
    log.error("the watchdog ends this worker", reason=sentence, todo="the supervisor starts it again; nothing is lost")
    os._exit(StalledError.exit_code)


class Watchdog:
    """Looks at the progress every second, in a thread of its own: the event loop may be what hangs."""

    def __init__(
        self,
        progress: Progress,
        timeout_s: float,
        end: Callable[[str], None] = end_process,
        interval_s: float = INTERVAL_S,
        troubles: Sequence[Trouble] = (),
    ) -> None:
        self._progress = progress
        self._timeout_s = timeout_s
        self._end = end
        self._interval_s = interval_s
        self._troubles = troubles
        self._woke = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch. What freezes the process from now on is noticed, also before the thread runs."""
        self._woke = self._progress.clock()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            now = self._progress.clock()
            frozen = now - self._woke > self._interval_s + self._timeout_s / 2
            self._woke = now
            if frozen:  # the whole process was stopped: its numbers are as old as ours
                self._progress.count_from = self._progress.loop_beat = now
                continue
            for sentence in stalls(self._progress, self._timeout_s, now, self._troubles):
                self._end(sentence)
                return
