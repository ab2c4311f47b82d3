"""
What a door knows of `blocks`: which accounts are denied now, until when, and from which networks they stay open.

Decision: memory holds only blocks that are in force. Of each it keeps the account's bytes and one packed value (end and
open networks), about 200 bytes, so a million blocks fit into a small process. The topic keeps 35 days of blocks, most
of them long over; a hand-written reader of the few needed fields drops those while loading. Networks are parsed when a
denied account asks, not before. The last record of a key wins, as on the compacted topic.

One thread applies records (the table view's), another asks without a lock: every change is one assignment of one
immutable value. Forgetting looks first and deletes then, so it and applying take turns.
"""

import enum
import threading
from collections.abc import Callable, Iterable

import structlog

from streams.core.addresses import Network, contains, parse_address, parse_network
from streams.core.refusal import Refused
from streams.errors import RegistryUnavailableError
from streams.records import schemas
from streams.records.codec import Codec

LOG = structlog.get_logger(__name__)

SLOT_MS = 60_000
"""Blocks are forgotten in slots of this width: about this long after they end."""
MOST_FORGOTTEN = 500
"""In one go: about a quarter of a millisecond."""
END_BYTES = 8
LATEST_MS = (1 << 63) - 1
REGISTRY_RETRY_S = 1.0
READ_BY_HAND = ("id", "account", "state", "from", "until", "reason", "incident", "actor", "except_networks")
"""The fields that the hand-written reader expects first, in this order."""
BLOCKED_BYTE = 0  # symbol 0 of the enum BlockState
SIX_BYTES_MASK, SIX_BYTES = 0x808080808080, 0x008080808080
"""The marks of a variable-length integer of six bytes, which all but the last have."""
NULL_BYTE = 0  # the first branch of the union of `incident`


class Answer(enum.Enum):
    """What the view says of an account and an address."""

    OPEN = "open"
    DENIED = "denied"
    FAMILIAR = "familiar"
    """Blocked, but asking from a network that stays open during the block."""


class BlocksView:
    """
    The blocks in force, by account.

    `on_bad` is told the reason of each record that cannot be read; such a record changes nothing.
    """

    def __init__(self, codec: Codec, clock_ms: Callable[[], int], on_bad: Callable[[str], None]) -> None:
        self._codec = codec
        self._clock_ms = clock_ms
        self._on_bad = on_bad
        self._headers = _headers_read_by_hand()
        self._held: dict[bytes, bytes] = {}
        self._slots: dict[int, list[bytes]] = {}
        self._none_over_before_ms = 0
        self._turn = threading.Lock()
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    def apply(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take keys and values of `blocks`, in the order of their offsets. Never raises for what they say."""
        now_ms = self._clock_ms()
        for key, raw in records:
            if key is None:
                self._on_bad("no-key")
                continue
            try:
                until, networks = (0, b"") if raw is None else self._read(raw)
            except Refused as refusal:
                LOG.warning(
                    "block unreadable, it changes nothing", key=repr(key), reason=refusal.reason, error=str(refusal)
                )
                self._on_bad(refusal.reason)
                continue
            self._set(key, until, networks, now_ms)

    def close(self) -> None:
        """Wait no longer for a schema registry that is away."""
        self._closed.set()

    def ask(self, account: str, address: str, now_ms: int) -> Answer:
        """
        Is this canonical account denied to a client at `address`?

        An address that is none ("" from a local test, for instance) lies in no open network.
        """
        held = self._held.get(account.encode())
        if held is None or int.from_bytes(held[:END_BYTES]) <= now_ms:
            return Answer.OPEN
        return Answer.FAMILIAR if _inside(address, held[END_BYTES:]) else Answer.DENIED

    def until(self, account: str, now_ms: int) -> int | None:
        """When the block of this canonical account ends; None if it has none now."""
        held = self._held.get(account.encode())
        until = 0 if held is None else int.from_bytes(held[:END_BYTES])
        return until if until > now_ms else None

    def forget_ended(self, now_ms: int) -> int:
        """
        Give back the memory of blocks that are over: how many they were.

        Does little at a time, so that a door that answers is never held up: call it often.
        """
        if now_ms < self._none_over_before_ms <= now_ms + SLOT_MS:  # no further ahead, or the clock was set back
            return 0
        forgotten = 0
        for slot in [slot for slot in self._slots.copy() if (slot + 1) * SLOT_MS <= now_ms]:
            keys = self._slots[slot]
            part = keys[-MOST_FORGOTTEN:]
            del keys[-MOST_FORGOTTEN:]
            if not keys:
                del self._slots[slot]
            forgotten += sum(self._forget(key, now_ms) for key in part)
            if part:
                return forgotten
        self._none_over_before_ms = (now_ms // SLOT_MS + 1) * SLOT_MS
        return forgotten

    def _forget(self, key: bytes, now_ms: int) -> bool:
        with self._turn:
            held = self._held.get(key)
            ended = held is not None and int.from_bytes(held[:END_BYTES]) <= now_ms
            if ended:
                del self._held[key]
            return ended

    def _set(self, key: bytes, until: int, networks: bytes, now_ms: int) -> None:
        with self._turn:
            if until <= now_ms:
                self._held.pop(key, None)
            else:
                self._held[key] = min(until, LATEST_MS).to_bytes(END_BYTES) + networks
                self._slots.setdefault(until // SLOT_MS, []).append(key)

    def _read(self, raw: bytes) -> tuple[int, bytes]:
        """The end of the block (0 for none) and its open networks, joined by commas. Raises Refused."""
        if raw[: schemas.HEADER_BYTES] in self._headers:
            try:
                return _read_by_hand(raw)
            except (IndexError, ValueError) as error:
                raise Refused("truncated", f"a Block of {len(raw)} bytes ends too early") from error
        while True:
            try:
                block = self._codec.decode("Block", raw)
            except RegistryUnavailableError as error:
                # without its schema nothing is known about the block: passing it over would leave an account open
                LOG.warning("block waits for the schema registry", error=str(error))
                if self._closed.wait(REGISTRY_RETRY_S):
                    raise Refused("registry-unavailable", str(error)) from error
            else:
                break
        return (
            (int(block["until"]), ",".join(block["except_networks"]).encode())
            if block["state"] == "blocked"
            else (0, b"")
        )


def _headers_read_by_hand() -> frozenset[bytes]:
    """How Blocks begin whose fields are, from the first on, those that the hand-written reader knows."""
    count = len(READ_BY_HAND)
    return frozenset(
        schema.header
        for schema in schemas.released()["Block"]
        if tuple(field["name"] for field in schema.source["fields"][:count]) == READ_BY_HAND
    )


def _inside(address: str, networks: bytes) -> bool:
    if not networks:
        return False
    try:
        client = Network(parse_address(address), 128)
    except Refused:
        return False
    return any(contains(network, client) for network in _networks(networks))


def _networks(joined: bytes) -> list[Network]:
    """The networks that can be read; one that cannot opens nothing."""
    found = []
    for text in joined.decode(errors="replace").split(","):
        try:
            found.append(parse_network(text))
        except Refused:
            continue
    return found


def _read_by_hand(raw: bytes) -> tuple[int, bytes]:
    """
    `until` and `except_networks` of a Block, reading no more than needed (Avro 1.12, binary encoding).

    Fields in order: id, account (strings), state (enum), from, until (longs), reason (string), incident (null or
    string), actor (string), except_networks (array of strings). Raises IndexError or ValueError on short bytes.
    """
    at = schemas.HEADER_BYTES
    size = raw[at]  # the length of a string up to 63 bytes is one byte, twice the length
    at = at + 1 + (size >> 1) if size < 0x80 else _after_string(raw, at)
    size = raw[at]
    at = at + 1 + (size >> 1) if size < 0x80 else _after_string(raw, at)
    if raw[at] != BLOCKED_BYTE:
        return 0, b""
    at += 1
    while raw[at] & 0x80:  # `from` is not needed
        at += 1
    at += 1
    until = int.from_bytes(raw[at : at + 6], "little")
    if until & SIX_BYTES_MASK == SIX_BYTES:  # any time from July 1970 to 2039
        until = (
            (until & 0x7F | until >> 1 & 0x3F80 | until >> 2 & 0x1FC000)
            | (until >> 3 & 0xFE00000 | until >> 4 & 0x7F0000000 | until >> 5 & 0x3F800000000)
        ) >> 1  # fmt: skip
        at += 6
    else:
        until, at = _long(raw, at)
    size = raw[at]
    at = at + 1 + (size >> 1) if size < 0x80 else _after_string(raw, at)
    at = at + 1 if raw[at] == NULL_BYTE else _after_string(raw, at + 1)
    size = raw[at]
    at = at + 1 + (size >> 1) if size < 0x80 else _after_string(raw, at)
    return until, b",".join(_strings(raw, at)) if raw[at] else b""


def _strings(raw: bytes, at: int) -> list[bytes]:
    """An Avro array of strings: blocks of a count and items; a negative count is followed by the block's size."""
    found: list[bytes] = []
    while True:
        count, at = _long(raw, at)
        if count == 0:
            return found
        if count < 0:
            _, at = _long(raw, at)
            count = -count
        for _ in range(count):
            length, at = _long(raw, at)
            if length < 0 or at + length > len(raw):
                raise ValueError
            found.append(raw[at : at + length])
            at += length


def _after_string(raw: bytes, at: int) -> int:
    """The place after a string. Short ones, nearly all, have a length of one byte."""
    first = raw[at]
    if first < 0x80:
        return at + 1 + (first >> 1)
    length, at = _long(raw, at)
    if length < 0:
        raise ValueError
    return at + length


def _long(raw: bytes, at: int) -> tuple[int, int]:
    """A zigzag variable-length integer and the place after it."""
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
