"""How a process that reads a topic on an event loop is served: health, signals, and its two lines of log."""

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import structlog

from streams.bus.health import HealthServer
from streams.metrics import Metrics

LOG = structlog.get_logger(__name__)


class Served(Protocol):
    """What is served."""

    metrics: Metrics

    def stop(self) -> None:
        """Let `run` return. Called on the event loop."""

    def problems(self) -> list[str]:
        """Why it does not work, a sentence each."""

    async def run(self) -> None:
        """Work until `stop`."""


Some = TypeVar("Some", bound=Served)


def serve_until_told(
    name: str,
    make: Callable[[], Some],
    listen: str,
    *,
    setting: str,
    ready: Callable[[Some, HealthServer], None] | None,
    **said: Any,
) -> int:
    """
    Make it and run it until SIGTERM or SIGINT; the exit code. `setting` names the address `listen` of its health pages.

    In a thread other than the main one there are no signals: keep what `ready` is given, and call its `stop` on its event
    loop. Raises what `make` and its `run` raise.
    """

    async def main() -> None:
        process = make()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, process.stop)
        with HealthServer(listen, metrics=process.metrics, ready=process.problems, setting=setting) as health:
            LOG.info("%s starts", name, health=health.address, **said)
            if ready is not None:
                ready(process, health)
            await process.run()
        LOG.info("%s stopped", name)

    asyncio.run(main())
    return 0
