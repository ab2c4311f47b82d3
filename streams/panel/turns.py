"""
Turns at changing policies: one at a time on all panels of a database, the next when the one before can be read.

Decision: a change is compared with the read model, which the topic reaches a moment later. So the lock of the database is
held until the follower has read what was written, in the background where that takes longer than a page may.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep

import structlog
from sqlalchemy import Engine

from streams.panel.outbox import Placed
from streams.panel.store.engine import exclusive

log = structlog.get_logger(__name__)
PURPOSE = "rules"
TAKEN_WITHIN_S = 3.0
HELD_S = 60.0
"""How long a change that is not read back holds up others: a topic made anew may never come to where it was written."""
STEP_S = 0.05
Reads = Callable[[Sequence[Placed], float], bool]
"""Waits until records are in the database; False after so many seconds."""


class Turn:
    """One change: `written` says where its records are."""

    def __init__(self) -> None:
        self.written: Sequence[Placed] = ()


class Turns:
    """Gives turns, and holds what is not read back yet. Used by many threads at once."""

    def __init__(self, engine: Engine, reads: Reads, *, held_s: float = HELD_S) -> None:
        self._engine = engine
        self._reads = reads
        self._held_s = held_s
        self._closing = threading.Event()
        self._holders: set[threading.Thread] = set()

    @contextmanager
    def take(self, within_s: float = TAKEN_WITHIN_S) -> Iterator[Turn | None]:
        """
        The only turn on this database until the block ends and its records are read back; None when others took so long.

        Raises StoreUnavailableError.
        """
        with ExitStack() as lock:
            if not self._locked(lock, within_s):
                yield None
                return
            turn = Turn()
            yield turn
            if not self._reads(turn.written, 0):
                self._hold(lock.pop_all(), turn.written)

    def close(self) -> None:
        """Hold nothing any more: before the database is let go of."""
        self._closing.set()
        for holder in list(self._holders):
            holder.join()

    def _locked(self, lock: ExitStack, within_s: float) -> bool:
        deadline = monotonic() + within_s
        while True:
            with ExitStack() as attempt:
                if attempt.enter_context(exclusive(self._engine, PURPOSE, wait=False)):
                    lock.push(attempt.pop_all())
                    return True
            if monotonic() >= deadline:
                return False
            sleep(STEP_S)

    def _hold(self, lock: ExitStack, written: Sequence[Placed]) -> None:
        holder = threading.Thread(target=self._until_read, args=(lock, written), name="panel-turn", daemon=True)
        self._holders.add(holder)
        holder.start()

    def _until_read(self, lock: ExitStack, written: Sequence[Placed]) -> None:
        deadline = monotonic() + self._held_s
        with lock:
            while not self._closing.is_set() and not self._reads(written, STEP_S):
                if monotonic() >= deadline:
                    log.warning("a changed policy is not read back: others are changed without it", topic="policies")
                    break
        self._holders.discard(threading.current_thread())
