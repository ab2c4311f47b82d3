"""
Addresses from their text, as `core.addresses.parse_address` reads them. What is rare is declined, not refused.

Declined are texts that are no address, leading zeros of IPv4, and IPv4 written inside of IPv6.
"""

from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, int64

DOT, COLON, ZERO, A = 46, 58, 48, 97
MAPPED = 0xFFFF << 32
DECLINED = (False, 0, 0)
Address = tuple[bool, int, int]
"""Whether it could be read, and its two halves."""


@compiled
def read_address(data: Bytes, at: int, end: int) -> Address:
    """Whether it could be read, and its two halves."""
    for i in range(at, end):
        if data[i] == COLON:
            return _read_ipv6(data, at, end)
    return _read_ipv4(data, at, end)


@compiled
def _read_ipv4(data: Bytes, at: int, end: int) -> Address:
    number, part, digits, parts = int64(0), int64(0), 0, 1
    for i in range(at, end):
        byte = int64(data[i])
        if byte == DOT:
            if digits == 0 or parts == 4:
                return DECLINED
            number = number << 8 | part
            part, digits, parts = int64(0), 0, parts + 1
        elif ZERO <= byte <= ZERO + 9:
            if digits and part == 0:
                return DECLINED
            part = part * 10 + byte - ZERO
            digits += 1
            if part > 255:
                return DECLINED
        else:
            return DECLINED
    if parts != 4 or digits == 0:
        return DECLINED
    return True, int64(0), MAPPED | number << 8 | part


@compiled
def _read_ipv6(data: Bytes, at: int, end: int) -> Address:
    """RFC 4291 2.2: eight groups of up to four hex digits, `::` once in place of one or more groups of zeros."""
    high, low, groups, gap = int64(0), int64(0), 0, -1
    i = at
    if data[at] == COLON:
        if at + 1 >= end or data[at + 1] != COLON:
            return DECLINED
        gap, i = 0, at + 2
    while i < end:
        group, digits = int64(0), 0
        while i < end and data[i] != COLON:
            digit = _hex_digit(int64(data[i]))
            if digit < 0 or digits == 4:
                return DECLINED
            group, digits, i = group << 4 | digit, digits + 1, i + 1
        if digits == 0 or groups == 8:
            return DECLINED
        high, low, groups = high << 16 | (low >> 48 & 0xFFFF), low << 16 | group, groups + 1
        if i < end:
            i += 1  # the colon
            if i == end:
                return DECLINED
            if data[i] == COLON:
                if gap >= 0:
                    return DECLINED
                gap, i = groups, i + 1
    if gap < 0:
        return (True, high, low) if groups == 8 else DECLINED
    if groups == 8:
        return DECLINED
    return _with_gap(high, low, groups, gap)


@compiled
def _hex_digit(byte: int) -> int:
    if ZERO <= byte <= ZERO + 9:
        return byte - ZERO
    byte |= 32
    if A <= byte <= A + 5:
        return byte - A + 10
    return -1


@compiled
def _with_gap(high: int, low: int, groups: int, gap: int) -> Address:
    """The groups behind the gap stay where they are, those before it move to the front."""
    behind = groups - gap
    front_high, front_low = high, low
    for _ in range(behind):
        front_low = (front_low >> 16 & 0xFFFFFFFFFFFF) | (front_high & 0xFFFF) << 48
        front_high = front_high >> 16 & 0xFFFFFFFFFFFF
    for _ in range(8 - gap):
        front_high = front_high << 16 | (front_low >> 48 & 0xFFFF)
        front_low <<= 16
    back_high, back_low = high, low
    for _ in range(8 - behind):
        back_high = back_high << 16 | (back_low >> 48 & 0xFFFF)
        back_low <<= 16
    for _ in range(8 - behind):
        back_low = (back_low >> 16 & 0xFFFFFFFFFFFF) | (back_high & 0xFFFF) << 48
        back_high = back_high >> 16 & 0xFFFFFFFFFFFF
    return True, front_high | back_high, front_low | back_low
