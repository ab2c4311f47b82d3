"""A small fixed geo database: countries by documentation range, so that a reader of a scenario can see the country."""

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


class Place(NamedTuple):
    """What a geo database says of an address."""

    country: str | None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    owner: str | None = None


class FixedPlaces:
    """The interface of `streams.geo.Places`, with the countries above and nothing else."""

    def country(self, address: str) -> str | None:
        """The country of an address."""
        number = ip_address(address)
        return next((country for cidr, country in RANGES if cidr.version == number.version and number in cidr), None)

    def country_of(self, number: int) -> str | None:
        """The country of an address given as a number."""
        return self.country(format_address(number))

    def place(self, address: str) -> Place:
        """The place of an address."""
        return Place(self.country(address))

    def reload_if_changed(self) -> bool:
        """It never changes."""
        return False

    def describe(self) -> list[str]:
        """What it is."""
        return ["countries by documentation range"]
