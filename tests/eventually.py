"""Waiting for a condition with a deadline: the only way in which a test waits."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

Result = TypeVar("Result")

POLL_S = 0.02


def eventually(condition: Callable[[], Result], timeout_s: float = 20, *, what: str = "") -> Result:
    """What `condition` returns as soon as that is true; AssertionError after `timeout_s`, saying what did not happen."""
    deadline = monotonic() + timeout_s
    pause = threading.Event()
    while True:
        result = condition()
        if result:
            return result
        if monotonic() > deadline:
            raise AssertionError(_late(condition, timeout_s, what, result))
        pause.wait(POLL_S)


async def eventually_async(
    condition: Callable[[], Result | Awaitable[Result]], timeout_s: float = 20, *, what: str = ""
) -> Result:
    """As `eventually`, without holding the event loop; `condition` may be a coroutine function."""
    deadline = monotonic() + timeout_s
    while True:
        answer = condition()
        result: Result = await answer if inspect.isawaitable(answer) else answer
        if result:
            return result
        if monotonic() > deadline:
            raise AssertionError(_late(condition, timeout_s, what, result))
        await asyncio.sleep(POLL_S)


def _late(condition: Callable[[], object], timeout_s: float, what: str, result: object) -> str:
    if not what:
        try:
            what = inspect.getsource(condition).strip()
        except (OSError, TypeError):
            what = repr(condition)
    return f"not within {timeout_s:g} s (last: {result!r}): {what}"
