"""
The blocks of an account: the last one, and when it was blocked before.

Decision: of blocks before the last one only their times are kept, for as long as the days of use are told apart, and at
most 32 of them. So a login that comes late, or comes again, is still known to have been made during a block.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from streams.core.addresses import Network, contains
from streams.core.listed import network_from_json, network_json

MOST_PAST_BLOCKS = 32
PAST_BLOCKS_KEPT_MS = 62 * 86_400_000
"""A network is kept for 30 days after its last login, and its days are told apart for 32 days back from there."""

Span = tuple[int, int]
"""From when until when, both included."""


@dataclass(slots=True)
class Block:
    """The account's last block. `lifted_ms` is set when it was ended before its time."""

    id: str
    from_ms: int
    until_ms: int
    incident: str | None = None
    except_networks: tuple[Network, ...] = ()
    lifted_ms: int | None = None

    @property
    def end_ms(self) -> int:
        """When it ended or will end."""
        return self.until_ms if self.lifted_ms is None else self.lifted_ms

    def holds(self, now_ms: int) -> bool:
        """Whether it is in force, or will be from `from_ms` on."""
        return self.lifted_ms is None and now_ms <= self.until_ms

    def leaves_open(self, address: int) -> bool:
        """Whether an address lies in a network that stays open."""
        return any(contains(network, Network(address, 128)) for network in self.except_networks)

    def covers(self, time_ms: int) -> bool:
        """Whether a login of that time was made during it."""
        return self.from_ms <= time_ms <= self.end_ms


def past_blocks(past: Iterable[Span], last: Block | None, from_ms: int) -> tuple[Span, ...]:
    """
    When the account was blocked before, now that a block from `from_ms` takes the place of the last one.

    >>> past_blocks([], Block("a", 1000, 5000), 3000)
    ((1000, 3000),)
    """
    spans = list(past)
    if last is not None and last.from_ms <= min(last.end_ms, from_ms):
        spans.append((last.from_ms, min(last.end_ms, from_ms)))
    return tuple(span for span in spans if span[1] > from_ms - PAST_BLOCKS_KEPT_MS)[-MOST_PAST_BLOCKS:]


def to_json(block: Block) -> list[Any]:
    """A block in the tail of a packed state."""
    networks = [orjson.Fragment(network_json(item)) for item in block.except_networks]
    return [block.id, block.from_ms, block.until_ms, block.incident, networks, block.lifted_ms]


def from_json(value: list[Any] | None) -> Block | None:
    """The block of such a tail, None if there is none."""
    if value is None:
        return None
    block_id, from_ms, until_ms, incident, networks, lifted_ms = value
    return Block(block_id, from_ms, until_ms, incident, tuple(map(network_from_json, networks)), lifted_ms)
