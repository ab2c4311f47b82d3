"""A small fixed geo database: countries by documentation range, so that a reader of a scenario can see the country."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from streams.core.addresses import format_address

COUNTRIES = {
    "192.0.2.0/24": "DE",
    "198.51.100.0/25": "FR",
    "198.51.100.128/25": "BR",
    "203.0.113.0/24": "US",
    "100.64.0.0/10": "NL",
    "2001:db8:de::/48": "DE",
    "2001:db8:fa::/48": "FR",
}
"""Anything else has no known country, for instance 198.18.0.0/15 and 2001:db8:0::/48."""
RANGES = [(ip_network(cidr), country) for cidr, country in COUNTRIES.items()]


@lru_cache(maxsize=10_000)
def _span(number: int) -> int:
    address = ip_address(format_address(number))
    length = address.max_prefixlen
    for free in range(length, 0, -1):
        block = ip_network(f"{address}/{length - free}", strict=False)
        if not any(cidr.version == block.version and cidr != block and cidr.subnet_of(block) for cidr, _ in RANGES):
            return free
    return 0


class Place(NamedTuple):
    """What a geo database says of an address."""

    country: str | None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    owner: str | None = None


class FixedPlaces:
    """The interface of `streams.geo.Places`, with the countries above and nothing else."""

    available = True

    def country(self, address: str) -> str | None:
        """The country of an address."""
        number = ip_address(address)
        return next((country for cidr, country in RANGES if cidr.version == number.version and number in cidr), None)

    def country_of(self, number: int) -> str | None:
        """The country of an address given as a number."""
        return self.country(format_address(number))

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """The same, and how many of the address' last bits do not matter to that."""
        return self.country_of(number), _span(number)

    def place(self, address: str) -> Place:
        """The place of an address."""
        return Place(self.country(address))

    def reload_if_changed(self) -> bool:
        """It never changes."""
        return False

    def describe(self) -> list[str]:
        """What it is."""
        return ["countries by documentation range"]
