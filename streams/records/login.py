"""
The two fast readers of a Login: the fields that judging needs, from single-object Avro or from JSON.

Decision: decoding was the largest single cost of a login, so the common forms are read by hand. These readers only say
yes: None means "ask the general path", which then answers or refuses. They answer exactly what the general path would,
which a test compares; so each check of `limits` has its counterpart here: a text that is printable holds no control
character and no lone surrogate, one of at most 1024 bytes has at most 1024 characters, and six bytes of time end in 2039.
Consequence: a new version of the Login schema, or another limit, must be followed here; the test notices.
"""

import struct
from typing import Any

from streams.errors import BadRecordError
from streams.records import schemas
from streams.records.limits import TEXT_CHARACTERS
from streams.records.times import LAST_MS, parse_rfc3339

Login = tuple[int, str, str, bool, str, str | None]
"""time (ms), account, ip, success, service, id."""

VERSION = 1
"""The version of the Login schema whose bytes `from_single_object` knows."""
HEADER = schemas.version("Login", VERSION).header
START = struct.Struct("<10sHIB").unpack_from
"""Header, the time's two low bytes, its four high bytes, the length of `account`."""
HALF: Any = tuple(None if number & 1 else number >> 1 for number in range(128))
"""Length of a text by its first byte: odd ones are negative (None + 1 is a TypeError), from 128 on more bytes follow."""
BOOLEANS = {0: False, 1: True}
SERVICES = {2 * number: symbol for number, symbol in enumerate(("imap", "pop3", "smtp", "http", "sieve", "other"))}
NO_CONTEXT = bytes(4)
"""session, server, client and failure, all null."""

KNOWN_SERVICES = frozenset(SERVICES.values())
CONTEXT = ("session", "server", "client", "failure")
SECONDS = {f"{second:02}": second * 1000 for second in range(60)}

CACHED_TIMES = 4096
"""Logins come nearly in order, so the high part of a time is nearly always the last one: 8 s in Avro, a minute in JSON."""
_high_parts: dict[int, int] = {}
_minutes: dict[str, int] = {}


def from_single_object(raw: bytes) -> Login | None:
    """Read a single-object Login; None when anything about it is unusual."""
    try:
        header, low, high, length = START(raw)
        if header != HEADER or low & 0x8081 != 0x8080:  # both low bytes go on, and the time is not negative
            return None
        time_ms = (_high_parts.get(high) or high_part(high)) + ((low & 0x7F | low >> 1 & 0x3F80) >> 1)
        end = 17 + HALF[length]
        account = raw[17:end].decode()
        at = end + 1 + HALF[raw[end]]
        ip = raw[end + 1 : at].decode()
        success = BOOLEANS[raw[at]]
        service = SERVICES[raw[at + 1]]
        if raw[at + 2] == 2:
            start, at = (at + 4, at + 4 + HALF[raw[at + 3]]) if raw[at + 3] < 128 else long_text(raw, at + 3)
            identity = raw[start:at].decode()
            if not identity.isprintable():
                return None
        elif raw[at + 2] == 0:
            identity = None
            at += 3
        else:
            return None
        if (raw[at:] == NO_CONTEXT or plain_context(raw, at)) and account.isprintable() and ip.isprintable():
            return time_ms, account, ip, success, service, identity
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, struct.error):
        pass
    return None


def high_part(high: int) -> int:
    """What the four high bytes of a six-byte zigzag time add, in ms. KeyError when they are not the end of one."""
    if high & 0x80808080 != 0x00808080:
        raise KeyError(high)
    if len(_high_parts) >= CACHED_TIMES:
        _high_parts.clear()
    third, fourth, fifth, sixth = high.to_bytes(4, "little")
    part = (third & 127) << 13 | (fourth & 127) << 20 | (fifth & 127) << 27 | sixth << 34
    _high_parts[high] = part
    return part


def long_text(raw: bytes, at: int) -> tuple[int, int]:
    """Where a text of 64 to 1024 bytes begins and ends whose two-byte length is at `at`. KeyError for any other length."""
    low, high = raw[at], raw[at + 1]
    length = (low & 0x7F | high << 7) >> 1
    if low & 0x81 != 0x80 or high > 127 or length > TEXT_CHARACTERS:
        raise KeyError(at)
    return at + 2, at + 2 + length


def plain_context(raw: bytes, at: int) -> bool:
    """Are the four optional texts from `at` on well-formed, ordinary, and the end of the bytes?"""
    for _ in CONTEXT:
        mark = raw[at]
        at += 1
        if mark == 2:
            start, at = (at + 1, at + 1 + HALF[raw[at]]) if raw[at] < 128 else long_text(raw, at)
            if not raw[start:at].decode().isprintable():
                return False
        elif mark:
            return False
    return at == len(raw)


def from_value(value: Any) -> Login | None:
    """Read a Login from parsed JSON; None when anything about it is unusual."""
    try:
        time = value["time"]
        if type(time) is not int:
            time = rfc3339(time)
        account, ip, success = value["account"], value["ip"], value["success"]
        service, identity = value.get("service", "other"), value.get("id")
        if (
            type(account) is str
            and type(ip) is str
            and type(success) is bool
            and service in KNOWN_SERVICES
            and 0 <= time <= LAST_MS
            and account.isprintable()
            and ip.isprintable()
            and len(account) <= TEXT_CHARACTERS
            and len(ip) <= TEXT_CHARACTERS
            and (identity is None or (identity.isprintable() and len(identity) <= TEXT_CHARACTERS))
            and (len(value) <= 6 or ordinary_context(value))
        ):
            return time, account, ip, success, service, identity
    except (AttributeError, KeyError, TypeError, BadRecordError):
        pass
    return None


def ordinary_context(value: dict[str, Any]) -> bool:
    """Are the optional texts that judging does not need absent, null or ordinary? AttributeError when one is no text."""
    for name in CONTEXT:
        text = value.get(name)
        if text is not None and not (text.isprintable() and len(text) <= TEXT_CHARACTERS):
            return False
    return True


def rfc3339(text: str) -> int:
    """The time of a text in ms. The start of its minute is cached; unusual spellings go to the strict parser."""
    minute = _minutes.get(text[:17])
    if minute is None:
        minute = start_of_minute(text)
    second, rest = SECONDS.get(text[17:19]), text[19:]
    if second is not None and rest == "Z":
        return minute + second
    if (
        second is not None
        and len(rest) == 5
        and rest[0] == "."
        and rest[4] == "Z"
        and rest.isascii()
        and rest[1:4].isdigit()
    ):
        return minute + second + int(rest[1:4])
    return parse_rfc3339(text)


def start_of_minute(text: str) -> int:
    """The UTC minute that the first 17 characters name, cached; BadRecordError when they are no such minute."""
    if len(_minutes) >= CACHED_TIMES:
        _minutes.clear()
    minute = _minutes[text[:17]] = parse_rfc3339(text[:17] + "00Z")
    return minute
