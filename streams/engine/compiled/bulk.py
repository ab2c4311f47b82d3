"""Many states at once, as recovery reads them from the changelog."""

from numpy import uint64

from streams.core.state import HAS_TAIL, NONE, VERSION
from streams.engine.compiled.jit import compiled, compiled_aside
from streams.engine.compiled.layout import (
    APPLIED_AT,
    ENTRY_SIZE,
    HEADER_SIZE,
    KEY,
    KEY_END,
    NUMBER_AT,
    VALUE,
    VALUE_END,
)
from streams.engine.compiled.numbers import Bytes, Numbers, copy, int64, read_2, read_8
from streams.engine.compiled.store import (
    ABSENT,
    LONGEST_NAME,
    NO_ROOM,
    SEED,
    Store,
    add,
    hash_of,
    position,
    resize,
    slot_of,
    state_at,
    state_length,
)


@compiled_aside
def load(data: Bytes, table: Numbers, first: int, store: Store) -> int:
    """
    Take in states from number `first` on; the number of the first that must be looked at, or of the states = none.

    `table` says where in `data` each key and value is: name and state. Taken are states without a tail, where none with a tail
    is held, unless they had applied less than the one that is held (`core.state.is_newer`), under names in ASCII: any other
    may be no text. -1 - number: no room for that one.
    """
    arena, slots, meta = store.arena, store.slots, store.meta
    for number in range(first, len(table)):
        at, length = table[number, KEY], table[number, KEY_END] - table[number, KEY]
        begin, size = table[number, VALUE], table[number, VALUE_END] - table[number, VALUE]
        if length > LONGEST_NAME or not _is_ascii(data, at, length) or not _is_plain(data, begin, size):
            return number
        hashed = hash_of(data, at, length, meta[SEED])
        slot = slot_of(store, data, at, length, hashed)
        if slot == ABSENT:
            place = add(store, data, at, length, hashed, size)
        else:
            place = position(slots[slot])
            held = state_at(arena, place)
            if not _is_plain(arena, held, state_length(arena, place)):
                return number
            if read_8(data, begin + APPLIED_AT) < read_8(arena, held + APPLIED_AT):
                continue
            place = resize(store, slot, size)
        if place == NO_ROOM:
            return -1 - number
        copy(arena, state_at(arena, place), data, begin, size)
    return len(table)


@compiled
def _is_ascii(data: Bytes, at: int, length: int) -> bool:
    bits = int64(0)
    for i in range(uint64(length)):
        bits |= data[uint64(at) + i]
    return bits < 128


@compiled
def _is_plain(data: Bytes, at: int, length: int) -> bool:
    return (
        length >= HEADER_SIZE
        and data[at] == VERSION
        and data[at + 1] & HAS_TAIL == 0
        and length == HEADER_SIZE + read_2(data, at + NUMBER_AT) * ENTRY_SIZE
    )


@compiled
def newest_login(arena: Bytes, slots: Numbers) -> int:
    """The greatest offset of an applied login; -1 = none."""
    newest = NONE
    for slot in slots:
        if slot != 0:
            newest = max(newest, read_8(arena, state_at(arena, position(slot)) + APPLIED_AT))
    return newest
