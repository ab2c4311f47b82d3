"""
Telling open pages that something changed.

Decision: only numbers are passed on, not records: a page that hears of a change asks the store again, with its reader's
rights. Numbers come from the database, so panels that share one agree on them, and a browser that comes back can say
which it saw last.
"""

import asyncio
import threading
from collections.abc import Iterable, Mapping

KINDS = ("incidents", "blocks", "rules", "reviews", "audit")
"""What can change: incidents, blocks, rules (policies, safe networks, domains), reviews, the audit."""
ANY = "change"


class Changes:
    """The highest change number, of any kind and of each, for any number of waiting pages. Thread-safe."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = dict.fromkeys((ANY, *KINDS), 0)
        self._condition = threading.Condition()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False

    @property
    def number(self) -> int:
        """The last change of any kind; 0 before the first."""
        return self._numbers[ANY]

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more: the panel stops."""
        return self._closed

    def of(self, kinds: Iterable[str]) -> int:
        """The last change of one of these kinds."""
        return max((self._numbers[kind] for kind in kinds), default=0)

    def publish(self, numbers: Mapping[str, int]) -> None:
        """Take in numbers by kind, and wake whoever waits. Numbers never fall."""
        with self._condition:
            for kind, number in numbers.items():
                self._numbers[kind] = max(self._numbers.get(kind, 0), number)
            self._wake()

    def close(self) -> None:
        """Wake everybody for the last time."""
        with self._condition:
            self._closed = True
            self._wake()

    def wait(self, seen: int, timeout_s: float, kinds: Iterable[str] = (ANY,)) -> int:
        """The last change number of these kinds as soon as it is above `seen`, or after the timeout. For threads."""
        wanted = tuple(kinds)
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self.of(wanted) > seen, timeout_s)
        return self.of(wanted)

    async def wait_async(self, seen: int, timeout_s: float, kinds: Iterable[str] = (ANY,)) -> int:
        """As `wait`, for coroutines."""
        wanted = tuple(kinds)
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._condition:
            self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._closed and self.of(wanted) <= seen:
                    await waiter[1].wait()
                    waiter[1].clear()
        except TimeoutError:
            pass
        finally:
            with self._condition:
                self._waiting.discard(waiter)
        return self.of(wanted)

    def _wake(self) -> None:
        self._condition.notify_all()
        for loop, event in self._waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
