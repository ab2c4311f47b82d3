"""
Any number of accounts as the changelog holds them, made from one that the engine itself made.

Only times and the low bytes of addresses differ, so the networks stay in order and a million take seconds. Their rules are
those of the common job without a geo database: nothing but the address decides what a login meets.
"""

import random
from collections.abc import Iterator

import orjson

from benchmarks.harness.rules import as_lines
from streams.core.state import ENTRY, HEADER
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.replay.replay import Replay
from streams.settings import Settings

OFFSET_AT = 4
NO_OFFSET = (-1).to_bytes(8, "little", signed=True)
ADDRESS_IN_ENTRY = ENTRY.size - 16
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
VARIETIES = 1024
"""Times repeat after so many accounts: more than what a compressor sees at once."""


def name(number: int) -> bytes:
    """The account with this number; all names are as long."""
    return b"user%07d@example.org" % number


def address(number: int, network: int) -> str:
    """Where account `number` logs in: its network number `network`, of 64."""
    return f"{network + 11}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class States:
    """States of `networks` networks each, last used in the hours before `now_ms`."""

    def __init__(self, networks: int, now_ms: int) -> None:
        chance = random.Random(networks)
        moments = [now_ms - chance.randrange(HOUR_MS) for _ in range(VARIETIES)]
        self._templates = _templates(networks, moments)
        self._places: list[tuple[int, int]] = []
        for index in range(networks):
            at = HEADER.size + index * ENTRY.size + ADDRESS_IN_ENTRY
            self._places.append((at + 13, at + 16))  # the last three bytes of an IPv4 address

    @property
    def size(self) -> int:
        """Length of one packed state."""
        return len(self._templates[0])

    def packed(self, number: int) -> bytes:
        """The state of one account, as a value of the changelog: no login of the topic is applied yet."""
        state = bytearray(self._templates[number % VARIETIES])
        low = (number & 0xFFFFFF).to_bytes(3, "big")
        for start, end in self._places:
            state[start:end] = low
        return bytes(state)

    def all(self, accounts: int) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each."""
        for number in range(accounts):
            yield name(number), self.packed(number)


def _templates(networks: int, moments: list[int]) -> list[bytes]:
    """One state for each moment of its last login; the networks before it two hours apart, outside each other's window."""
    replay = Replay(Settings(), NoPlaces())
    for line in as_lines("common"):
        replay.read(orjson.dumps(line))
    for number, moment in enumerate(moments):
        for index in reversed(range(networks)):
            login = {
                "time": moment - index * 120 * MINUTE_MS,
                "account": name(number).decode(),
                "ip": address(0, index),
            }
            login |= {"success": True, "service": "imap"}
            replay.read(orjson.dumps({"topic": "logins", "timestamp": login["time"], "value": login}))
    made = [replay.engine.accounts[0][name(number).decode()] for number in range(len(moments))]
    if any(len(packed) != HEADER.size + networks * ENTRY.size for packed in made):
        raise AssertionError("a state has a tail, or another number of networks")
    return [packed[:OFFSET_AT] + NO_OFFSET + packed[OFFSET_AT + 8 :] for packed in made]


def logins(accounts: int, count: int, networks: int, now_ms: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and single-object Login: accounts at random, each from one of its known networks, milliseconds apart."""
    chance, codec = random.Random(seed), Codec()
    empty = dict.fromkeys(("id", "session", "server", "client", "failure"))
    for index in range(count):
        number = chance.randrange(accounts)
        login = {
            **empty,
            "time": now_ms + index // 100,
            "account": name(number).decode(),
            "success": True,
            "service": "imap",
        }
        login["ip"] = address(number, chance.randrange(networks))
        yield name(number), codec.encode("Login", login)
