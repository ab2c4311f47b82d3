"""The simulated world: its networks and the geo database of them."""

from ipaddress import ip_address, ip_network
from itertools import combinations
from pathlib import Path
from random import Random

from streams.geo import Place, Places
from streams.simulator.world import CITIES, HOME_CITIES, UNLISTED, build_world, four_text, privacy_address, write_geo

NOBODYS = [ip_network(net) for net in ("10.0.0.0/8", "100.64.0.0/10", "198.18.0.0/15", "2001:db8::/32")]


def networks() -> list[object]:
    """Every network of the world."""
    found = [network for provider in build_world().providers() for network in (provider.four, provider.six)]
    return [network for network in found if network is not None]


def test_no_network_belongs_to_anybody() -> None:
    """Only private, shared, benchmark and documentation ranges are used."""
    for network in networks():
        assert any(network.version == range_.version and network.subnet_of(range_) for range_ in NOBODYS)


def test_no_two_networks_overlap() -> None:
    """Every address has one owner, and the gap of the geo database is one."""
    for first, second in combinations([*networks(), ip_network(UNLISTED)], 2):
        assert not first.overlaps(second)


def test_the_geo_database_knows_every_network(tmp_path: Path) -> None:
    """Country, city, coordinates and owner of each network are those of the world, in both record shapes."""
    write_geo(tmp_path / "world.mmdb")
    places = Places([tmp_path / "world.mmdb"])
    rng = Random(1)

    for provider in build_world().providers():
        country, latitude, longitude, _ = CITIES[provider.city]
        addresses = [provider.address(rng)]
        if provider.six is not None:
            addresses.append(privacy_address(provider.subnet(rng), rng))
        for address in addresses:
            assert places.place(address) == Place(country, provider.city, latitude, longitude, provider.owner)


def test_the_geo_database_has_a_gap(tmp_path: Path) -> None:
    """One network is unknown, as in life."""
    write_geo(tmp_path / "world.mmdb")

    assert Places([tmp_path / "world.mmdb"]).place(UNLISTED.replace(".0/24", ".7")) == Place()


def test_addresses_lie_in_their_network_and_are_canonical() -> None:
    """Drawn addresses are text as ipaddress writes it, inside the provider's networks."""
    rng = Random(7)
    world = build_world()

    for city in HOME_CITIES:
        provider = world.homes[city]
        for _ in range(50):
            four, six = provider.address(rng), privacy_address(provider.subnet(rng), rng)
            assert ip_address(four) in provider.four
            assert ip_address(six) in provider.six
            assert str(ip_address(six)) == six
    assert four_text(0x0A000201) == "10.0.2.1"
