"""What the core is given: a login that counts as an attempt of its account, with what the rules say of its address."""

from typing import Any, NamedTuple

from streams.core.addresses import Network

QUARTER_MS = 900_000
QUARTERS_KEPT = 96
"""24 hours of quarter hours."""
MOST_SKEW_MS = 300_000
"""A time further ahead of `now` than this is a wrong clock: it is taken as `now`."""


class Login(NamedTuple):
    """
    One successful login at its judged time.

    `safe` and `ignored` are what the rules in force say of its address on arrival; `id` is the sender's, if it has one.
    """

    account: str
    time_ms: int
    address: int
    network: Network
    country: str | None
    service: str
    id: str | None
    safe: bool
    ignored: bool


def judged_time(time_ms: int, now_ms: int) -> int:
    """The time at which a record is judged: its own, unless that is more than 5 minutes after `now`."""
    return now_ms if time_ms > now_ms + MOST_SKEW_MS else time_ms


class Part(dict[str, Any]):
    """
    A part of records that is never changed once it is made, so that its bytes can be remembered with it.

    An incident is revised with each login of a thief, and most of it stays the same. `written` is what `written_by` made
    of it, who sees to both.
    """

    __slots__ = ("written", "written_by")

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.written = b""
        self.written_by: object = None
