"""
The hot path: an in-order login of a network that is present already, by patching the packed state.

Such a login cannot raise the count (`presence.py`), and nearly all logins are of this kind, so they need not unpack the
account. `extend` answers None for anything else, and `detect.judge` does the work; a test holds that both come to the
same state and outputs.
"""

import struct
from typing import NamedTuple

from streams.core.addresses import Network
from streams.core.book import Rules
from streams.core.state import BUSY, DAY_MS, ENTRY, HEADER, SERVICE_NUMBER

_HEAD = struct.Struct("<BBHqqq8s")
_TIMES = struct.Struct("<qq")
_TIMES_AT = 4
_AFTER_TIMES = 20
_KNOWN = struct.Struct("<x2s12xqIqI")
"""Of an entry: country, run start, run last before last, last, logins."""
_CHANGED = struct.Struct("<IqIB16s")
"""What a login changes of an entry stands together at its end: one pack and one join instead of five."""
_UNCHANGED = ENTRY.size - _CHANGED.size
_ADDRESS_IN_ENTRY = ENTRY.size - 16
_MOST_LOGINS = 0xFFFF_FFFE


class Spot(NamedTuple):
    """What the rules in force say of one address; made once and kept with the rules (`Rules.spots`)."""

    packed: bytes
    needle: bytes
    prefix: int
    packed_country: bytes
    counts: bool
    number: int
    network: Network
    country: str | None
    safe: bool
    ignored: bool


def make_spot(number: int, network: Network, country: str | None, *, safe: bool, ignored: bool) -> Spot:
    """A spot; `counts` is false where a login from there can never take the hot path."""
    packed = number.to_bytes(16, "big")
    whole_bytes, rest = divmod(network.prefix, 8)
    return Spot(
        packed=packed,
        needle=packed[:whole_bytes],
        prefix=network.prefix,
        packed_country=(country or "\0\0").encode(),
        counts=not safe and not ignored and rest == 0,
        number=number,
        network=network,
        country=country,
        safe=safe,
        ignored=ignored,
    )


def extend(
    packed: bytes, spot: Spot, time_ms: int, service: str, rules: Rules, *, offset: int, now_ms: int
) -> bytes | None:
    """
    The state after one login, or None where it takes a full judgement.

    Full judgement is due when something is open, the rules changed, the login is out of order or ahead of `now`, or its
    network is not present, was last used on another day, or has another country now.
    """
    _, flags, number, _, newest, counts_from, judged_by = _HEAD.unpack_from(packed)
    if flags & BUSY or judged_by != rules.stamp or not spot.counts or not newest <= time_ms <= now_ms:
        return None
    at = _find(packed, number, spot)
    if at < 0:
        return None
    country, run_start, run_back, last_ms, logins = _KNOWN.unpack_from(packed, at)
    if (
        country != spot.packed_country
        or run_start <= counts_from
        or not last_ms <= time_ms < last_ms - run_back + rules.window_ms  # without a run, 49 days back: over any window
        or time_ms // DAY_MS != last_ms // DAY_MS
        or logins > _MOST_LOGINS
    ):
        return None
    middle, end = at + _UNCHANGED, at + ENTRY.size
    if time_ms == last_ms:  # of equal times the first one read stays
        changed = _CHANGED.pack(0, last_ms, logins + 1, packed[end - 17], packed[end - 16 : end])
    else:
        changed = _CHANGED.pack(0, time_ms, logins + 1, SERVICE_NUMBER[service], spot.packed)
    return b"".join(
        (
            packed[:_TIMES_AT],
            _TIMES.pack(offset, time_ms),
            packed[_AFTER_TIMES:middle],
            changed,
            packed[end:],
        )
    )


def _find(packed: bytes, number: int, spot: Spot) -> int:
    """Where the entry of a spot's network starts; -1 if it has none. A match must lie on an entry's address."""
    end = HEADER.size + number * ENTRY.size
    at = packed.find(spot.needle, HEADER.size, end)
    while at >= 0:
        index, rest = divmod(at - HEADER.size, ENTRY.size)
        start = HEADER.size + index * ENTRY.size
        if rest == _ADDRESS_IN_ENTRY and packed[start] == spot.prefix:
            return start
        at = packed.find(spot.needle, at + 1, end)
    return -1
