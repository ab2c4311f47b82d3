"""The networks of an account in its packed state, compiled: an entry each, in their order (`core.state`, `core.hot`)."""

from streams.core.state import DAYS_KEPT, DAYS_MASK, MOST_DAYS_BEFORE
from streams.engine.compiled import known
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.layout import (
    ADDRESS_AT,
    BACK_AT,
    BEFORE_AT,
    COUNTRY_AT,
    DAYS_AT,
    ENTRY_SIZE,
    FIRST_AT,
    HEADER_SIZE,
    LAST_AT,
    LOGINS_AT,
    SERVICE_AT,
    START_AT,
)
from streams.engine.compiled.login import Login
from streams.engine.compiled.numbers import (
    Bytes,
    Numbers,
    int64,
    is_less,
    masks,
    ones,
    read_2,
    read_4,
    read_8,
    read_half,
    write_2,
    write_4,
    write_8,
    write_half,
)


@compiled
def entry_of(arena: Bytes, at: int, number: int, rules: Numbers, high: int, low: int) -> int:
    """Where the entry of an address' network is; -1 if there is none."""
    prefix = known.prefix_of(high, low, rules)
    high_mask, low_mask = masks(prefix)
    for _ in range(number):
        if (
            (read_half(arena, at + ADDRESS_AT + 8) ^ low) & low_mask == 0
            and (read_half(arena, at + ADDRESS_AT) ^ high) & high_mask == 0
            and arena[at] == prefix
        ):
            return at
        at += ENTRY_SIZE
    return -1


@compiled
def index_of(arena: Bytes, at: int, number: int, rules: Numbers, high: int, low: int) -> int:
    """Where among the entries a new network has its place: by version, then number, then prefix (`addresses.order`)."""
    prefix = known.prefix_of(high, low, rules)
    high_mask, low_mask = masks(prefix)
    high, low = high & high_mask, low & low_mask
    is_v6 = not known.is_v4(high, low)
    for index in range(number):
        other_prefix = int64(arena[at])
        high_mask, low_mask = masks(other_prefix)
        other_high, other_low = (
            read_half(arena, at + ADDRESS_AT) & high_mask,
            read_half(arena, at + ADDRESS_AT + 8) & low_mask,
        )
        other_is_v6 = other_prefix < known.V4_OFFSET or not known.is_v4(other_high, other_low)
        if other_is_v6 != is_v6:
            before = other_is_v6
        elif other_high != high:
            before = is_less(high, other_high)
        elif other_low != low:
            before = is_less(low, other_low)
        else:
            before = prefix < other_prefix
        if before:
            return index
        at += ENTRY_SIZE
    return number


@compiled
def write_entry(arena: Bytes, at: int, rules: Numbers, login: Login) -> None:
    """The entry of a network after its first login, which counts."""
    _, time_ms, high, low, country, service = login
    arena[at] = known.prefix_of(high, low, rules)
    write_2(arena, at + COUNTRY_AT, country)
    for i in range(6):
        arena[at + FIRST_AT + i] = time_ms >> (40 - 8 * i) & 0xFF
    write_4(arena, at + DAYS_AT, 1)
    write_2(arena, at + BEFORE_AT, 0)
    write_8(arena, at + START_AT, time_ms)
    write_4(arena, at + BACK_AT, 0)
    write_8(arena, at + LAST_AT, time_ms)
    write_4(arena, at + LOGINS_AT, 1)
    arena[at + SERVICE_AT] = service
    write_half(arena, at + ADDRESS_AT, high)
    write_half(arena, at + ADDRESS_AT + 8, low)


@compiled
def shift_days(arena: Bytes, entry: int, days_on: int) -> None:
    """As `core.activity.shift_days`."""
    if days_on == 0:
        return
    days = read_4(arena, entry + DAYS_AT)
    shifted = days << days_on if days_on < DAYS_KEPT else days << DAYS_KEPT - 1 << 1
    kept = shifted & DAYS_MASK if days_on < DAYS_KEPT else 0
    gone = ones(shifted >> DAYS_KEPT & DAYS_MASK)
    write_4(arena, entry + DAYS_AT, kept)
    write_2(arena, entry + BEFORE_AT, min(read_2(arena, entry + BEFORE_AT) + gone, MOST_DAYS_BEFORE))


@compiled
def are_few(arena: Bytes, begins: int, number: int, with_this: int, country: int, rules: Numbers, time_ms: int) -> bool:
    """
    Whether no more networks and countries were used within the window, this login's among them, than are allowed.

    `with_this` is the number of networks kept with it.
    """
    ips, most_countries = rules[known.ALLOWED_IPS], rules[known.ALLOWED_COUNTRIES]
    if with_this <= ips and most_countries == 0:
        return True
    gone_ms = time_ms - rules[known.WINDOW_MS]
    networks, countries = 1, 1
    entries = begins + HEADER_SIZE
    for index in range(number):
        entry = entries + index * ENTRY_SIZE
        if read_8(arena, entry + LAST_AT) > gone_ms:
            networks += 1
            other = read_2(arena, entry + COUNTRY_AT)
            if other != country and not _is_seen(arena, entries, index, other, gone_ms):
                countries += 1
    return bool(networks <= ips or ips == 0) and bool(countries <= most_countries or most_countries == 0)


@compiled
def _is_seen(arena: Bytes, entries: int, number: int, country: int, gone_ms: int) -> bool:
    for index in range(number):
        entry = entries + index * ENTRY_SIZE
        if read_2(arena, entry + COUNTRY_AT) == country and read_8(arena, entry + LAST_AT) > gone_ms:
            return True
    return False
