"""
Slowing down whoever guesses: a growing wait per name and per address.

Decision: the count is in the database, so a restart or a second panel forgets nothing, and it forgets itself. Nobody is
locked out: the wait of a name stays at a minute at most, or a stranger could keep its owner away; that of an address grows
further. An IPv6 address counts with its whole /64, since one machine has all of it.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from streams.core.addresses import cut, parse_address
from streams.core.refusal import Refused
from streams.panel.store import sign_in as rows

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How many failures are free, and how long one waits at most after more."""

    free: int
    longest_s: int


NAME = Pace(free=5, longest_s=60)
ADDRESS = Pace(free=20, longest_s=900)
NO_NAME = "?"


def keys(name: str, address: str) -> dict[str, Pace]:
    """What a try counts under."""
    return {f"name:{name or NO_NAME}": NAME, f"address:{_neighbourhood(address)}": ADDRESS}


def wait_s(connection: Connection, counted: dict[str, Pace], now_ms: int) -> int:
    """Seconds until the next try is taken; 0 = now."""
    longest = 0
    for key, pace in counted.items():
        found = rows.attempts(connection, key)
        until_ms = found.last_ms + _delay_s(found.failures, pace) * 1000
        longest = max(longest, -((now_ms - until_ms) // 1000) if until_ms > now_ms else 0)
    return longest


def failed(connection: Connection, counted: dict[str, Pace], now_ms: int) -> None:
    """Count a failed try."""
    for key in counted:
        rows.failed(connection, key, now_ms, window_ms=HOUR_MS)


def succeeded(connection: Connection, counted: dict[str, Pace]) -> None:
    """Forget the failures of a name that signed in; its address keeps its own, or one account would free guesses at others."""
    for key, pace in counted.items():
        if pace is NAME:
            rows.succeeded(connection, key)


def _delay_s(failures: int, pace: Pace) -> int:
    """
    1, 2, 4 … seconds after the free failures.

    >>> [_delay_s(n, Pace(free=2, longest_s=5)) for n in (1, 2, 3, 4, 9)]
    [0, 1, 2, 4, 5]
    """
    return 0 if failures < pace.free else min(1 << min(failures - pace.free, 20), pace.longest_s)


def _neighbourhood(address: str) -> str:
    try:
        return str(cut(parse_address(address), 32, 64))
    except Refused:
        return "unknown"
