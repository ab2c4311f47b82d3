"""
The hot path: a login that cannot bring the account over its policy, by patching the packed state.

Nearly all logins are such. A network that is present already stays present: the count does not rise (`presence.py`). A
network that comes back after a pause counts again, and a new one too, but as long as no more networks and countries were
used within the window than are allowed, the policy cannot be exceeded. The first login of an account is one network.
`extend` and `first` answer None for anything else, and `detect.judge` does the work; a test holds that both come to the
same.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from streams.core.activity import KEPT_MS, MOST_NETWORKS, shift_days
from streams.core.addresses import Network, order
from streams.core.book import Rules
from streams.core.presence import MOST_RUNS
from streams.core.state import (
    BUSY,
    DAY_MS,
    ENTRY,
    HEADER,
    NO_RUN,
    NONE,
    RUNS,
    SERVICE_NUMBER,
    VERSION,
    Run,
    put_together,
    take_apart,
)

_HEAD = struct.Struct("<BBHqqq8s")
_NUMBER = struct.Struct("<H")
_NUMBER_AT = 2
_TIMES = struct.Struct("<qq")
_TIMES_AT = 4
_KNOWN = struct.Struct("<x2s6xIHqIqI")
"""Of an entry: country, days, days before, run start, run last before last, last, logins."""
_CHANGED = struct.Struct("<IHqIqIB16s")
"""What a login changes of an entry stands together at its end."""
_SEEN = struct.Struct("<x2s24xq21x")
"""Of an entry: country, last."""
_PLACE = struct.Struct("<B39x16s")
"""Of an entry: prefix, last address."""
_UNCHANGED = ENTRY.size - _CHANGED.size
_ADDRESS_IN_ENTRY = ENTRY.size - 16
_FIRST_ADDRESS = HEADER.size + _ADDRESS_IN_ENTRY
_MOST_LOGINS = 0xFFFF_FFFE


@dataclass(slots=True)
class Spot:
    """
    What the rules in force say of one address; made once and kept with the rules (`Rules.spots`).

    `needle` is the part of `packed` that its network fixes; `counts` is false where a login never takes the hot path.
    """

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
    """A spot, of a network whose prefix is that of the rules."""
    packed = number.to_bytes(16, "big")
    prefix = network[1]
    return Spot(
        packed,
        packed[: prefix >> 3],
        prefix,
        (country or "\0\0").encode(),
        not (safe or ignored or prefix & 7),
        number,
        network,
        country,
        safe,
        ignored,
    )


def first(spot: Spot, time_ms: int, service: str, rules: Rules, *, offset: int, now_ms: int) -> bytes | None:
    """
    The state of an account after its first login, or None where it takes a full judgement.

    3 us instead of 26: one network exceeds no policy, whatever is allowed.
    """
    if not spot.counts or not rules.window_ms or not 0 <= time_ms <= now_ms:
        return None
    policy = rules.policy
    head = HEADER.pack(
        VERSION,
        0,
        1,
        offset,
        time_ms,
        NONE,
        rules.stamp,
        policy.time_window,
        policy.ipv4_prefix,
        policy.ipv6_prefix,
    )
    return head + _new_entry(spot, time_ms, service)


def extend(
    packed: bytes, spot: Spot, time_ms: int, service: str, rules: Rules, *, offset: int, now_ms: int, lateness_ms: int
) -> bytes | None:
    """
    The state after one login, or None where it takes a full judgement.

    Full judgement is due when an incident or block is open, the rules changed, the login is a repetition by its offset,
    out of order or ahead of `now`, its network has another country now, or it could bring the account over its policy.
    """
    _, flags, number, applied, newest, counts_from, judged_by = _HEAD.unpack_from(packed)
    if (
        flags & (BUSY | RUNS) == BUSY
        or judged_by != rules.stamp
        or not spot.counts
        or not newest <= time_ms <= now_ms
        or offset <= applied
    ):
        return None
    # nearly always the first match is the entry: 0.3 us less than always looking by `_find`
    at = packed.find(spot.needle, _FIRST_ADDRESS, HEADER.size + number * ENTRY.size) - _ADDRESS_IN_ENTRY
    if at > 0 and ((at - HEADER.size) % ENTRY.size or packed[at] != spot.prefix):
        at = _find(packed, number, spot)
    if at < 0:
        return _with_new_network(packed, spot, time_ms, service, rules, offset=offset, lateness_ms=lateness_ms)
    country, days, days_before, run_start, run_back, last_ms, logins = _KNOWN.unpack_from(packed, at)
    if country != spot.packed_country or last_ms > time_ms or logins > _MOST_LOGINS:
        return None
    gone_ms = last_ms - run_back + rules.window_ms  # without a run, 49 days back: longer than any window
    if time_ms >= gone_ms or run_start <= counts_from:
        parted = _with_run_parted(packed, at, time_ms, rules, lateness_ms)
        if parted is None:
            return None
        packed, run_start = parted, time_ms
    if time_ms == last_ms:  # of equal times the first one read stays
        service_number, address = packed[at + _ADDRESS_IN_ENTRY - 1], packed[at + _ADDRESS_IN_ENTRY : at + ENTRY.size]
    else:
        service_number, address = SERVICE_NUMBER[service], spot.packed
        days_on = time_ms // DAY_MS - last_ms // DAY_MS
        if days_on:
            days, days_before = shift_days(days, days_before, days_on)
    patched = bytearray(packed)  # 0.35 us with the way back, where joining the five parts of a new state takes 0.53
    _TIMES.pack_into(patched, _TIMES_AT, offset, time_ms)
    _CHANGED.pack_into(
        patched, at + _UNCHANGED, days | 1, days_before, run_start, 0, time_ms, logins + 1, service_number, address
    )
    return bytes(patched)


def _with_run_parted(packed: bytes, at: int, time_ms: int, rules: Rules, lateness_ms: int) -> bytes | None:
    """
    The state in which a network that comes back may begin a new run; None where the policy could be exceeded by it.

    The run in its entry becomes a further run as long as a late login can still meet it, else it is let go. That, in one
    JSON document of the tail, costs 5 us, a full judgement 25, and with it each login until the further run was let go.
    """
    _, flags, number, _, _, counts_from, _ = _HEAD.unpack_from(packed)
    country, _, _, run_start, run_back, last_ms, _ = _KNOWN.unpack_from(packed, at)
    if time_ms <= counts_from or time_ms >= last_ms + KEPT_MS or not _are_few(packed, number, country, time_ms, rules):
        return None
    run_last, gone_ms = last_ms - run_back, time_ms - lateness_ms - rules.window_ms
    if run_last <= gone_ms and not flags & RUNS:
        return packed
    if run_back == NO_RUN or run_start <= counts_from:
        return None
    runs = _still_met(packed, gone_ms)
    if run_last > gone_ms:
        own = runs.setdefault((at - HEADER.size) // ENTRY.size, [])
        if len(own) >= MOST_RUNS - 1:
            return None
        own.append((run_start, run_last))
    return _with_further_runs(packed, runs)


def _still_met(packed: bytes, gone_ms: int) -> dict[int, list[Run]]:
    """The further runs of all networks, by the number of their entries, that a late login can still meet."""
    met = {}
    for index, runs in _further_runs(packed).items():
        kept = [run for run in runs if run[1] > gone_ms]
        if kept:
            met[index] = kept
    return met


def _with_new_network(
    packed: bytes, spot: Spot, time_ms: int, service: str, rules: Rules, *, offset: int, lateness_ms: int
) -> bytes | None:
    """The state with one more network, in its place among the others; None where that could be one too many."""
    _, flags, number, _, _, counts_from, _ = _HEAD.unpack_from(packed)
    if number >= MOST_NETWORKS or time_ms <= counts_from:
        return None
    if not _are_few(packed, number + 1, spot.packed_country, time_ms, rules):
        return None
    index = _index(packed, number, spot.network)
    if flags & RUNS:
        runs = _still_met(packed, time_ms - lateness_ms - rules.window_ms)
        packed = _with_further_runs(packed, {other + (other >= index): kept for other, kept in runs.items()})
    at = HEADER.size + index * ENTRY.size
    patched = bytearray().join((packed[:at], _new_entry(spot, time_ms, service), packed[at:]))
    _NUMBER.pack_into(patched, _NUMBER_AT, number + 1)
    _TIMES.pack_into(patched, _TIMES_AT, offset, time_ms)
    return bytes(patched)


def _index(packed: bytes, number: int, network: Network) -> int:
    """Where among the entries a new network has its place."""
    wanted = network.order
    end = HEADER.size + number * ENTRY.size
    for index, (prefix, address) in enumerate(_PLACE.iter_unpack(packed[HEADER.size : end])):
        shift = 128 - prefix
        if order(int.from_bytes(address, "big") >> shift << shift, prefix) > wanted:
            return index
    return number


def _new_entry(spot: Spot, time_ms: int, service: str) -> bytes:
    """The entry of a network after its first login, which counts."""
    return ENTRY.pack(
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


def _further_runs(packed: bytes) -> dict[int, list[Run]]:
    """The runs before the last one of each network, by the number of its entry; of a state with the flag `RUNS` or none."""
    if not packed[1] & RUNS:
        return {}
    _, tail = take_apart(packed)
    return {int(index): [(start, last) for start, last in runs] for index, runs in tail["r"].items()}


def _with_further_runs(packed: bytes, runs: Mapping[int, list[Run]]) -> bytes:
    """The same state, of which `_further_runs` could be asked, with these instead."""
    body, tail = take_apart(packed)
    tail.pop("r", None)
    flags = body[1] & ~(BUSY | RUNS)
    if runs:
        tail = {"r": {str(index): runs[index] for index in sorted(runs)}, **tail}
        flags |= BUSY | RUNS
    return put_together(b"".join((body[:1], flags.to_bytes(), body[2:])), tail)
