"""
Policies, safe networks and domains on their way to the engine.

A view reads them in its own thread; the engine takes them on the event loop, between two batches, so that no batch is
judged by two policies. None is judged before everything that was there at the start has been taken.
"""

import queue
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import structlog

from streams import topology
from streams.bus.record import Record
from streams.bus.view import TableView
from streams.core.refusal import Refused
from streams.engine.engine import Engine
from streams.errors import RegistryUnavailableError
from streams.settings import Settings

log = structlog.get_logger(__name__)

WAITING_BATCHES = 64
REGISTRY_PAUSE_S = 1.0


class Tables(Protocol):
    """What the worker asks of its policies."""

    def start(self) -> None:
        """Begin to read."""

    def stop(self) -> None:
        """Stop reading."""

    def apply_pending(self) -> None:
        """Give the engine what has come, on the caller's thread."""

    def ready(self) -> bool:
        """Take what has come; whether that is everything that was there at the start."""

    def problem(self) -> str | None:
        """Why the policies in force may not be those on the topics; None when all is well."""


class PolicyTables:
    """
    The three compacted tables of `topology.TABLES`. `on_refused` gets live records that are invalid.

    A record whose schema only a registry knows waits for it, and what follows waits behind it: logins are judged by what
    was in force before, and `problem` says so.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        on_refused: Callable[[Record, Refused], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._engine = engine
        self._on_refused = on_refused
        self._pending: queue.Queue[list[Record]] = queue.Queue(maxsize=WAITING_BATCHES)
        self._taken: deque[Record] = deque()
        self._registry: str | None = None
        self._again = 0.0
        self._stopped = False
        self._view = TableView(settings, topology.TABLES, apply_batch=self._put, on_failure=on_failure, name="policies")

    def start(self) -> None:
        """Begin to read."""
        self._view.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopped = True
        self._view.stop()

    def apply_pending(self) -> None:
        """Give the engine what has come, on the caller's thread."""
        if monotonic() < self._again:
            return
        while self._taken or not self._pending.empty():
            if not self._taken:
                self._taken.extend(self._pending.get_nowait())
            try:
                self._take(self._taken[0])
            except RegistryUnavailableError as error:
                self._registry, self._again = str(error), monotonic() + REGISTRY_PAUSE_S
                return
            self._taken.popleft()
        self._registry = None

    def ready(self) -> bool:
        """Take what has come; whether that is everything that was there at the start."""
        caught_up = self._view.caught_up.is_set()  # asked first: what came before it is in the queue by now
        self.apply_pending()
        return caught_up and self._registry is None

    def problem(self) -> str | None:
        """Why the policies in force may not be those on the topics; None when all is well."""
        return self._registry or self._view.problem()

    def _put(self, records: list[Record]) -> None:
        """In the view's thread: wait while the event loop is behind."""
        while not self._stopped:
            try:
                self._pending.put(records, timeout=0.1)
            except queue.Full:
                continue
            return

    def _take(self, record: Record) -> None:
        try:
            self._engine.apply_table(record.topic, record.key, record.value)
        except Refused as refused:
            if record.live:
                self._on_refused(record, refused)
            else:
                log.warning(
                    "an invalid record is ignored", topic=record.topic, offset=record.offset, reason=refused.reason
                )
