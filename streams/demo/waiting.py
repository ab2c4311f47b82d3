"""Waiting for several things at once, ended by Ctrl-C, and without losing an error on the way."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any


@contextlib.contextmanager
def interrupts(stop: asyncio.Event) -> Iterator[None]:
    """Ctrl-C and the signals of supervisors set `stop`; outside the main thread there are none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def ended_with(*work: Any) -> AsyncIterator[None]:
    """Run these beside the block and end them with it; what one of them raises is raised."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        yield
    finally:
        await cancel(*tasks)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks; raise what one of them failed with."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
            raise result


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait this long, or until `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
