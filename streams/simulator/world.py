"""
The simulated world: network owners, where they are, and which addresses they hand out.

Decision: no address here belongs to anybody. IPv4 is private space, the shared space of carriers and the benchmark range
(10.0.0.0/8, 100.64.0.0/10, 198.18.0.0/15), IPv6 the documentation range (2001:db8::/32). The cities are real, so that
distances mean something; the owners are invented. `write_geo` writes it all as a geo database.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from random import Random

from mmdb_writer import MMDBWriter
from netaddr import IPSet

HOME_COUNTRY = "DE"
"""Where the simulated mail provider and nearly all of its users are."""

CITIES: dict[str, tuple[str, float, float, int]] = {
    # city: country, latitude, longitude, hours ahead of UTC (standard time all year: a simplification)
    "Berlin": ("DE", 52.52, 13.40, 1),
    "Munich": ("DE", 48.14, 11.58, 1),
    "Hamburg": ("DE", 53.55, 9.99, 1),
    "Cologne": ("DE", 50.94, 6.96, 1),
    "Vienna": ("AT", 48.21, 16.37, 1),
    "Zurich": ("CH", 47.37, 8.54, 1),
    "Bucharest": ("RO", 44.43, 26.10, 2),
    "Toronto": ("CA", 43.65, -79.38, -5),
    "São Paulo": ("BR", -23.55, -46.63, -3),
    "Jakarta": ("ID", -6.21, 106.85, 7),
    "Rome": ("IT", 41.90, 12.50, 1),
    "Copenhagen": ("DK", 55.68, 12.57, 1),
    "Riga": ("LV", 56.95, 24.11, 2),
    "Santiago": ("CL", -33.45, -70.67, -4),
    "Paris": ("FR", 48.86, 2.35, 1),
    "Madrid": ("ES", 40.42, -3.70, 1),
    "New York": ("US", 40.71, -74.01, -5),
    "London": ("GB", 51.51, -0.13, 0),
    "Amsterdam": ("NL", 52.37, 4.90, 1),
    "Dublin": ("IE", 53.35, -6.26, 0),
    "Lagos": ("NG", 6.52, 3.38, 1),
}

HOME_CITIES = ("Berlin", "Munich", "Hamburg", "Cologne", "Vienna", "Zurich")
"""Where the population lives."""
FAR_CITIES = tuple(city for city in CITIES if city not in HOME_CITIES)

UNLISTED = "198.19.255.0/24"
"""A network that the geo database does not know, as every real one has gaps."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One owner of addresses in one city: `four` and `six` are its networks, `number` its invented AS number."""

    owner: str
    city: str
    four: IPv4Network
    six: IPv6Network | None
    number: int

    @property
    def country(self) -> str:
        """ISO 3166 alpha-2."""
        return CITIES[self.city][0]

    def address(self, rng: Random) -> str:
        """One of its IPv4 addresses."""
        low, size = int(self.four.network_address), self.four.num_addresses
        return four_text(low + 1 + int(rng.random() * (size - 2)))

    def subnet(self, rng: Random) -> int:
        """One of its IPv6 /64 networks, as the upper 64 bits of an address."""
        assert self.six is not None
        return (int(self.six.network_address) >> 64) + int(rng.random() * (1 << (64 - self.six.prefixlen)))


def four_text(number: int) -> str:
    """An IPv4 address as text; ipaddress takes five times as long."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def privacy_address(subnet: int, rng: Random) -> str:
    """A temporary IPv6 address inside a /64 (RFC 8981), in canonical form."""
    return str(IPv6Address(subnet << 64 | rng.getrandbits(64)))


@dataclass(frozen=True)
class World:
    """All providers by what they are: homes and carriers of people, companies, clouds, hosters, VPN exits, hotels."""

    homes: dict[str, Provider]
    carriers: dict[str, Provider]
    offices: dict[str, Provider]
    hotels: dict[str, Provider]
    airports: dict[str, Provider]
    hosters: dict[str, Provider]
    exits: tuple[Provider, ...]
    cloud: Provider

    def providers(self) -> list[Provider]:
        """Every one of them."""
        by_city = (self.homes, self.carriers, self.offices, self.hotels, self.airports, self.hosters)
        return [provider for group in by_city for provider in group.values()] + [*self.exits, self.cloud]


def build_world() -> World:
    """The one simulated world; nothing in it depends on a seed."""
    blocks = _Blocks()
    home_six = IPv6Network("2001:db8::/33").subnets(new_prefix=36)
    mobile_six = IPv6Network("2001:db8:8000::/33").subnets(new_prefix=36)
    return World(
        homes={
            city: blocks.provider(f"{city} Broadband", city, "home", next(home_six) if city in HOME_CITIES else None)
            for city in CITIES
        },
        carriers={
            city: blocks.provider(f"Example Mobile {CITIES[city][0]}", city, "mobile", next(mobile_six))
            for city in ("Berlin", "Vienna", "Zurich")
        },
        offices={city: blocks.provider(f"Example Business Lines {city}", city, "office") for city in HOME_CITIES},
        hotels={city: blocks.provider(f"{city} Hotel Wi-Fi", city, "travel") for city in FAR_CITIES},
        airports={city: blocks.provider(f"{city} Airport Wi-Fi", city, "travel") for city in FAR_CITIES},
        hosters={city: blocks.provider(f"{city} Hosting", city, "travel") for city in CITIES},
        exits=tuple(
            blocks.provider(f"Example VPN {city}", city, "travel") for city in ("Amsterdam", "Zurich", "New York")
        ),
        cloud=blocks.provider("Example Mail App Cloud", "Dublin", "travel"),
    )


class _Blocks:
    """Hands out networks of one size per purpose, in order, so that none is used twice."""

    def __init__(self) -> None:
        self._number = 4_200_000_000  # private AS numbers (RFC 6996)
        self._free = {
            "home": IPv4Network("10.0.0.0/8").subnets(new_prefix=13),
            "mobile": IPv4Network("100.64.0.0/10").subnets(new_prefix=14),
            "office": IPv4Network("198.18.0.0/17").subnets(new_prefix=20),
            "travel": IPv4Network("198.18.128.0/17").subnets(new_prefix=23),
        }

    def provider(self, owner: str, city: str, purpose: str, six: IPv6Network | None = None) -> Provider:
        self._number += 1
        return Provider(owner, city, next(self._free[purpose]), six, self._number)


def write_geo(path: str | Path, world: World | None = None) -> None:
    """
    Write the world as an MMDB file: country, city, coordinates and owner of every network.

    Nested and flat records both occur, as in the databases that operators use.
    """
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type="Loginwatch-Simulated-World",
        languages=["en"],
        description="Invented places of the simulator's networks",
    )
    for number, provider in enumerate((world or build_world()).providers()):
        networks = [str(network) for network in (provider.four, provider.six) if network is not None]
        writer.insert_network(IPSet(networks), _nested(provider) if number % 2 else _flat(provider))
    writer.to_db_file(str(path))


def _nested(provider: Provider) -> dict[str, object]:
    country, latitude, longitude, _ = CITIES[provider.city]
    return {
        "country": {"iso_code": country},
        "city": {"names": {"en": provider.city}},
        "location": {"latitude": latitude, "longitude": longitude},
        "autonomous_system_number": provider.number,
        "autonomous_system_organization": provider.owner,
    }


def _flat(provider: Provider) -> dict[str, object]:
    country, latitude, longitude, _ = CITIES[provider.city]
    return {
        "country_code": country,
        "city": provider.city,
        "latitude": latitude,
        "longitude": longitude,
        "asn": f"AS{provider.number}",
        "as_name": provider.owner,
    }
