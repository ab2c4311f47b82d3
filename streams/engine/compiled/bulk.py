"""Many states at once, as recovery reads them from the changelog."""

from streams.core.state import ENTRY, HAS_TAIL, HEADER, NONE, VERSION
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, Numbers, copy, read_2, read_8
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

APPLIED_AT = 4
HEADER_SIZE, ENTRY_SIZE = HEADER.size, ENTRY.size


@compiled
def load(data: Bytes, ends: Numbers, first: int, store: Store) -> int:
    """
    Take in states from number `first` on; the number of the first that must be looked at, or of the states = none.

    `ends` has, of each, where in `data` its name ends, and its state. Taken are states without a tail, where none with a tail
    is held, unless they had applied less than the one that is held (`core.state.is_newer`). -1 - number: no room for that one.
    """
    arena, slots, meta = store.arena, store.slots, store.meta
    count = len(ends) >> 1
    for number in range(first, count):
        at = ends[2 * number - 1] if number else 0
        middle, end = ends[2 * number], ends[2 * number + 1]
        if middle - at > LONGEST_NAME or not _is_plain(data, middle, end - middle):
            return number
        hashed = hash_of(data, at, middle - at, meta[SEED])
        slot = slot_of(store, data, at, middle - at, hashed)
        if slot == ABSENT:
            place = add(store, data, at, middle - at, hashed, end - middle)
        else:
            place = position(slots[slot])
            held = state_at(arena, place)
            if not _is_plain(arena, held, state_length(arena, place)):
                return number
            if read_8(data, middle + APPLIED_AT) < read_8(arena, held + APPLIED_AT):
                continue
            place = resize(store, slot, end - middle)
        if place == NO_ROOM:
            return -1 - number
        copy(arena, state_at(arena, place), data, middle, end - middle)
    return count


@compiled
def put_together(data: Bytes, table: Numbers, key: int, out: Bytes, ends: Numbers) -> None:
    """
    Names and states of records one after the other, as `load` wants them.

    `table` has in the columns from `key` on where in `data` name and state begin and end; a state's end of -1 is none.
    """
    at = 0
    for row in range(len(table)):
        for part in range(2):
            begin, end = table[row, key + 2 * part], table[row, key + 2 * part + 1]
            if end > begin:
                copy(out, at, data, begin, end - begin)
                at += end - begin
            ends[2 * row + part] = at


@compiled
def _is_plain(data: Bytes, at: int, length: int) -> bool:
    return (
        length >= HEADER_SIZE
        and data[at] == VERSION
        and data[at + 1] & HAS_TAIL == 0
        and length == HEADER_SIZE + read_2(data, at + 2) * ENTRY_SIZE
    )


@compiled
def newest_login(arena: Bytes, slots: Numbers) -> int:
    """The greatest offset of an applied login; -1 = none."""
    newest = NONE
    for slot in slots:
        if slot != 0:
            newest = max(newest, read_8(arena, state_at(arena, position(slot)) + APPLIED_AT))
    return newest
