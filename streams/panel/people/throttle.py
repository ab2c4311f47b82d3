"""
Slowing down whoever guesses: a growing wait per name and per address.

Decision: the count is in the database, so a restart or a second panel forgets nothing, and it forgets itself. The wait of a
name stays at a minute at most; that of an address grows further. An IPv6 address counts with its whole /64, since one machine
has all of it.

Decision: whoever tries a name from many addresses all the time takes every turn that the name has, and would keep its owner
away. So an address from which somebody was let in lately has turns of its own at that name. At a new one the owner may have
to wait as long as the stranger goes on.

Decision: a try counts as failed before it is judged, in the transaction that finds that it need not wait, and is taken back
when it was right. Judging takes long, and many tries that are sent at once would otherwise all find none before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from streams.core.addresses import cut, parse_address
from streams.core.refusal import Refused
from streams.errors import LoginwatchError
from streams.panel.store import sign_in as rows

HOUR_MS = 3_600_000
KNOWN_MS = 30 * 24 * HOUR_MS
"""How long an address is known as one of a person's; kept as long as failures are."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many failures are free, and how long one waits at most after more."""

    free: int
    longest_s: int


NAME = Pace(free=5, longest_s=60)
ADDRESS = Pace(free=20, longest_s=900)
NO_NAME = "?"


class TooSoonError(LoginwatchError):
    """The next try is taken in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many tries: wait {seconds} seconds")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Try:
    """A try that counts as failed as long as nobody says otherwise: what each key had before it, and with it."""

    counted: Mapping[str, Pace]
    before: Mapping[str, rows.Attempts]
    after: Mapping[str, rows.Attempts]


def keys(name: str, address: str, *, known: bool = False) -> dict[str, Pace]:
    """What a try counts under: the name, at a `known` address with nobody from elsewhere, and the address."""
    here = _neighbourhood(address)
    whose = f"known:{here} {name}" if known else f"name:{name or NO_NAME}"
    return {whose: NAME, f"address:{here}": ADDRESS}


def keys_of(connection: Connection, name: str, address: str, now_ms: int) -> dict[str, Pace]:
    """The same, as far as the panel knows the address."""
    let_in = rows.attempts(connection, _let_in(name, address))
    return keys(name, address, known=now_ms - let_in.last_ms < KNOWN_MS)


def know(connection: Connection, name: str, address: str, now_ms: int) -> None:
    """Keep that somebody was wholly let in from an address: a row without failures, which goes when it is old."""
    key = _let_in(name, address)
    rows.locked_attempts(connection, key, now_ms)
    rows.answered(connection, key, now_ms)


def check(connection: Connection, counted: Mapping[str, Pace], now_ms: int) -> None:
    """Raises TooSoonError when a try would have to wait, as far as one sees without writing."""
    _demand(counted, {key: rows.attempts(connection, key) for key in counted}, now_ms)


def begin(connection: Connection, counted: Mapping[str, Pace], now_ms: int) -> Try:
    """
    Count a try, in a transaction that is over before the try is judged.

    Raises TooSoonError, which has to end the transaction: a try that is not taken counts for nothing.
    """
    before = {key: rows.locked_attempts(connection, key, now_ms) for key in counted}
    _demand(counted, before, now_ms)
    after = {
        # no earlier than the last one: this one may have waited for the lock
        key: rows.failed(connection, key, max(now_ms, before[key].last_ms), window_ms=HOUR_MS)
        for key in counted
    }
    return Try(counted, before, after)


def failed(connection: Connection, begun: Try, now_ms: int) -> None:
    """Leave a try counted; the wait begins with its answer."""
    for key in begun.counted:
        rows.answered(connection, key, now_ms)


def take_back(connection: Connection, begun: Try) -> None:
    """Count a try no more that was right; the failures before it stay."""
    for key in begun.counted:
        rows.take_back(connection, key, begun.before[key], begun.after[key])


def succeeded(connection: Connection, begun: Try) -> None:
    """Forget the failures of a name that signed in; its address keeps its own, or one account would free guesses at others."""
    take_back(connection, begun)
    for key, pace in begun.counted.items():
        if pace is NAME:
            rows.succeeded(connection, key)


def _demand(counted: Mapping[str, Pace], found: Mapping[str, rows.Attempts], now_ms: int) -> None:
    waits = (found[key].last_ms + _delay_s(found[key].failures, pace) * 1000 - now_ms for key, pace in counted.items())
    longest_ms = max(waits)
    if longest_ms > 0:
        raise TooSoonError(-(-longest_ms // 1000))


def _delay_s(failures: int, pace: Pace) -> int:
    """
    1, 2, 4 … seconds after the free failures.

    >>> [_delay_s(n, Pace(free=2, longest_s=5)) for n in (1, 2, 3, 4, 9)]
    [0, 1, 2, 4, 5]
    """
    return 0 if failures < pace.free else min(1 << min(failures - pace.free, 20), pace.longest_s)


def _let_in(name: str, address: str) -> str:
    return f"let in:{_neighbourhood(address)} {name}"


def _neighbourhood(address: str) -> str:
    try:
        return str(cut(parse_address(address), 32, 64))
    except Refused:
        return "unknown"
