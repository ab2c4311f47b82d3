"""
What the kernel knows of rules and countries, as arrays; and how it finds that there.

Rules are rows of numbers, found by the account where it has rules of its own, else by its domain (`rules_known.py`). Countries
are remembered by block of addresses, as in `geo` (`countries.py`). Both only ever hold what was asked for, within bounds. Rules
are forgotten when a policy, a safe network, a domain or the geo database changes, countries when the geo database does.
"""

from typing import NamedTuple

from streams.core.activity import KEPT_MS
from streams.core.addresses import V4_OFFSET
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, Numbers, int64, is_less, read_8
from streams.engine.compiled.store import ABSENT, COUNT, SEED, Store, hash_of, position, slot_of, state_at

__all__ = ["KEPT_MS", "V4_OFFSET"]

(
    SINCE, UNTIL, STAMP, WINDOW, WINDOW_MS, LATENESS, ALLOWED_IPS, ALLOWED_COUNTRIES, POLICY_IPV4, POLICY_IPV6,
    IPV4_PREFIX, IPV6_PREFIX, SAFE, SAFE_END, IGNORED, IGNORED_END,
) = range(16)  # fmt: skip
"""
Columns of `rows`: from when until when they hold; the stamp's 8 bytes; window in minutes and ms, lateness in ms; prefixes as the
policy states them and of 128 bits; where in `safe.spans` those of its scopes begin, and end; the same of `ignored`.
"""
COLUMNS = 16
RANGES_V4, RANGES_V6, RANGES_END = range(3)
"""Columns of `spans`: where in `ranges` those of IPv4 and of IPv6 begin, and end."""
AT_SIGN = 64
MAPPED_HIGH = 0xFFFF
NOT_KNOWN = -1
SINGLE, BLOCK, WIDE = 1 << 40, 1 << 41, 1 << 42
"""In the key of an IPv4 address: itself, its /24, its /16. The lowest two bits of these keys are 0, of those of IPv6 they are"""
V6_64, V6_48, V6_32 = 1, 2, 3
"""the length of the prefix. What the geo database says is kept for the widest of these that it says it of."""
WIDTHS = 3


class Safe(NamedTuple):
    """
    Safe networks: a row of `spans` for each scope of each row of rules, and what they say of `ranges`.

    A range is the first and the last address, both as high and low half. Those of one span and version are sorted and apart.
    """

    spans: Numbers
    ranges: Numbers


class Known(NamedTuple):
    """
    Which row of rules a name has, the rows, their safe networks, their ignored countries, the known countries.

    `own` has all accounts with rules of their own, `domains` has domains. Their states are a row's number, 8 bytes: that of
    `rows[0]` is `first_row`, 1 or more, and a lesser number says that the rules must be asked for.
    """

    own: Store
    domains: Store
    first_row: int
    rows: Numbers
    safe: Safe
    ignored: Numbers
    country_keys: Numbers
    country_codes: Numbers


V4_FREE, V6_FREE = (16, 8, 0), (96, 80, 64)
"""How many of an address' last bits do not matter to its key, by width."""


@compiled
def row_of(known: Known, data: Bytes, at: int, stop: int, now: int) -> int:
    """The row of the rules of an account at `now`; -1 = not known."""
    rows = known.rows
    domain = at
    for i in range(stop - 1, at, -1):
        if data[i] == AT_SIGN:
            domain = i + 1
            break
    if domain == at:  # else a name without a domain could be taken for the domain of that name
        return -1
    number = int64(ABSENT)
    if known.own.meta[COUNT]:
        number = _number_of(known.own, data, at, stop)
    if number == ABSENT:  # not where it must only be asked for: an account with own rules never takes its domain's
        number = _number_of(known.domains, data, domain, stop)
    row = number - known.first_row
    if row < 0 or not rows[row, SINCE] <= now < rows[row, UNTIL]:
        return -1
    return row


@compiled
def _number_of(names: Store, data: Bytes, at: int, stop: int) -> int:
    """The number of a name's row, also of one that is no more; ABSENT where the name is not known."""
    slot = slot_of(names, data, at, stop - at, hash_of(data, at, stop - at, names.meta[SEED]))
    if slot == ABSENT:
        return ABSENT
    return read_8(names.arena, state_at(names.arena, position(names.slots[slot])))


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
        if ignored[i, 0] == country:
            return True
    return False


@compiled
def is_safe(high: int, low: int, rules: Numbers, safe: Safe) -> bool:
    """Whether an address lies in a safe network of one of the scopes."""
    for i in range(rules[SAFE], rules[SAFE_END]):
        if _is_within(high, low, safe.spans[i], safe.ranges):
            return True
    return False


@compiled
def _is_within(high: int, low: int, span: Numbers, ranges: Numbers) -> bool:
    """Whether an address lies in one of the ranges of its version."""
    first, end = (span[RANGES_V4], span[RANGES_V6]) if is_v4(high, low) else (span[RANGES_V6], span[RANGES_END])
    while first < end:
        middle = (first + end) >> 1
        if _is_before(high, low, ranges[middle, 0], ranges[middle, 1]):
            end = middle
        elif _is_before(ranges[middle, 2], ranges[middle, 3], high, low):
            first = middle + 1
        else:
            return True
    return False


@compiled
def _is_before(high: int, low: int, other_high: int, other_low: int) -> bool:
    return is_less(high, other_high) or (high == other_high and is_less(low, other_low))
