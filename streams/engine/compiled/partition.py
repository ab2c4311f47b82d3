"""Which partition a key belongs to: `bus.murmur2`, compiled (a test compares the two)."""

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, int64, read_4

SEED, MULTIPLIER, ROTATION = 0x9747B28C, 0x5BD1E995, 24
WORD, WITHOUT_SIGN = 0xFFFF_FFFF, 0x7FFF_FFFF


@compiled
def partition_of(data: Bytes, at: int, stop: int, partitions: int) -> int:
    """The partition of a key on a topic with so many."""
    state = SEED ^ (stop - at)
    while at + 4 <= stop:
        mixed = read_4(data, at) * MULTIPLIER & WORD
        mixed = (mixed ^ mixed >> ROTATION) * MULTIPLIER & WORD
        state = state * MULTIPLIER & WORD ^ mixed
        at += 4
    if at < stop:
        rest = int64(0)
        for i in range(stop - at):
            rest |= int64(data[at + i]) << 8 * i
        state = (state ^ rest) * MULTIPLIER & WORD
    state = (state ^ state >> 13) * MULTIPLIER & WORD
    return ((state ^ state >> 15) & WITHOUT_SIGN) % partitions
