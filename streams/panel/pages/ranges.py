"""
Ranges around an address that may be marked as safe, and what a range covers.

Decision: only the ranges that people need are offered. One address is the rule; services that fetch mail from many
servers need a wide one, and those that are known for it are named beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.core.addresses import MAPPED, V4_OFFSET, Network, contains, parse_address, parse_network
from streams.core.refusal import Refused

IPV4_PREFIXES = (32, *range(31, 21, -1), 17)
IPV6_PREFIXES = (64, 60, 56, 52, 48, 44, 40, 36, 32)

HINTS: Mapping[int, str] = {17: "Google", 22: "myMail"}
"""Services that are known to need an IPv4 range of this length."""


@dataclass(frozen=True, slots=True)
class Range:
    """One choice: the prefix length, the network it makes of the address, how many addresses, who needs it."""

    prefix: int
    network: str
    addresses: int | None
    hint: str


def ranges(address: str) -> list[Range]:
    """
    The ranges offered around an address, the narrowest first. Raises Refused for what is none.

    >>> [choice.network for choice in ranges("192.0.2.77")][:2]
    ['192.0.2.77/32', '192.0.2.76/31']
    """
    number = parse_address(address)
    if number >> 32 == MAPPED >> 32:
        return [
            Range(prefix, str(_around(number, V4_OFFSET + prefix)), 1 << (32 - prefix), HINTS.get(prefix, ""))
            for prefix in IPV4_PREFIXES
        ]
    return [Range(prefix, str(_around(number, prefix)), None, "") for prefix in IPV6_PREFIXES]


def chosen(address: str, prefix: int) -> Network:
    """The network that an address and one of the offered prefixes make. Raises Refused."""
    for choice in ranges(address):
        if choice.prefix == prefix:
            return parse_network(choice.network)
    raise Refused("bad-network", "this range is not offered for this address")


def covered(network: Network, listed: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Which of the listed networks (records with `network`) a range takes out of the count, in their order."""
    return [item for item in listed if contains(network, parse_network(item["network"]))]


def _around(number: int, prefix: int) -> Network:
    shift = 128 - prefix
    return Network(number >> shift << shift, prefix)
