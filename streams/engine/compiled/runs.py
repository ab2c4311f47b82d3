"""
The further runs of an account's networks, in the JSON of its state's tail: `{"r":{"0":[[start,last],...],...},...}`.

They come first in the tail (`core.hot` and `core.state` write them so); what follows is moved, and not looked at. A network
that comes back after a pause is 2 % of a morning's logins, and cost 12 µs each by way of the engine.
"""

from streams.core.state import BUSY, HAS_TAIL, RUNS
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.layout import ENTRY_SIZE, HEADER_SIZE, NUMBER_AT
from streams.engine.compiled.numbers import Bytes, Numbers, copy, int64, read_2
from streams.engine.compiled.store import NO_ROOM, USED, Store, position, resize, state_at, state_length

MOST = 200
"""Further runs of an account that are worked on here; with more, the login is the engine's."""
ROWS = 3 * MOST
"""Length of `runs`: the number of the network's entry, start and last of each."""
TEXT = 16 * 1024
"""Length of `text`: of each run up to 50 bytes are written."""
_OPENING = b'{"r":{'
OPENING = tuple(_OPENING)
QUOTE, COMMA, COLON, ZERO, OPEN, CLOSE, BRACE, BRACE_END = 34, 44, 58, 48, 91, 93, 123, 125


@compiled
def read_runs(arena: Bytes, begins: int, end: int, runs: Numbers) -> tuple[int, int]:
    """How many further runs a state has, entered into `runs`, and where the rest of its tail begins; -1 runs: not to be read."""
    at = begins + HEADER_SIZE + read_2(arena, begins + NUMBER_AT) * ENTRY_SIZE
    flags = int64(arena[begins + 1])
    if flags & RUNS == 0:
        return 0, at + 1 if flags & HAS_TAIL else at
    for byte in OPENING:
        if arena[at] != byte:
            return -1, at
        at += 1
    count = 0
    while True:
        index, at = _read_number(arena, at + 1)  # behind the quote
        if arena[at] != QUOTE or arena[at + 1] != COLON or arena[at + 2] != OPEN:
            return -1, at
        at += 2
        while arena[at] != CLOSE:  # at the bracket before the first run, or the comma before another
            start, at = _read_number(arena, at + 2)
            last, at = _read_number(arena, at + 1)
            if count == MOST or arena[at] != CLOSE or at >= end:
                return -1, at
            runs[3 * count], runs[3 * count + 1], runs[3 * count + 2] = index, start, last
            count += 1
            at += 1
        at += 1
        if arena[at] == BRACE_END:
            return count, at + 2
        if arena[at] != COMMA:
            return -1, at
        at += 1


@compiled
def _read_number(data: Bytes, at: int) -> tuple[int, int]:
    """A whole number in digits, and what follows it."""
    number = int64(0)
    while ZERO <= data[at] <= ZERO + 9:
        number = number * 10 + int64(data[at]) - ZERO
        at += 1
    return number, at


@compiled
def still_met(runs: Numbers, count: int, gone_ms: int) -> int:
    """Leave out the runs that no late login can meet; how many are left."""
    left = 0
    for i in range(count):
        if runs[3 * i + 2] > gone_ms:
            for column in range(3):
                runs[3 * left + column] = runs[3 * i + column]
            left += 1
    return left


@compiled
def runs_of(runs: Numbers, count: int, index: int) -> int:
    """How many of them are of one network."""
    own = 0
    for i in range(count):
        own += runs[3 * i] == index
    return own


@compiled
def insert_run(runs: Numbers, count: int, index: int, start: int, last: int) -> None:
    """One run more, behind those of its network and of the networks before; there must be room."""
    at = count
    while at > 0 and runs[3 * at - 3] > index:
        for column in range(3):
            runs[3 * at + column] = runs[3 * at - 3 + column]
        at -= 1
    runs[3 * at], runs[3 * at + 1], runs[3 * at + 2] = index, start, last


@compiled
def put_runs(
    store: Store,
    slot: int,
    rest: int,
    runs: Numbers,
    count: int,
    text: Bytes,
) -> int:
    """
    Write these further runs into a state's tail, whose `rest` begins there; the place of the record, or NO_ROOM.

    NO_ROOM: nothing was changed.
    """
    arena, slots, meta = store.arena, store.slots, store.meta
    place = position(slots[slot])
    begins, length = state_at(arena, place), state_length(arena, place)
    body = HEADER_SIZE + read_2(arena, begins + NUMBER_AT) * ENTRY_SIZE
    rest_length = max(begins + length - rest, 0)
    if rest_length == 1:  # nothing but the brace at the end
        rest_length = 0
    written = _write(text, runs, count, rest_length > 0)
    new_length = body + written + rest_length
    if meta[USED] + 2 * new_length + 1024 > len(arena):
        return NO_ROOM
    if new_length < length:
        _move(arena, begins + body + written, rest, rest_length)
    moved = resize(store, slot, new_length)
    new_begins = state_at(arena, moved)
    if new_length >= length:
        _move(arena, new_begins + body + written, new_begins + rest - begins, rest_length)
    copy(arena, new_begins + body, text, 0, written)
    flags = int64(arena[new_begins + 1]) & ~(BUSY | RUNS | HAS_TAIL)
    arena[new_begins + 1] = flags | (BUSY | RUNS if count else 0) | (HAS_TAIL if new_length > body else 0)
    return moved


@compiled
def _move(arena: Bytes, to: int, source: int, length: int) -> None:
    """Move bytes within the array, to a place that may overlap."""
    if to < source:
        for i in range(length):
            arena[to + i] = arena[source + i]
    elif to > source:
        for i in range(length - 1, -1, -1):
            arena[to + i] = arena[source + i]


@compiled
def _write(text: Bytes, runs: Numbers, count: int, more: bool) -> int:
    """The tail up to its rest, which is there if `more`; how long it is."""
    if count == 0:
        text[0] = BRACE
        return 1 if more else 0
    at = len(OPENING)
    for i in range(at):
        text[i] = OPENING[i]
    for i in range(count):
        if i == 0 or runs[3 * i] != runs[3 * i - 3]:
            if i:
                text[at], text[at + 1] = CLOSE, COMMA
                at += 2
            text[at] = QUOTE
            at = _write_number(text, at + 1, runs[3 * i])
            text[at], text[at + 1], text[at + 2] = QUOTE, COLON, OPEN
            at += 3
        else:
            text[at] = COMMA
            at += 1
        text[at] = OPEN
        at = _write_number(text, at + 1, runs[3 * i + 1])
        text[at] = COMMA
        at = _write_number(text, at + 1, runs[3 * i + 2])
        text[at] = CLOSE
        at += 1
    text[at], text[at + 1], text[at + 2] = CLOSE, BRACE_END, COMMA if more else BRACE_END
    return at + 3


@compiled
def _write_number(text: Bytes, at: int, number: int) -> int:
    """A whole number from 0 on in digits; where they end."""
    power = int64(1)
    while power <= number // 10:
        power *= 10
    while power > 0:
        text[at] = ZERO + number // power % 10
        power //= 10
        at += 1
    return at
