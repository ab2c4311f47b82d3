"""Histories of accounts as hypothesis draws them, and what the engine writes of them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.model.compare import Machine, Outputs
from tests.model.generators import FEW, SIXES, START_MS, Flavour, Move, Step, flavour, move, opening
from tests.model.logs import steps
from tests.model.values import MINUTE_MS

LATENESS_MS = 10 * MINUTE_MS
SECOND_MS = 1000
slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def moves(draw: st.DrawFn, kind: Flavour) -> Move:
    """One move of a log."""
    return move(lambda options: draw(st.sampled_from(options)), kind)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Flavour, list[Step]]:
    """A kind of log, and its records."""

    def choose(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    kind = flavour(choose)
    first = opening(choose, kind)
    return kind, steps(kind, [first, *draw(st.lists(moves(kind), max_size=40))])


def policy(window: int, **fields: Any) -> Step:
    """The policy of everyone."""
    value = {"scope": "everyone", "time_window": window, "actor": "test", "time": START_MS, **fields}
    return Step("policies", START_MS, value, "everyone")


def login(time_ms: int, now_ms: int, ip: str) -> Step:
    """A login of the one account."""
    value = {"time": time_ms, "account": "user@example.org", "ip": ip, "success": True, "service": "imap"}
    return Step("logins", now_ms, value, "user@example.org")


def read(records: Sequence[Step], lateness_ms: int = LATENESS_MS) -> Outputs:
    """All that the engine writes."""
    machine = Machine(lateness_ms)
    return [output for step in records for output in machine.read(step)]


times = st.integers(0, 80).map(lambda halves: START_MS + halves * 30 * SECOND_MS)
delays = st.integers(0, 20).map(lambda halves: halves * 30 * SECOND_MS)
"""At most as much as the lateness, so that no login comes too late whatever its delay."""
addresses = st.sampled_from(FEW + SIXES)
logins = st.lists(st.tuples(times, delays, addresses), min_size=1, max_size=25)
windows = st.sampled_from((1, 5, 11, 30))
limits = st.tuples(st.integers(0, 3), st.integers(0, 2))
