"""
The hot path: an in-order login of a known network that cannot raise the count too far, by patching the packed state.

Two kinds of login need no judgement, and nearly all logins are of them. A network that is present already stays present:
the count does not rise (`presence.py`). A network that comes back after a pause counts again, but as long as no more
networks and countries were used within the window than are allowed, the policy cannot be exceeded; likewise a new network.
`extend` answers None for anything else, and `detect.judge` does the work; a test holds that both come to the same.
"""

import struct
from typing import NamedTuple

from streams.core.activity import KEPT_MS, MOST_NETWORKS, shift_days
from streams.core.addresses import Network
from streams.core.book import Rules
from streams.core.state import BUSY, DAY_MS, ENTRY, HEADER, SERVICE_NUMBER

_HEAD = struct.Struct("<BBHqqq8s")
_TIMES = struct.Struct("<qq")
_NUMBER = struct.Struct("<Hqq")
_NUMBER_AT = 2
_TIMES_AT = 4
_AFTER_TIMES = 20
_KNOWN = struct.Struct("<x2s6xIHqIqI")
"""Of an entry: country, days, days before, run start, run last before last, last, logins."""
_CHANGED = struct.Struct("<IHqIqIB16s")
"""What a login changes of an entry stands together at its end: one pack and one join instead of eight."""
_SEEN = struct.Struct("<x2s24xq21x")
"""Of an entry: country, last."""
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
    packed: bytes, spot: Spot, time_ms: int, service: str, rules: Rules, *, offset: int, now_ms: int, lateness_ms: int
) -> bytes | None:
    """
    The state after one login, or None where it takes a full judgement.

    Full judgement is due when something is open, the rules changed, the login is out of order or ahead of `now`, or its
    network has another country now, or comes back while a late login could still meet its last run.
    """
    _, flags, number, _, newest, counts_from, judged_by = _HEAD.unpack_from(packed)
    if flags & BUSY or judged_by != rules.stamp or not spot.counts or not newest <= time_ms <= now_ms:
        return None
    at = _find(packed, number, spot)
    if at < 0:
        return _with_new_network(packed, number, spot, time_ms, service, rules, offset, counts_from)
    country, days, days_before, run_start, run_back, last_ms, logins = _KNOWN.unpack_from(packed, at)
    if country != spot.packed_country or last_ms > time_ms or logins > _MOST_LOGINS:
        return None
    gone_ms = last_ms - run_back + rules.window_ms  # without a run, 49 days back: longer than any window
    if time_ms >= gone_ms or run_start <= counts_from:
        if (
            time_ms <= counts_from
            or time_ms - lateness_ms < gone_ms
            or time_ms >= last_ms + KEPT_MS
            or not _are_few(packed, number, country, time_ms, rules)
        ):
            return None
        run_start = time_ms
    if time_ms == last_ms:  # of equal times the first one read stays
        seen = packed[at + ENTRY.size - 17], packed[at + ENTRY.size - 16 : at + ENTRY.size]
    else:
        seen = SERVICE_NUMBER[service], spot.packed
        days_on = time_ms // DAY_MS - last_ms // DAY_MS
        if days_on:
            days, days_before = shift_days(days, days_before, days_on)
    return b"".join(
        (
            packed[:_TIMES_AT],
            _TIMES.pack(offset, time_ms),
            packed[_AFTER_TIMES : at + _UNCHANGED],
            _CHANGED.pack(days | 1, days_before, run_start, 0, time_ms, logins + 1, *seen),
            packed[at + ENTRY.size :],
        )
    )


def _with_new_network(
    packed: bytes, number: int, spot: Spot, time_ms: int, service: str, rules: Rules, offset: int, counts_from: int
) -> bytes | None:
    """The state with one more network, in its place among the others; None where that could be one too many."""
    if number >= MOST_NETWORKS or time_ms <= counts_from:
        return None
    if not _are_few(packed, number + 1, spot.packed_country, time_ms, rules):
        return None
    entry = ENTRY.pack(
        spot.prefix,
        spot.packed_country,
        time_ms.to_bytes(6, "big"),
        1,
        0,
        time_ms,
        0,
        time_ms,
        1,
        SERVICE_NUMBER[service],
        spot.packed,
    )
    at = HEADER.size
    order = spot.network.order
    for index in range(number):
        other = HEADER.size + index * ENTRY.size
        shift = 128 - packed[other]
        base = int.from_bytes(packed[other + _ADDRESS_IN_ENTRY : other + ENTRY.size], "big") >> shift << shift
        if Network(base, packed[other]).order > order:
            break
        at = other + ENTRY.size
    head = _NUMBER.pack(number + 1, offset, time_ms)
    return b"".join((packed[:_NUMBER_AT], head, packed[_AFTER_TIMES:at], entry, packed[at:]))


def _are_few(packed: bytes, number: int, country: bytes, time_ms: int, rules: Rules) -> bool:
    """
    Whether no more networks and countries were used within the window, this login's among them, than are allowed.

    `number` is that of the networks kept with it.
    """
    policy = rules.policy
    if number <= policy.allowed_ips and not policy.allowed_countries:
        return True
    networks, countries = 1, {country}
    gone_ms = time_ms - rules.window_ms
    end = HEADER.size + packed[_NUMBER_AT] * ENTRY.size
    for other, last_ms in _SEEN.iter_unpack(packed[HEADER.size : end]):
        if last_ms > gone_ms:
            networks += 1
            countries.add(other)
    return (networks <= policy.allowed_ips or not policy.allowed_ips) and (
        len(countries) <= policy.allowed_countries or not policy.allowed_countries
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
