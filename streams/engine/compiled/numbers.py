"""
Numbers in arrays of bytes, as `struct` has them, and addresses of 128 bits as two halves.

All numbers are int64: numba makes a float of an unsigned and a signed one. The halves of an address are its bits, so they
may be negative. Indices are unsigned here: a signed one may count from the end, which keeps LLVM from joining bytes to words.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numpy import uint8, uint64

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.memory import copy_bytes

if TYPE_CHECKING:
    int64 = int  # compiled code knows one kind of whole number
else:
    int64 = np.int64

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

SIGN = -(1 << 63)
_1, _2, _3, _4, _5, _6, _7 = (uint64(number) for number in range(1, 8))


@compiled
def read_2(data: Bytes, at: int) -> int:
    """An unsigned number of 2 bytes, little endian."""
    i = uint64(at)
    return int64(data[i]) | int64(data[i + _1]) << 8


@compiled
def read_4(data: Bytes, at: int) -> int:
    """An unsigned number of 4 bytes, little endian."""
    i = uint64(at)
    return int64(data[i]) | int64(data[i + _1]) << 8 | int64(data[i + _2]) << 16 | int64(data[i + _3]) << 24


@compiled
def read_8(data: Bytes, at: int) -> int:
    """A signed number of 8 bytes, little endian."""
    i = uint64(at)
    return (
        int64(data[i])
        | int64(data[i + _1]) << 8
        | int64(data[i + _2]) << 16
        | int64(data[i + _3]) << 24
        | int64(data[i + _4]) << 32
        | int64(data[i + _5]) << 40
        | int64(data[i + _6]) << 48
        | int64(data[i + _7]) << 56
    )


@compiled
def write_2(data: Bytes, at: int, number: int) -> None:
    """Write 2 bytes, little endian."""
    i = uint64(at)
    data[i] = uint8(number)
    data[i + _1] = uint8(number >> 8)


@compiled
def write_4(data: Bytes, at: int, number: int) -> None:
    """Write 4 bytes, little endian."""
    i = uint64(at)
    data[i] = uint8(number)
    data[i + _1] = uint8(number >> 8)
    data[i + _2] = uint8(number >> 16)
    data[i + _3] = uint8(number >> 24)


@compiled
def write_8(data: Bytes, at: int, number: int) -> None:
    """Write 8 bytes, little endian."""
    i = uint64(at)
    data[i] = uint8(number)
    data[i + _1] = uint8(number >> 8)
    data[i + _2] = uint8(number >> 16)
    data[i + _3] = uint8(number >> 24)
    data[i + _4] = uint8(number >> 32)
    data[i + _5] = uint8(number >> 40)
    data[i + _6] = uint8(number >> 48)
    data[i + _7] = uint8(number >> 56)


@compiled
def turned(number: int) -> int:
    """The 8 bytes of a number in the other order."""
    number = (number & 0x00FF00FF00FF00FF) << 8 | (number >> 8 & 0x00FF00FF00FF00FF)
    number = (number & 0x0000FFFF0000FFFF) << 16 | (number >> 16 & 0x0000FFFF0000FFFF)
    return number << 32 | (number >> 32 & 0xFFFFFFFF)


@compiled
def read_half(data: Bytes, at: int) -> int:
    """Half an address: 8 bytes, big endian."""
    return turned(read_8(data, at))


@compiled
def write_half(data: Bytes, at: int, number: int) -> None:
    """Write half an address: 8 bytes, big endian."""
    write_8(data, at, turned(number))


@compiled
def copy(data: Bytes, at: int, source: Bytes, source_at: int, length: int) -> None:
    """Copy bytes from one array to another, or to another place of the same that does not overlap."""
    copy_bytes(data, at, source, source_at, length)


@compiled
def is_same(data: Bytes, at: int, other: Bytes, other_at: int, length: int) -> bool:
    """Whether two arrays have the same bytes somewhere."""
    one, two = uint64(at), uint64(other_at)
    for i in range(uint64(length)):
        if data[one + i] != other[two + i]:
            return False
    return True


@compiled
def is_less(one: int, other: int) -> bool:
    """Whether half an address is less than another: both without sign."""
    return (one ^ SIGN) < (other ^ SIGN)


@compiled
def masks(prefix: int) -> tuple[int, int]:
    """The bits that a prefix of 0 to 128 fixes, of both halves."""
    if prefix <= 0:
        return 0, 0
    if prefix < 64:
        return -1 << (64 - prefix), 0
    if prefix == 64:
        return -1, 0
    return -1, -1 << (128 - prefix)


@compiled
def ones(number: int) -> int:
    """How many bits of a number from 0 to 2**62 are set."""
    count = 0
    while number:
        number &= number - 1
        count += 1
    return count
