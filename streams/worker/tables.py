"""
Policies, safe networks and domains on their way to the engine.

A view reads them in its own thread; the engine takes them on the event loop, between two batches, so that no batch is
judged by two policies. None is judged before everything that was there at the start has been taken.

Decision: a schema registry is asked in the view's thread. It may take seconds for an answer, in which no login would be judged.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from streams import topology
from streams.bus.record import Record
from streams.bus.view import TableView
from streams.core.refusal import Refused
from streams.engine.engine import Engine
from streams.errors import BadRecordError, RegistryUnavailableError
from streams.records.codec import CONFLUENT
from streams.records.registry import Registry
from streams.settings import Settings

log = structlog.get_logger(__name__)

WAITING_BATCHES = 64
REGISTRY_PAUSE_S = 1.0

Read = tuple[Record, Refused | None]
"""A record, and why it is refused if that is known already."""


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
    The three compacted tables of `topology.TABLES`. `on_refused` gets live records that are invalid; `registry` is that of
    the engine's codec, which remembers what it was told.

    A record whose schema only a registry knows waits for it, and what follows waits behind it: logins are judged by what
    was in force before, and `problem` says so.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        on_refused: Callable[[Record, Refused], None],
        on_failure: Callable[[BaseException], None],
        *,
        registry: Registry | None,
    ) -> None:
        self._engine = engine
        self._on_refused = on_refused
        self._pending: queue.Queue[list[Read]] = queue.Queue(maxsize=WAITING_BATCHES)
        self._taken: deque[Read] = deque()
        self._registry = registry
        self._registry_trouble: str | None = None
        self._stop = threading.Event()
        self._view = TableView(settings, topology.TABLES, apply_batch=self._put, on_failure=on_failure, name="policies")

    def start(self) -> None:
        """Begin to read."""
        self._view.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._view.stop()

    def apply_pending(self) -> None:
        """Give the engine what has come, on the caller's thread."""
        while self._taken or not self._pending.empty():
            if not self._taken:
                self._taken.extend(self._pending.get_nowait())
            self._take(*self._taken[0])
            self._taken.popleft()

    def ready(self) -> bool:
        """Take what has come; whether that is everything that was there at the start."""
        caught_up = self._view.caught_up.is_set()  # asked first: what came before it is in the queue by now
        self.apply_pending()
        return caught_up and self._registry_trouble is None

    def problem(self) -> str | None:
        """Why the policies in force may not be those on the topics; None when all is well."""
        return self._registry_trouble or self._view.problem()

    def _put(self, records: list[Record]) -> None:
        """In the view's thread: wait while a registry is away that must be asked, and while the event loop is behind."""
        known: list[Read] = []
        for record in records:
            while not self._stop.is_set():
                try:
                    known.append((record, self._learn(record)))
                    break
                except RegistryUnavailableError as error:
                    self._registry_trouble = str(error)
                    self._hand_over(known)
                    known = []
                    self._stop.wait(REGISTRY_PAUSE_S)
        self._hand_over(known)

    def _learn(self, record: Record) -> Refused | None:
        """Have the registry's answer for the time when the record is decoded. Raises RegistryUnavailableError."""
        raw = record.value or b""
        if self._registry is None or raw[:1] != b"\0" or len(raw) < CONFLUENT.size:
            return None
        refusal = None
        try:
            self._registry.writer_schema(CONFLUENT.unpack_from(raw)[1])
        except BadRecordError as error:
            refusal = error
        self._registry_trouble = None
        return refusal

    def _hand_over(self, known: list[Read]) -> None:
        while known and not self._stop.is_set():
            try:
                self._pending.put(known, timeout=0.1)
            except queue.Full:
                continue
            return

    def _take(self, record: Record, refusal: Refused | None) -> None:
        try:
            if refusal is not None:
                raise refusal
            self._engine.apply_table(record.topic, record.key, record.value)
        except Refused as refused:
            if record.live:
                self._on_refused(record, refused)
            else:
                log.warning(
                    "an invalid record is ignored", topic=record.topic, offset=record.offset, reason=refused.reason
                )
