"""Who the population is and where its devices log in from."""

from collections import Counter, defaultdict
from ipaddress import ip_network
from pathlib import Path

from streams.core.accounts import canonical_account
from streams.geo import Places
from streams.simulator import habits
from streams.simulator.people import TRAVEL_DOMAIN, Population, account_name
from streams.simulator.simulation import Options, simulate
from streams.simulator.world import write_geo

TUESDAY_10H_MS = 1_767_693_600_000
HOUR_MS = 3_600_000


def logins_of(population: Population, duration_ms: int, tempo: float = 1.0) -> list[dict]:
    """Successful logins of the honest."""
    options = Options(TUESDAY_10H_MS, duration_ms, tempo=tempo, takeovers=(), submissions=False)
    return [event.value for event in simulate(population, options) if event.value["success"]]


def network(address: str) -> str:
    """What is counted as one IP by default."""
    return address if ":" not in address else str(ip_network(f"{address}/64", strict=False))


def test_every_account_has_its_own_canonical_name() -> None:
    """Names are distinct, and in the form that the rest of the project uses."""
    names = [account_name(number) for number in range(20_000)]

    assert len(set(names)) == len(names)
    assert all(canonical_account(name, "") == name for name in names[:2_000])


def test_the_population_has_the_stated_shares() -> None:
    """Homes with IPv6, offices, travellers and VPN users are about as many as `habits.py` says."""
    people = Population(3, 4000).people()

    def share(chosen: list) -> float:
        return len(chosen) / len(people)

    assert abs(share([person for person in people if person.home.subnet]) - habits.HOME_IPV6) < 0.03
    assert abs(share([person for person in people if person.office]) - habits.OFFICE) < 0.03
    assert abs(share([person for person in people if person.travels]) - habits.TRAVELLER) < 0.01
    assert abs(share([person for person in people if person.exit]) - habits.VPN) < 0.01
    assert all(person.account.endswith(TRAVEL_DOMAIN) for person in people if person.travels or person.exit)


def test_people_log_in_five_times_less_at_night() -> None:
    """The daily rhythm is that of the published logins: trough to plateau as 1 to 5, in local time."""
    options = Options(TUESDAY_10H_MS, 24 * HOUR_MS, takeovers=(), submissions=False)
    polls = [event.value for event in simulate(Population(5, 400), options) if event.value["client"] == "Thunderbird"]
    hours = Counter((login["time"] + HOUR_MS) // HOUR_MS % 24 for login in polls)

    night = sum(hours[hour] for hour in range(1, 5)) / 4
    day = sum(hours[hour] for hour in range(10, 18)) / 8
    assert 4 < day / night < 6.5


def test_the_honest_stay_below_a_sensible_policy(tmp_path: Path) -> None:
    """In an hour nobody is in more than five networks; only travellers and VPN users are in two countries."""
    write_geo(tmp_path / "world.mmdb")
    places = Places([tmp_path / "world.mmdb"])
    found = defaultdict(set)
    countries = defaultdict(set)
    for login in logins_of(Population(11, 500), HOUR_MS):
        place = places.place(login["ip"])
        if place.owner == "Example Mail App Cloud":
            continue  # what an administrator marks as safe
        found[login["account"]].add(network(login["ip"]))
        countries[login["account"]].add(place.country)

    assert max(len(networks) for networks in found.values()) <= 5
    abroad = {account for account, codes in countries.items() if len(codes - {None}) > 1}
    assert all(account.endswith(TRAVEL_DOMAIN) for account in abroad)


def test_ipv6_devices_change_addresses_inside_one_network() -> None:
    """Devices of one home have different privacy addresses, all in the /64 of the home, until the line gets another."""
    by_account = defaultdict(set)
    for login in logins_of(Population(2, 300), 6 * HOUR_MS, tempo=5):
        if ":" in login["ip"]:
            by_account[login["account"]].add(login["ip"])

    several = [addresses for addresses in by_account.values() if len(addresses) > 1]
    assert len(several) > 20
    one_network = [addresses for addresses in several if len({network(address) for address in addresses}) == 1]
    assert len(one_network) > 0.8 * len(several)


def test_phones_on_the_move_change_networks() -> None:
    """In working hours a phone comes from its carrier's shared addresses, and from several of them."""
    by_account = defaultdict(set)
    for login in logins_of(Population(2, 300), 8 * HOUR_MS, tempo=5):
        if login["client"] == "Mail for phones":
            by_account[login["account"]].add(login["ip"])

    assert sum(len(addresses) for addresses in by_account.values()) / len(by_account) > 2
    assert all(address.startswith("100.") for addresses in by_account.values() for address in list(addresses)[:1])


def test_travellers_reach_hotels_abroad(tmp_path: Path) -> None:
    """Over some weeks travellers log in from hotels and airports of other countries, while others never do."""
    write_geo(tmp_path / "world.mmdb")
    places = Places([tmp_path / "world.mmdb"])
    owners = defaultdict(set)
    options = Options(TUESDAY_10H_MS, 40 * 24 * HOUR_MS, tempo=0.05, takeovers=(), submissions=False)
    for event in simulate(Population(4, 400), options):
        owner = places.place(event.value["ip"]).owner or ""
        owners[event.value["account"].split("@")[1]].add(owner.split(" ", 1)[-1])

    assert any("Wi-Fi" in owner for owner in owners[TRAVEL_DOMAIN])
    assert not any("Wi-Fi" in owner for domain, found in owners.items() if domain != TRAVEL_DOMAIN for owner in found)
