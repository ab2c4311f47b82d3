"""
Addresses and networks as plain numbers.

Decision: every address is one number of 128 bits, an IPv4 address as its IPv4-mapped IPv6 address (`::ffff:0:0/96`, RFC
4291 2.5.5.2), every prefix a length of 128. So cutting, comparing and storing need no second case for the family, and a
client that is seen as `192.0.2.1` by one server and as `::ffff:192.0.2.1` by another is one. Only the mapped range is
converted: other transition forms (6to4, NAT64, IPv4-compatible) are different addresses on the wire and stay so.
"""

from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address, NetmaskValueError, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from streams.core.refusal import Refused

MAPPED = 0xFFFF << 32
"""The upper 96 bits of an IPv4 address as we store it."""
V4_OFFSET = 96
"""A prefix of an IPv4 network counts these bits too."""
LONGEST_TEXT = 60

Order = tuple[bool, int, int]
"""What networks are sorted by: version, number, prefix."""


class Network(NamedTuple):
    """A network: its first address as a number of 128 bits, and its prefix of 128 bits."""

    number: int
    prefix: int

    @property
    def is_v4(self) -> bool:
        """Whether this is an IPv4 network."""
        return self.prefix >= V4_OFFSET and self.number >> 32 == 0xFFFF

    @property
    def order(self) -> Order:
        """Sorts by version, then number, then prefix."""
        return order(self.number, self.prefix)

    def __str__(self) -> str:
        return f"{format_address(self.number)}/{self.prefix - V4_OFFSET if self.is_v4 else self.prefix}"


def order(number: int, prefix: int) -> Order:
    """`Network.order` of a network that need not be made for it."""
    return (prefix < V4_OFFSET or number >> 32 != 0xFFFF, number, prefix)


def parse_address(text: str) -> int:
    """
    The number of an address given as text.

    Raises Refused for anything but a bare address: zone ids, brackets and ports belong to other notations.

    >>> parse_address("::ffff:192.0.2.1") == parse_address("192.0.2.1")
    True
    """
    if len(text) <= LONGEST_TEXT and "%" not in text:
        try:
            # the C library's converters: 0.15 us an address, where the classes of `ipaddress` take 1.7 (IPv4) and 3.4;
            # a test holds that both read the same
            if ":" in text:
                return int.from_bytes(inet_pton(AF_INET6, text), "big")
            return MAPPED | int.from_bytes(inet_pton(AF_INET, text), "big")
        except (OSError, ValueError):  # ValueError: a null character, half of a surrogate pair
            pass
    raise Refused("bad-address", f"{text[:LONGEST_TEXT]!r} is not an IP address (without brackets, zone or port)")


@lru_cache(maxsize=1 << 16)
def format_address(number: int) -> str:
    """
    The canonical text of an address. Remembered: each revision of an incident names its networks anew.

    >>> format_address(parse_address("2001:DB8:0::1"))
    '2001:db8::1'
    """
    if number >> 32 == 0xFFFF:
        return inet_ntop(AF_INET, (number & 0xFFFFFFFF).to_bytes(4, "big"))
    if number >> 112:  # 0.4 us instead of 3.2; only below do the two forms differ (`::192.0.2.1` of the C library)
        return inet_ntop(AF_INET6, number.to_bytes(16, "big"))
    return str(IPv6Address(number))


def cut(number: int, ipv4_prefix: int, ipv6_prefix: int) -> Network:
    """The network that an address counts as, with prefixes as a policy states them (8 to 32, 16 to 128)."""
    prefix = V4_OFFSET + ipv4_prefix if number >> 32 == 0xFFFF else ipv6_prefix
    shift = 128 - prefix
    return Network(number >> shift << shift, prefix)


def parse_network(text: str) -> Network:
    """
    A CIDR, masked; a bare address is a network of one; a mapped one becomes IPv4.

    >>> str(parse_network("::ffff:192.0.2.77/120"))
    '192.0.2.0/24'

    Raises Refused.
    """
    _, _, length = text.partition("/")
    plain_length = not length or (length.isascii() and length.isdigit())
    if len(text) <= LONGEST_TEXT and "%" not in text and plain_length and not text.endswith("/"):
        try:
            network = ip_network(text, strict=False)
        except (AddressValueError, NetmaskValueError, ValueError):
            pass
        else:
            number = int(network.network_address)
            if network.version == 4:
                return Network(MAPPED | number, V4_OFFSET + network.prefixlen)
            return Network(number, network.prefixlen)
    raise Refused(
        "bad-network", f"{text[:LONGEST_TEXT]!r} is not a network (for instance 192.0.2.0/24 or 2001:db8::/48)"
    )


def contains(outer: Network, inner: Network) -> bool:
    """Whether `inner` lies wholly in `outer`. IPv4 lies in no IPv6 network, not even in one around the mapped range."""
    shift = 128 - outer.prefix
    return (
        outer.prefix <= inner.prefix and outer.is_v4 == inner.is_v4 and inner.number >> shift << shift == outer.number
    )
