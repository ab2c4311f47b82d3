"""
Which partition a key belongs to: the same answer as Java's producer and librdkafka's `murmur2_random`.

The algorithm is MurmurHash 2 (Austin Appleby) as `org.apache.kafka.common.utils.Utils.murmur2` has it: seed 0x9747b28c,
little endian, 32 bits; the partition is the hash without its sign bit, modulo the number of partitions.
"""

from struct import iter_unpack

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
ROTATION = 24
WORD = 0xFFFF_FFFF
WITHOUT_SIGN = 0x7FFF_FFFF


def murmur2(data: bytes) -> int:
    """
    The 32-bit hash, unsigned.

    >>> hex(murmur2(b"a-little-bit-long-string"))  # Kafka's UtilsTest has -985981536
    '0xc53b1da0'
    """
    whole = len(data) & ~3
    state = SEED ^ len(data)
    for (word,) in iter_unpack("<I", data[:whole]):
        mixed = word * MULTIPLIER & WORD
        mixed = (mixed ^ mixed >> ROTATION) * MULTIPLIER & WORD
        state = state * MULTIPLIER & WORD ^ mixed
    if whole < len(data):
        state = (state ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & WORD
    state = (state ^ state >> 13) * MULTIPLIER & WORD
    return state ^ state >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """
    The partition of a keyed record on a topic with this many partitions.

    >>> partition_for(b"user@example.org", 8)
    1
    """
    return (murmur2(key) & WITHOUT_SIGN) % partitions
