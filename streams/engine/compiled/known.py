"""
What the kernel knows of rules and countries, as arrays; and how the engine enters it.

Rules are rows of numbers, found by the account where it has rules of its own, else by its domain. Countries are remembered
by block of addresses, as in `geo`. Both only ever hold what was asked for, within bounds, and are forgotten when a policy, a
safe network, a domain or the geo database changes.
"""

from typing import NamedTuple

from streams.core.activity import KEPT_MS
from streams.core.addresses import V4_OFFSET
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, Numbers, int64, is_less, read_4
from streams.engine.compiled.store import SEED, Store, hash_of, position, slot_of, state_at

__all__ = ["KEPT_MS", "V4_OFFSET"]

(
    SINCE, UNTIL, STAMP, WINDOW, WINDOW_MS, LATENESS, ALLOWED_IPS, ALLOWED_COUNTRIES, POLICY_IPV4, POLICY_IPV6,
    IPV4_PREFIX, IPV6_PREFIX, SAFE_V4, SAFE_V6, SAFE_END, IGNORED, IGNORED_END,
) = range(17)  # fmt: skip
"""
Columns of `rows`: from when until when they hold; the stamp's 8 bytes; window in minutes and ms, lateness in ms; prefixes as the
policy states them and of 128 bits; where in `safe` the ranges of IPv4 and IPv6 begin, and end; the same of `ignored`.
"""
COLUMNS = 17
OWN = 5
"""Place in `name_meta`: how many accounts have rules of their own."""
AT_SIGN = 64
MAPPED_HIGH = 0xFFFF
NOT_KNOWN = -1
SINGLE, BLOCK, WIDE = 1 << 40, 1 << 41, 1 << 42
"""In the key of an IPv4 address: itself, its /24, its /16. The lowest two bits of these keys are 0, of those of IPv6 they are"""
V6_64, V6_48, V6_32 = 1, 2, 3
"""the length of the prefix. What the geo database says is kept for the widest of these that it says it of."""
WIDTHS = 3


class Known(NamedTuple):
    """
    Which row of rules a name has, the rows, their ranges of safe networks, their ignored countries, the known countries.

    `names` has domains, and accounts with rules of their own; its states are a row's number + 1, 4 bytes.
    """

    names: Store
    rows: Numbers
    safe: Numbers
    ignored: Numbers
    country_keys: Numbers
    country_codes: Numbers


V4_FREE, V6_FREE = (16, 8, 0), (96, 80, 64)
"""How many of an address' last bits do not matter to its key, by width."""


@compiled
def row_of(known: Known, data: Bytes, at: int, stop: int, now: int) -> int:
    """The row of the rules of an account at `now`; -1 = not known."""
    names, rows = known.names, known.rows
    seed = names.meta[SEED]
    domain = at
    for i in range(stop - 1, at, -1):
        if data[i] == AT_SIGN:
            domain = i + 1
            break
    if domain == at:  # else a name without a domain could be taken for the domain of that name
        return -1
    slot = int64(-1)
    if names.meta[OWN]:
        slot = slot_of(names, data, at, stop - at, hash_of(data, at, stop - at, seed))
    if slot < 0:
        slot = slot_of(names, data, domain, stop - domain, hash_of(data, domain, stop - domain, seed))
        if slot < 0:
            return -1
    row = read_4(names.arena, state_at(names.arena, position(names.slots[slot]))) - 1
    if row < 0 or not rows[row, SINCE] <= now < rows[row, UNTIL]:
        return -1
    return row


@compiled
def is_v4(high: int, low: int) -> bool:
    """Whether an address is IPv4, as an IPv4-mapped address (RFC 4291 2.5.5.2)."""
    return high == 0 and low >> 32 == MAPPED_HIGH


@compiled
def prefix_of(high: int, low: int, rules: Numbers) -> int:
    """The prefix, of 128 bits, of the network that an address counts as."""
    return int64(rules[IPV4_PREFIX] if is_v4(high, low) else rules[IPV6_PREFIX])


@compiled
def country_of(high: int, low: int, keys: Numbers, codes: Numbers) -> int:
    """
    The country of an address as the two bytes of an entry, 0 = unknown; NOT_KNOWN when nobody was asked yet.

    Of IPv6 only addresses from ::/2 are remembered, where all global ones are (RFC 4291 2.4).
    """
    for width in range(WIDTHS):
        key = key_of(high, low, width)
        if key == 0:
            return NOT_KNOWN
        index = slot_of_key(key, keys)
        if keys[index] == key:
            return int64(codes[index])
    return NOT_KNOWN


@compiled
def key_of(high: int, low: int, width: int) -> int:
    """The key of an address by its widest block (0), the next, and the narrowest (2); 0 where it has none."""
    if is_v4(high, low):
        address = low & 0xFFFFFFFF
        if width == 0:
            return (WIDE | address >> 16) << 2
        return (BLOCK | address >> 8) << 2 if width == 1 else (SINGLE | address) << 2
    if high >> 62 != 0:
        return 0
    if width == 0:
        return high >> 32 << 34 | V6_32
    return high >> 16 << 18 | V6_48 if width == 1 else high << 2 | V6_64


@compiled
def slot_of_key(key: int, keys: Numbers) -> int:
    """Where a key is, or may be entered."""
    mask = len(keys) - 1
    mixed = key * -7046029254386353131
    index = mixed >> 32 & mask
    while keys[index] != 0 and keys[index] != key:
        index = (index + 1) & mask
    return index


@compiled
def is_ignored(country: int, rules: Numbers, ignored: Numbers) -> bool:
    """Whether logins from a country leave no trace."""
    for i in range(rules[IGNORED], rules[IGNORED_END]):
        if ignored[i] == country:
            return True
    return False


@compiled
def is_safe(high: int, low: int, rules: Numbers, safe: Numbers) -> bool:
    """Whether an address lies in a safe network: in one of the ranges of its version, which are sorted and apart."""
    if rules[SAFE_V4] == rules[SAFE_END]:
        return False
    first, end = (rules[SAFE_V4], rules[SAFE_V6]) if is_v4(high, low) else (rules[SAFE_V6], rules[SAFE_END])
    while first < end:
        middle = (first + end) >> 1
        if _is_before(high, low, safe[middle, 0], safe[middle, 1]):
            end = middle
        elif _is_before(safe[middle, 2], safe[middle, 3], high, low):
            first = middle + 1
        else:
            return True
    return False


@compiled
def _is_before(high: int, low: int, other_high: int, other_low: int) -> bool:
    return is_less(high, other_high) or (high == other_high and is_less(low, other_low))
