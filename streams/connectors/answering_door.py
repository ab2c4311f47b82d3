"""
What the doors have in common: they answer from views of Kafka, report to it, say when it goes, and drain before they end.

Decision: a door that has loaded its views once goes on answering without Kafka, from what it knows.
"""

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeVar

import structlog
import uvloop

from streams.bus.view import TableView
from streams.connectors.blocks_view import BlocksView
from streams.connectors.report_sender import ReportSender
from streams.metrics import (
    BLOCKS_HELD,
    DOOR_CONNECTIONS,
    KAFKA_UP,
    REPORTS_BUFFERED,
    VIEW_LAG,
    VIEW_READY,
    Metrics,
)

LOG = structlog.get_logger(__name__)

TICK_S = 0.01
"""How often acknowledgements are taken and the state is looked at: seldom enough to be cheap, often enough for short turns."""
SWITCH_S = 0.0001
"""
A view's thread gives way to a waiting request after this time. With 20,000 changes a second the 99th percentile is half of
what it is at Python's default of 5 ms.
"""


class Listener(Protocol):
    """Where the mail server asks."""

    @property
    def port(self) -> int:
        """The port listened on; 0 while there is none."""

    @property
    def connections(self) -> int:
        """Connections held open."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self, timeout_s: float) -> None:
        """Accept no more, and let begun requests end for at most so long."""


class Held(Protocol):
    """What was made of the records of a view."""

    def close(self) -> None:
        """Stop its housekeeping."""


class AnsweringDoor:
    """
    One door. `run` serves until `request_stop`.

    The first of `views` is that of `blocks`; `held` is closed when the listener is.
    """

    def __init__(
        self,
        name: str,
        metrics: Metrics,
        listener: Listener,
        *,
        views: Sequence[TableView],
        blocks: BlocksView,
        held: Sequence[Held],
        reports: ReportSender,
        drain_s: int,
    ) -> None:
        self.metrics = metrics
        self._name = name
        self._listener = listener
        self._views = views
        self._blocks = blocks
        self._held = held
        self._reports = reports
        self._drain_s = drain_s
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked = False
        self._show_gauges()

    @property
    def port(self) -> int:
        """The port listened on; 0 while there is none."""
        return self._listener.port

    @property
    def ready(self) -> bool:
        """Whether answers are judged: all views are loaded, and no stop was asked for."""
        return all(map(usable, self._views)) and not self._stop_asked

    async def run(self, ready: Callable[[Self], None] | None = None) -> None:
        """
        Serve until stopped, then drain: no new connections, begun requests answered, reports flushed.

        `ready` is called once, when all views are loaded. Kafka may be away at start: then all pass, counted.
        """
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        for view in self._views:
            view.start()
        try:
            await self._listener.start()
            LOG.info("%s listens", self._name, port=self.port, **self.addresses())
            await self._serve(self._stop, ready)
        finally:
            self._loop = None
            await self._drain()

    def request_stop(self) -> None:
        """Ask for the end of `run`, from any thread or a signal."""
        self._stop_asked = True
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def addresses(self) -> dict[str, Any]:
        """Where it listens, for the log."""
        return {}

    def troubles(self) -> list[str]:
        """What the operator should know although requests are answered: sentences."""
        return [trouble for trouble in (*(view.problem() for view in self._views), self._reports.problem()) if trouble]

    def failures(self) -> list[str]:
        """Views that ended: they never come back by themselves, a broker that is away does."""
        return [view.problem() or "" for view in self._views if view.failure is not None]

    async def _serve(self, stop: asyncio.Event, ready: Callable[[Self], None] | None) -> None:
        announced = without_kafka = False
        while not self._stop_asked:
            self._reports.poll()
            self._blocks.forget_ended(wall_ms())
            if not announced and self.ready:
                announced = True
                LOG.info("%s ready", self._name, blocks=len(self._blocks))
                if ready is not None:
                    ready(self)
            without_kafka = self._say_changes(without_kafka)
            try:
                await asyncio.wait_for(stop.wait(), TICK_S)
            except TimeoutError:
                continue

    async def _drain(self) -> None:
        self._stop_asked = True
        deadline = time.monotonic() + self._drain_s
        await self._listener.stop(self._drain_s / 2)
        for held in self._held:
            held.close()
        unsent, *_ = await asyncio.gather(
            asyncio.to_thread(self._reports.close, max(0.1, deadline - time.monotonic())),
            *(asyncio.to_thread(view.stop) for view in self._views),
        )
        LOG.info("%s stopped", self._name, reports_unsent=unsent)

    def _kafka_up(self) -> bool:
        return all(view.last_error is None for view in self._views) and self._reports.problem() is None

    def _say_changes(self, without_kafka: bool) -> bool:
        """One line of log when Kafka goes or comes back; whether it is away now."""
        if self._kafka_up() is not without_kafka:
            return without_kafka
        if without_kafka:
            LOG.warning("%s has Kafka again", self._name)
        else:
            LOG.warning("%s is without Kafka, answers from what it knows", self._name, reasons=self.troubles())
        return not without_kafka

    def _show_gauges(self) -> None:
        show = self.metrics.on_scrape
        show(BLOCKS_HELD, lambda: len(self._blocks))
        show(VIEW_LAG, self._views[0].lag)
        show(VIEW_READY, self._views[0].caught_up.is_set)
        show(KAFKA_UP, self._kafka_up)
        show(REPORTS_BUFFERED, lambda: self._reports.waiting)
        show(DOOR_CONNECTIONS, lambda: self._listener.connections)


def usable(view: TableView) -> bool:
    """Whether it is loaded and still follows its topics."""
    return view.caught_up.is_set() and view.failure is None


def wall_ms() -> int:
    """The wall clock: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


Some = TypeVar("Some", bound=AnsweringDoor)


def serve_door(door: Some, ready: Callable[[Some], None] | None = None) -> int:
    """
    Run a door until SIGTERM, SIGINT or its `request_stop`; the exit code. `ready` as for `AnsweringDoor.run`.

    A process that is a door alone is tuned for short answers. In a thread other than the main one there are no signals,
    and the process is left as it is.
    """
    alone = threading.current_thread() is threading.main_thread()

    def settled(door: Some) -> None:
        if alone:
            _freeze()
        if ready is not None:
            ready(door)

    async def main() -> None:
        if alone:
            sys.setswitchinterval(SWITCH_S)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, door.request_stop)
        await door.run(settled)

    uvloop.run(main())
    return 0


def _freeze() -> None:
    """A million blocks are loaded now: no collection needs to look through them again, 60 ms each time."""
    gc.collect()
    gc.freeze()
