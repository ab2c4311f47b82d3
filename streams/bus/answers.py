"""
Questions about accounts: a command goes to `account-commands`, the answer comes back on `account-views`.

Decision: one reader at the end of `account-views` per process, since the worker that owns the partition answers and nobody
has to know which one that is; an answer is known by the id of its question. Nothing is asked before that reader stands,
so no answer is missed.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import structlog

from streams.bus.record import Record
from streams.bus.tail import Tail
from streams.core.refusal import Refused
from streams.errors import BrokerUnavailableError, ConfigurationError, LoginwatchError, TopicError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import VIEWS

log = structlog.get_logger(__name__)

OPEN_WITHIN_S = 30.0
READ_S = 0.1
LONGEST_PAUSE_S = 5.0
View = dict[str, Any]


class Answers:
    """Hears the answers of workers, in a thread of its own. As a context it is open, or raises why it cannot be."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self.last_error: str | None = None
        """Why no answers can be heard now; None when they can."""
        self._settings = settings
        self._codec = codec
        self._waiting: dict[str, _Question] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._open = threading.Event()
        self._failure: LoginwatchError | None = None
        self._thread = threading.Thread(target=self._run, name="kafka-answers", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        self._settled.wait(OPEN_WITHIN_S)
        if self._failure is not None and not self._open.is_set():
            self.stop()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen; returns at once, and goes on trying while Kafka is away."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def ask(self, question: str, send: Callable[[], None], timeout_s: float) -> View | None:
        """
        The AccountView whose `request` is the id of this question, which `send` writes; None when none came in time.

        Raises whatever `send` raises.
        """
        if not self._open.wait(timeout_s):
            return None
        asked = _Question()
        with self._lock:
            self._waiting[question] = asked
        try:
            send()
            asked.answered.wait(timeout_s)
        finally:
            with self._lock:
                del self._waiting[question]
        return asked.view

    def _run(self) -> None:
        pause_s = 0.1
        while not self._stop.is_set():
            try:
                with Tail(self._settings, [VIEWS], start="end") as tail:
                    self._set_open(None)
                    pause_s = 0.1
                    while not self._stop.is_set():
                        for record in tail.read(READ_S):
                            self._take(record)
            except (BrokerUnavailableError, ConfigurationError, TopicError) as error:
                self._set_open(error)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _set_open(self, error: LoginwatchError | None) -> None:
        self._failure = error
        self.last_error = None if error is None else str(error)
        if error is None:
            self._open.set()
        else:
            self._open.clear()
        self._settled.set()

    def _take(self, record: Record) -> None:
        if not self._waiting or record.value is None:
            return
        try:
            view = self._codec.decode(VIEWS.record, record.value)
        except (Refused, LoginwatchError):
            log.debug("an answer cannot be read", partition=record.partition, offset=record.offset)
            return
        with self._lock:
            asked = self._waiting.get(view["request"])
        if asked is not None:
            asked.view = view
            asked.answered.set()


class _Question:
    """Somebody who waits for an answer."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.view: View | None = None
