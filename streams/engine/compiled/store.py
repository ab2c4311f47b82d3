"""
Accounts in one array of bytes: a hash table of positions, and at each position the name and the packed state.

A dictionary of `bytes` took 365 bytes for an account of three networks, and every look-up ran over five objects in as many
places of memory. Here a look-up meets two: the slot and the record. A record is `size | name | state`, its first 8 bytes:

    length of the name (2 bytes), of the state (3), number in the list of touched records + 1, 0 = none (3)

A slot is 0 or the upper half of the name's hash and the position / 8 + 1. Linear probing, a deleted slot is closed by moving
back what follows (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). Records that became free are linked by size, and closed up when they are many.

The functions never allocate: `NO_ROOM` tells the owner (`shelf.py`) to make the array longer and to ask again.
"""

from typing import NamedTuple

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.memory import fetch
from streams.engine.compiled.numbers import Bytes, Numbers, copy, int64, is_same, read_2, read_4, read_8, write_8
from streams.engine.compiled.product import folded_product

USED, COUNT, TOUCHED, FREED, SEED = range(5)
"""Places in `meta`: bytes in use from the start, accounts, touched records, bytes in free records, seed of the hash."""
SMALL = 1024
"""Records of up to so many times 8 bytes have a free list for each size, larger ones one for each power of two."""
FREE_LISTS = SMALL + 40
FREE = 0xFFFF
"""In the place of a name's length: a free record, of so many bytes; its next 8 bytes are the place of the next one + 1."""
LONGEST_NAME, LONGEST_STATE = FREE - 1, (1 << 24) - 1
HEAD = 8
LINES = 5
AHEAD = 16
"""So many touched records before it is copied one is fetched into the cache: 0.055 µs a record became 0.03."""
MULTIPLIER = -7046029254386353131
"""2**64 divided by the golden ratio, odd, as a signed number (Knuth, 6.4)."""
ABSENT = -1
NO_ROOM = -2


class Store(NamedTuple):
    """
    The arrays: records, slots, the numbers of `meta`, the first free record of each size + 1, the places of touched records.

    A tuple, which numba takes apart for nothing; a new one is made when an array becomes longer.
    """

    arena: Bytes
    slots: Numbers
    meta: Numbers
    free: Numbers
    touched: Numbers


@compiled
def hash_of(data: Bytes, at: int, length: int, seed: int) -> int:
    """
    A hash of bytes; `seed` is secret: names come from outside, and whoever knew their slots could crowd them into one.

    Both halves of each product are kept, as in wyhash (Wang Yi). With 64 bits of it, names that differ in the highest bits of
    two words had one hash for half of all seeds.
    """
    secret = (seed ^ MULTIPLIER) * MULTIPLIER | 1
    mixed = folded_product(seed ^ length, secret)
    end = at + length
    while at + 8 <= end:
        mixed = folded_product(mixed ^ read_8(data, at), secret)
        at += 8
    rest = int64(0)
    while at < end:
        rest = rest << 8 | int64(data[at])
        at += 1
    return int(folded_product(mixed ^ rest, secret))


@compiled
def slot_of(store: Store, data: Bytes, at: int, length: int, hashed: int) -> int:
    """The slot of a name, ABSENT if it has none."""
    arena, slots = store.arena, store.slots
    mask = len(slots) - 1
    index = hashed & mask
    tag = hashed >> 32
    while True:
        slot = slots[index]
        if slot == 0:
            return ABSENT
        if slot >> 32 == tag and is_named(arena, position(slot), data, at, length):
            return index
        index = (index + 1) & mask


@compiled
def likely_slot(slots: Numbers, hashed: int) -> int:
    """The slot that is a name's but for one chance in 4 billion, without a look at the record; an empty one if it has none."""
    # the walk of slot_of once more: shared by both, a login took 0.21 µs instead of 0.19, at 5 million accounts 0.27 instead of 0.25
    mask = len(slots) - 1
    index, tag = hashed & mask, hashed >> 32
    while slots[index] != 0 and slots[index] >> 32 != tag:
        index = (index + 1) & mask
    return int(index)


@compiled
def slot_of_likely(store: Store, likely: int, data: Bytes, at: int, length: int) -> int:
    """As `slot_of`, when the slot is known that `likely_slot` gave: of the name, unless it was wrong, or the account is new since."""
    slot = store.slots[likely]
    if slot != 0 and is_named(store.arena, position(slot), data, at, length):
        return likely
    return slot_of(store, data, at, length, hash_of(data, at, length, store.meta[SEED]))


@compiled
def fetch_record(arena: Bytes, place: int) -> None:
    """Have a usual record in the cache soon: one of three networks, 240 bytes, lies in up to five lines of 64."""
    for line in range(LINES):
        fetch(arena, place + 64 * line)


@compiled
def position(slot: int) -> int:
    """Where the record of a slot begins."""
    return ((slot & 0xFFFFFFFF) - 1) << 3


@compiled
def is_named(arena: Bytes, place: int, data: Bytes, at: int, length: int) -> bool:
    """Whether the record there has that name."""
    if name_length(arena, place) != length:
        return False
    return is_same(arena, place + HEAD, data, at, length)


@compiled
def name_length(arena: Bytes, place: int) -> int:
    """Bytes of a record's name."""
    return read_2(arena, place)


@compiled
def state_length(arena: Bytes, place: int) -> int:
    """Bytes of a record's state."""
    return read_4(arena, place + 1) >> 8


@compiled
def state_at(arena: Bytes, place: int) -> int:
    """Where a record's state begins."""
    return place + HEAD + name_length(arena, place)


@compiled
def touch(store: Store, place: int) -> None:
    """Note that a record must be written to the changelog; the list has room."""
    arena, meta, touched = store.arena, store.meta, store.touched
    if read_4(arena, place + 4) >> 8 == 0:
        touched[meta[TOUCHED]] = place
        meta[TOUCHED] += 1
        _set_head(arena, place, name_length(arena, place), state_length(arena, place), meta[TOUCHED])


@compiled
def add(
    store: Store,
    data: Bytes,
    at: int,
    length: int,
    hashed: int,
    state_length: int,
) -> int:
    """The place of a new record for a name that has none, its state to be written by the caller; or NO_ROOM."""
    arena, slots, meta = store.arena, store.slots, store.meta
    if (meta[COUNT] + 1) * 10 > len(slots) * 7:
        return NO_ROOM
    place = _allocate(store, HEAD + length + state_length)
    if place == NO_ROOM:
        return NO_ROOM
    _set_head(arena, place, length, state_length, 0)
    copy(arena, place + HEAD, data, at, length)
    put_slot(slots, hashed, place)
    meta[COUNT] += 1
    return place


@compiled
def resize(store: Store, slot: int, new_length: int) -> int:
    """
    The place of a slot's record with room for a state of another length; or NO_ROOM.

    Of the state as much is kept as fits; it may be the same place.
    """
    arena, slots, touched = store.arena, store.slots, store.touched
    place = position(slots[slot])
    length, old_length = name_length(arena, place), state_length(arena, place)
    number = read_4(arena, place + 4) >> 8
    old_size, new_size = _rounded(HEAD + length + old_length), _rounded(HEAD + length + new_length)
    if new_size == old_size:
        _set_head(arena, place, length, new_length, number)
        return place
    new = _allocate(store, new_size)
    if new == NO_ROOM:
        return NO_ROOM
    copy(arena, new + HEAD, arena, place + HEAD, length + min(old_length, new_length))
    _set_head(arena, new, length, new_length, number)
    if number:
        touched[number - 1] = new
    slots[slot] = slots[slot] >> 32 << 32 | (new >> 3) + 1
    _release(store, place, old_size)
    return new


@compiled
def remove(store: Store, slot: int) -> None:
    """Let a slot's record go."""
    arena, slots, meta, touched = store.arena, store.slots, store.meta, store.touched
    place = position(slots[slot])
    number = read_4(arena, place + 4) >> 8
    if number:
        last = touched[meta[TOUCHED] - 1]
        touched[number - 1] = last
        _set_head(arena, last, name_length(arena, last), state_length(arena, last), number)
        meta[TOUCHED] -= 1
    seed, mask = meta[SEED], len(slots) - 1
    size = _rounded(HEAD + name_length(arena, place) + state_length(arena, place))
    hole, index = slot, (slot + 1) & mask
    while slots[index] != 0:
        other = position(slots[index])
        wanted = hash_of(arena, other + HEAD, name_length(arena, other), seed) & mask
        if (index - wanted) & mask >= (index - hole) & mask:
            slots[hole] = slots[index]
            hole = index
        index = (index + 1) & mask
    slots[hole] = 0
    _release(store, place, size)
    meta[COUNT] -= 1


@compiled
def put_slot(slots: Numbers, hashed: int, place: int) -> None:
    """Enter a record into the table."""
    mask = len(slots) - 1
    index = hashed & mask
    while slots[index] != 0:
        index = (index + 1) & mask
    slots[index] = hashed >> 32 << 32 | (place >> 3) + 1


@compiled
def refill(arena: Bytes, old: Numbers, slots: Numbers, seed: int) -> None:
    """Enter the records of one table into a larger, empty one."""
    for slot in old:
        if slot != 0:
            place = position(slot)
            put_slot(slots, hash_of(arena, place + HEAD, name_length(arena, place), seed), place)


@compiled
def gather(store: Store, data: Bytes, ends: Numbers) -> None:
    """
    Copy name and state of every touched record, one behind the other, and note no record as touched any more.

    `ends` gets, for each, where in `data`, which has `touched_bytes`, its name ends and its state.
    """
    arena, meta, touched = store.arena, store.meta, store.touched
    at = 0
    for row in range(meta[TOUCHED]):
        if row + AHEAD < meta[TOUCHED]:
            fetch_record(arena, touched[row + AHEAD])
        place = touched[row]
        length, size = name_length(arena, place), state_length(arena, place)
        copy(data, at, arena, place + HEAD, length + size)
        ends[0, row], ends[1, row] = at + length, at + length + size
        at += length + size
        _set_head(arena, place, length, size, 0)
    meta[TOUCHED] = 0


@compiled
def touched_bytes(store: Store) -> int:
    """How much `gather` will copy."""
    arena, meta, touched = store.arena, store.meta, store.touched
    size = 0
    for row in range(meta[TOUCHED]):
        if row + AHEAD < meta[TOUCHED]:
            fetch(arena, touched[row + AHEAD])
        size += name_length(arena, touched[row]) + state_length(arena, touched[row])
    return size


@compiled
def _set_head(arena: Bytes, place: int, length: int, state_length: int, number: int) -> None:
    write_8(arena, place, length | state_length << 16 | number << 40)


@compiled
def _rounded(size: int) -> int:
    if size <= SMALL * 8:
        return max(2 * HEAD, (size + 7) >> 3 << 3)
    rounded = SMALL * 16
    while rounded < size:
        rounded *= 2
    return rounded


@compiled
def _list_of(size: int) -> int:
    if size <= SMALL * 8:
        return (size >> 3) - 1
    index = SMALL
    while size > SMALL * 16:
        size >>= 1
        index += 1
    return index


@compiled
def _allocate(store: Store, size: int) -> int:
    arena, meta, free = store.arena, store.meta, store.free
    size = _rounded(size)
    index = _list_of(size)
    place = free[index] - 1
    if place >= 0:
        free[index] = read_8(arena, place + HEAD)
        meta[FREED] -= size
        return int64(place)
    if meta[USED] + size > len(arena):
        return NO_ROOM
    place = meta[USED]
    meta[USED] += size
    return int64(place)


@compiled
def _release(store: Store, place: int, size: int) -> None:
    arena, meta, free = store.arena, store.meta, store.free
    index = _list_of(size)
    write_8(arena, place, FREE | size << 16)
    write_8(arena, place + HEAD, free[index])
    free[index] = place + 1
    meta[FREED] += size


@compiled
def close_up(store: Store) -> None:
    """
    Move the records together, so that none is free any more: 0.1 µs each.

    Every account begins with one network, and grows: what it leaves behind would only fit accounts that are newer.
    """
    arena, slots, meta, touched = store.arena, store.slots, store.meta, store.touched
    at = to = 0
    while at < meta[USED]:
        length = name_length(arena, at)
        if length == FREE:
            at += read_8(arena, at) >> 16
            continue
        size = _rounded(HEAD + length + state_length(arena, at))
        if to < at:
            index = hash_of(arena, at + HEAD, length, meta[SEED]) & (len(slots) - 1)
            while position(slots[index]) != at:
                index = (index + 1) & (len(slots) - 1)
            slots[index] = slots[index] >> 32 << 32 | (to >> 3) + 1
            for word in range(0, size, 8):
                write_8(arena, to + word, read_8(arena, at + word))
            number = read_4(arena, to + 4) >> 8
            if number:
                touched[number - 1] = to
        at, to = at + size, to + size
    meta[USED], meta[FREED] = to, 0
    store.free[:] = 0


@compiled
def look_up(store: Store, data: Bytes) -> int:
    """The slot of the name in `data`, which has one byte more; ABSENT if it has none."""
    meta = store.meta
    return slot_of(store, data, 0, len(data) - 1, hash_of(data, 0, len(data) - 1, meta[SEED]))


@compiled
def put(
    store: Store,
    data: Bytes,
    length: int,
    touching: bool,
) -> int:
    """Keep a state: `data` is the name, of `length` bytes, and the state; NO_ROOM, and nothing was changed."""
    arena, meta, touched = store.arena, store.meta, store.touched
    if touching and meta[TOUCHED] == len(touched):
        return NO_ROOM
    size = len(data) - length
    hashed = hash_of(data, 0, length, meta[SEED])
    slot = slot_of(store, data, 0, length, hashed)
    place = add(store, data, 0, length, hashed, size) if slot == ABSENT else resize(store, slot, size)
    if place == NO_ROOM:
        return NO_ROOM
    copy(arena, state_at(arena, place), data, length, size)
    if touching:
        touch(store, place)
    return place
