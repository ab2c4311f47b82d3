"""Parts of a benchmark that have a process of their own, so that they do not take turns with what is measured."""

from collections.abc import Callable
from multiprocessing import get_context
from typing import Any, Self

from benchmarks.harness.process import cpu_s, memory_mib

READY_S = 120
SPAWN = get_context("spawn")


class Apart:
    """A function in a process of its own: it is given a pipe, says once that it is ready, and ends when told."""

    def __init__(self, run: Callable[..., None], *arguments: Any) -> None:
        self._ours, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=run, args=(theirs, *arguments), daemon=True)
        self.ready: Any = None
        """What it said."""

    def __enter__(self) -> Self:
        self._process.start()
        if not self._ours.poll(READY_S):
            raise TimeoutError(f"{self._process.name} was not ready within {READY_S} s")
        self.ready = self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # nothing of it is to be kept
        self._process.join()

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far, all threads."""
        assert self._process.pid is not None
        return cpu_s(self._process.pid)

    @property
    def memory_mib(self) -> float:
        """The greatest resident set so far."""
        assert self._process.pid is not None
        return memory_mib(self._process.pid)
