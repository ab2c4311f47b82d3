"""
The fields of a Login from single-object Avro, as `records.login.from_single_object` reads them.

What is rare is declined, and read by that: texts that are not ASCII, names and addresses of more than 63 bytes, times
before 1970, other versions of the schema.
"""

from typing import NamedTuple

from streams.core.state import SERVICES
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes, int64, read_2, read_8
from streams.records.limits import TEXT_CHARACTERS
from streams.records.login import CONTEXT, VERSION
from streams.records.schemas import HEADER_BYTES, version

_header = version("Login", VERSION).header
HEADER_8 = int.from_bytes(_header[:8], "little", signed=True)
HEADER_2 = int.from_bytes(_header[8:], "little")
TIME_BYTES = 6
"""Six bytes of a zigzag varint hold the times from 1971 to 2039."""
NUMBER_OF_SERVICES, OPTIONAL_TEXTS = len(SERVICES), 1 + len(CONTEXT)
DECLINED = (False, 0, 0, 0, 0, 0, False, 0)
Fields = tuple[bool, int, int, int, int, int, bool, int]


class Login(NamedTuple):
    """A login that may be usual: `time_ms` is judged, `high` and `low` are the halves of the address."""

    offset: int
    time_ms: int
    high: int
    low: int
    country: int
    service: int


@compiled
def read_login(data: Bytes, at: int, end: int) -> Fields:
    """Whether it could be read; time (ms), start and end of the account, start and end of the address, success, service."""
    if end - at < HEADER_BYTES + TIME_BYTES + 6:
        return DECLINED
    if read_8(data, at) != HEADER_8 or read_2(data, at + 8) != HEADER_2:
        return DECLINED
    at += HEADER_BYTES
    time_ms = int64(0)
    for i in range(TIME_BYTES):
        byte = int64(data[at + i])
        if (byte > 127) != (i < TIME_BYTES - 1):
            return DECLINED
        time_ms |= (byte & 127) << 7 * i
    if time_ms & 1:  # before 1970
        return DECLINED
    account_at, account_end = _short_text(data, at + TIME_BYTES, end)
    if account_end < 0:
        return DECLINED
    ip_at, ip_end = _short_text(data, account_end, end)
    if ip_end < 0 or ip_end + 3 > end:
        return DECLINED
    success, service = int64(data[ip_end]), int64(data[ip_end + 1])
    if success > 1 or service & 1 or service >= 2 * NUMBER_OF_SERVICES:
        return DECLINED
    at = ip_end + 2
    for _ in range(OPTIONAL_TEXTS):
        at = _optional_text(data, at, end)
        if at < 0:
            return DECLINED
    if at != end:
        return DECLINED
    return True, time_ms >> 1, account_at, account_end, ip_at, ip_end, success == 1, service >> 1


@compiled
def _short_text(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of a text of at most 63 printable ASCII characters; the end is -1 for any other."""
    if at >= end:
        return at, int64(-1)
    length = int64(data[at])
    start = at + 1
    stop = start + (length >> 1)
    if length & 0x81 or stop > end or not _is_plain(data, start, stop):
        return start, int64(-1)
    return start, stop


@compiled
def _optional_text(data: Bytes, at: int, end: int) -> int:
    """The end of an optional printable ASCII text; -1 where it is none."""
    if at >= end:
        return int64(-1)
    if data[at] == 0:
        return at + 1
    if data[at] != 2 or at + 1 >= end:
        return int64(-1)
    length = int64(data[at + 1])
    start = at + 2
    if length > 127:
        if start >= end or data[start] > 127:
            return int64(-1)
        length = length & 127 | int64(data[start]) << 7
        start += 1
        if length < 128:  # not the shortest form
            return int64(-1)
    stop = start + (length >> 1)
    if length & 1 or (length >> 1) > TEXT_CHARACTERS or stop > end or not _is_plain(data, start, stop):
        return int64(-1)
    return stop


@compiled
def _is_plain(data: Bytes, at: int, end: int) -> bool:
    for i in range(at, end):
        if data[i] < 32 or data[i] > 126:
            return False
    return True
