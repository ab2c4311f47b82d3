"""
Random logs for comparing two implementations: few networks, few minutes, so that edges are hit.

A log is a list of moves relative to a clock that only goes on; `records` turns them into input records. Moves are drawn
through a `Choose`, which is either a seeded generator (long runs) or hypothesis (which makes a failing log small).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from tests.model.values import DAY_MS, MINUTE_MS, SKEW_MS

T = TypeVar("T")
Value = dict[str, Any]
START_MS = 1_767_606_900_000
"""2026-01-05 09:55 UTC."""
BEFORE_MIDNIGHT_MS = START_MS + 14 * 60 * MINUTE_MS
SECOND_MS = 1000

ACCOUNTS = ("user@example.org", "User@Example.ORG.", "user", "other@example.org", "üser@müller.example")
FEW = ("192.0.2.10", "192.0.2.11", "198.51.100.7", "198.51.100.200", "203.0.113.5", "198.18.0.1", "::ffff:192.0.2.10")
SIXES = ("2001:db8:de::1", "2001:db8:de::2", "2001:db8:de:1::1", "2001:db8:fa::1", "2001:db8::1")
CROWD = tuple(f"100.64.{i // 4}.{1 + 64 * (i % 4)}" for i in range(90)) + tuple(f"198.18.1.{i}" for i in range(70))
CIDRS = (
    "192.0.2.10/32",
    "192.0.2.0/24",
    "198.51.0.0/16",
    "2001:db8:de::/64",
    "2001:db8:de::1/128",
    "::ffff:203.0.113.0/120",
    "100.64.0.0/13",
    "198.18.1.0/26",
)
PREFIXES: tuple[Value, ...] = (
    {"ipv4_prefix": 32},
    {"ipv4_prefix": 24},
    {"ipv4_prefix": 25},
    {"ipv4_prefix": 16},
    {"ipv4_prefix": 8},
    {"ipv6_prefix": 48},
    {"ipv6_prefix": 128},
    {"ipv4_prefix": 7},
)
SENDERS = (
    "",
    "user@example.org",
    "User+List@Example.org",
    "alias@example.org",
    "Boss@example.com",
    "boss@example.com.",
    "no",
)
SCOPES = ("everyone", "group:a", "group:a/b", "domain:example.org", "account:user@example.org")


class Choose(Protocol):
    """Where chance comes from."""

    def __call__(self, options: Sequence[T], /) -> T:
        """One of the options."""


class Step(NamedTuple):
    """An input record at its `now`; a tombstone has a key and no value."""

    topic: str
    now_ms: int
    value: Value | None
    key: str


@dataclass(frozen=True)
class Move:
    """One entry of a log: how far the clock goes on before it (or, rarely, back), and what happens then."""

    after_ms: int
    kind: str
    offset_ms: int = 0
    """The time of the record less `now`."""
    value: Value = field(default_factory=dict)
    back: int = 0
    """For `again`: how many logins before the last one is repeated."""


@dataclass(frozen=True)
class Flavour:
    """What a log is made of: kinds of moves by weight, and the alphabets they draw from."""

    kinds: tuple[str, ...]
    addresses: tuple[str, ...]
    accounts: tuple[str, ...]
    steps_ms: tuple[int, ...]
    offsets_ms: tuple[int, ...]
    windows: tuple[int, ...]
    lateness: int
    start_ms: int


STEPS_MS = {
    "quick": (0, 0, 30 * SECOND_MS, MINUTE_MS),
    "even": (0, MINUTE_MS, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS),
    "slow": (MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS, DAY_MS),
    "wavering": (-MINUTE_MS, 0, MINUTE_MS, 2 * MINUTE_MS, 10 * MINUTE_MS),
    "months": (MINUTE_MS, 60 * MINUTE_MS, DAY_MS, 5 * DAY_MS, 30 * DAY_MS, 33 * DAY_MS),
}
EXTRAS = {
    "again": ("again", "again"),
    "safe": ("safe", "safe", "unsafe"),
    "policies": ("policy", "policy", "inherit", "group"),
    "prefixes": ("prefix", "window"),
    "modes": ("mode", "block_time", "mode"),
    "commands": ("reset", "block", "unblock", "unblock"),
    "messages": ("submission", "submission"),
    "bad": ("bad", "failed"),
}


def flavour(choose: Choose) -> Flavour:
    """A kind of log. Each leaves most things out: a log of everything reaches few places deeply."""
    kinds = ["login"] * choose((6, 12, 30))
    for extra in EXTRAS.values():
        kinds += extra if choose((True, False, False)) else ()
    lateness = choose((0, 2, 10))
    late = tuple(-minutes * MINUTE_MS for minutes in (0, 1, 1, 2, 3, 5, 7))
    edges = (0, -lateness * MINUTE_MS, -lateness * MINUTE_MS - 1, -20 * MINUTE_MS)
    skewed = (0, 0, MINUTE_MS, 3 * MINUTE_MS, SKEW_MS, SKEW_MS + 1, 60 * MINUTE_MS)
    return Flavour(
        kinds=tuple(kinds),
        addresses=choose((FEW, FEW[:4], FEW + SIXES, SIXES, CROWD, CROWD + FEW)),
        accounts=choose((ACCOUNTS[:1], ACCOUNTS[:1], ACCOUNTS[:3], ACCOUNTS)),
        steps_ms=STEPS_MS[choose(tuple(STEPS_MS))],
        offsets_ms=choose(((0,), late, late + edges, late + skewed)),
        windows=choose(((5,), (2, 5), (1, 10, 60), (0, 5), (1440, 43_200))),
        lateness=lateness,
        start_ms=choose((START_MS, BEFORE_MIDNIGHT_MS)),
    )


def opening(choose: Choose, kind: Flavour) -> Move:
    """The first move: everyone gets a policy under which something happens."""
    value = {
        "scope": "everyone",
        "time_window": choose(kind.windows),
        "allowed_ips": choose((1, 1, 2, 3, 0)),
        "allowed_countries": choose((0, 0, 1, 2)),
        "block_time": choose((0, 1, 3, 30)),
        "mode": choose(("enforce", "enforce", "observe")),
        "notify": choose(([], ["soc@example.org"], [" soc@example.org", "help@example.org", "SOC@Example.org"])),
        "notify_sender": choose((True, False, None)),
        "familiar_days": choose((0, 0, 1, 2)),
    }
    return Move(0, "policy", value=value)


def move(choose: Choose, kind: Flavour) -> Move:
    """One move of a log."""
    what = choose(kind.kinds)
    after_ms = choose(kind.steps_ms)
    offset_ms = choose(kind.offsets_ms)
    make = MAKERS.get(what)
    value = make(choose, kind) if make else {}
    return Move(after_ms, what, offset_ms, value, choose((0, 0, 1, 2, 5)) if what == "again" else 0)


def _login(choose: Choose, kind: Flavour) -> Value:
    return {
        "account": choose(kind.accounts),
        "ip": choose(kind.addresses),
        "success": True,
        "service": choose(("imap", "smtp")),
        "id": choose((None, None, None, "1", "")),
    }


def _policy(choose: Choose, kind: Flavour) -> Value:
    value = {
        "scope": choose(SCOPES),
        "time_window": choose((None, None, *kind.windows)),
        "allowed_ips": choose((None, 0, 1, 2, 3)),
        "allowed_countries": choose((None, 0, 1)),
        "ignored_countries": choose((None, None, [], ["DE"], ["fr", "US"])),
        "block_time": choose((None, 0, 2, 30)),
        "notify": choose((None, [], ["soc@example.org"])),
        "notify_sender": choose((None, True, False)),
        "match_domain": choose((None, True)),
        "familiar_days": choose((None, 0, 1)),
        "mode": choose((None, None, "enforce", "observe")),
    }
    return {name: value for name, value in value.items() if value is not None}


def _safe(choose: Choose, _kind: Flavour) -> Value:
    expires_ms = choose((None, 0, MINUTE_MS, 5 * MINUTE_MS))
    return {"scope": choose(SCOPES), "network": choose(CIDRS), "description": "office", "expires": expires_ms}


def _by_hand(action: str) -> Callable[[Choose, Flavour], Value]:
    def make(choose: Choose, kind: Flavour) -> Value:
        minutes = choose((None, 1, 5, 43_200, 0)) if action == "block" else None
        return {
            "account": choose(kind.accounts),
            "action": action,
            "minutes": minutes,
            "same": choose((False, False, True)),
        }

    return make


def _submission(choose: Choose, kind: Flavour) -> Value:
    return {
        "account": choose(kind.accounts),
        "accepted": choose((True, True, False)),
        "sender": choose(SENDERS),
        "id": choose((None, None, "1", "2")),
    }


def _bad(choose: Choose, kind: Flavour) -> Value:
    good = _login(choose, kind)
    wrong: tuple[Value, ...] = (
        {"ip": "192.0.2.300"},
        {"ip": "fe80::1%eth0"},
        {"ip": "[2001:db8::1]:143"},
        {"account": "@example.org"},
        {"account": "user@exa mple.org"},
    )
    return {**good, **choose(wrong)}


MAKERS: dict[str, Callable[[Choose, Flavour], Value]] = {
    "login": _login,
    "failed": lambda choose, kind: {**_login(choose, kind), "success": False},
    "bad": _bad,
    "policy": _policy,
    "inherit": lambda choose, _: {"scope": choose(SCOPES[1:])},
    "prefix": lambda choose, _: choose(PREFIXES),
    "window": lambda choose, kind: {"time_window": choose((*kind.windows, 0, 5, 43_201))},
    "mode": lambda choose, _: {"mode": choose(("enforce", "observe"))},
    "block_time": lambda choose, _: {"block_time": choose((0, 2, 30))},
    "group": lambda choose, _: {"domain": "example.org", "group": choose(("a", "a/b", "A", None))},
    "safe": _safe,
    "unsafe": _safe,
    "reset": _by_hand("reset"),
    "block": _by_hand("block"),
    "unblock": _by_hand("unblock"),
    "submission": _submission,
}
