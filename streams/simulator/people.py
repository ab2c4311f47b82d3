"""
The honest population: people, the networks they are in, and the devices that log in for them.

Decision: a device keeps its address until a moment at which its owner moves, the lease ends or the carrier changes it;
only then is a new one chosen. So the usual login costs a comparison, and a busy device moves no more often than an idle
one: `tempo` makes people log in more often, not travel faster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from streams.simulator import habits
from streams.simulator.habits import DAY_MS, HOUR_MS
from streams.simulator.world import CITIES, FAR_CITIES, UNLISTED, Provider, World, build_world, privacy_address

FIRST_NAMES = (
    *(
        "alex",
        "anna",
        "ben",
        "clara",
        "david",
        "elif",
        "emma",
        "felix",
        "finn",
        "greta",
        "hanna",
        "ida",
        "jan",
        "jonas",
    ),
    *("julia", "karl", "lara", "lea", "leon", "lina", "lukas", "maria", "max", "mia", "nina", "noah", "olga", "paul"),
    *("rosa", "sara", "sofia", "theo", "tim", "vera", "yara", "zoe"),
)
LAST_NAMES = (
    *("adler", "bauer", "berger", "brandt", "busch", "demir", "ernst", "fischer", "frank", "graf", "haas", "hahn"),
    *("hofer", "huber", "jung", "kaiser", "keller", "klein", "koch", "kraus", "lang", "lorenz", "maier", "meyer"),
    *("moser", "nowak", "otto", "peters", "pohl", "roth", "sauer", "schulz", "seidel", "simon", "vogel", "wagner"),
    *("weber", "wolf", "yilmaz", "ziegler"),
)
DOMAINS = ("example.org", "example.net")
TRAVEL_DOMAIN = "sales.example.com"
"""People who travel or use a VPN work for a company with a domain of its own, so that it can have its own policy."""


@dataclass(frozen=True)
class Population:
    """Who there is: a seed and a number of accounts. `people()` builds them anew each time, always the same."""

    seed: int
    accounts: int

    def people(self) -> "list[Person]":
        """Everybody, as they are before their first login."""
        rng = Random(f"{self.seed}/people")  # noqa: S311 - a simulation
        world = build_world()
        return [Person(number, rng, world) for number in range(self.accounts)]


class Person:
    """One account: where its owner lives and works, and how they read mail."""

    __slots__ = (
        "account",
        "carrier",
        "city",
        "devices",
        "exit",
        "home",
        "office",
        "travels",
        "trip",
        "utc_ms",
        "world",
    )

    def __init__(self, number: int, rng: Random, world: World) -> None:
        self.world = world
        self.city = rng.choices(tuple(habits.CITY_WEIGHTS), tuple(habits.CITY_WEIGHTS.values()))[0]
        country, _, _, utc = CITIES[self.city]
        self.utc_ms = utc * HOUR_MS
        self.home = Home(world.homes[self.city], rng)
        self.carrier = world.carriers[{"AT": "Vienna", "CH": "Zurich"}.get(country, "Berlin")]
        self.office = _office(world.offices[self.city], rng) if rng.random() < habits.OFFICE else None
        self.exit = world.exits[int(rng.random() * len(world.exits))] if rng.random() < habits.VPN else None
        self.travels = rng.random() < habits.TRAVELLER
        self.trip = Trip()
        self.account = account_name(number, special=self.travels or self.exit is not None)
        self.devices = list(_devices(self, rng))

    def local_hour(self, time_ms: int) -> int:
        """Hour of the day where they live."""
        return (time_ms + self.utc_ms) // HOUR_MS % 24

    def works(self, time_ms: int) -> bool:
        """Is it a working hour of a working day? (1 January 1970 was a Thursday.)"""
        weekday = ((time_ms + self.utc_ms) // DAY_MS + 3) % 7
        return weekday < 5 and habits.WORK_HOURS[0] <= self.local_hour(time_ms) < habits.WORK_HOURS[1]

    def until_hour(self, time_ms: int, hour: int) -> int:
        """The next time at which it is that hour where they live."""
        local = time_ms + self.utc_ms
        at = local - local % DAY_MS + hour * HOUR_MS
        return (at if at > local else at + DAY_MS) - self.utc_ms

    def away(self, time_ms: int, rng: Random) -> "Trip | None":
        """The trip they are on, if they are on one."""
        if not self.travels:
            return None
        if time_ms >= self.trip.end_ms:
            self.trip = Trip.after(self.trip, time_ms, rng)
        return self.trip if time_ms >= self.trip.start_ms else None


@dataclass(frozen=True, slots=True)
class Trip:
    """Days in another city, from `start_ms` to `end_ms`."""

    city: str = ""
    start_ms: int = 0
    end_ms: int = 0

    @staticmethod
    def after(last: "Trip", time_ms: int, rng: Random) -> "Trip":
        """The next trip; the first one may have begun already."""
        city = FAR_CITIES[int(rng.random() * len(FAR_CITIES))]
        shortest, longest = habits.TRIP_MS
        lasts = int(shortest + rng.random() * (longest - shortest))
        gap = int(rng.expovariate(1 / habits.TRIP_EVERY_MS))
        start = time_ms + gap
        if not last.end_ms:
            start -= int(rng.random() * (lasts + habits.TRIP_EVERY_MS / 10))
        return Trip(city, start, max(start + lasts, time_ms + 1))


class Home:
    """An access line: all devices in it share the IPv4 address, or each has its own inside the line's IPv6 /64."""

    __slots__ = ("address", "daily", "provider", "subnet", "until_ms")

    def __init__(self, provider: Provider, rng: Random) -> None:
        self.provider = provider
        self.daily = rng.random() < habits.DAILY_RECONNECT
        self.subnet = 1 if rng.random() < habits.HOME_IPV6 else None
        self.address = ""
        self.until_ms = 0

    def join(self, time_ms: int, rng: Random) -> tuple[str, int]:
        """The address of a device that comes in now, and until when it can have it."""
        if time_ms >= self.until_ms:
            first = not self.address
            self.address = self.provider.address(rng)
            if self.subnet is not None:
                self.subnet = self.provider.subnet(rng)
            lasts = DAY_MS if self.daily else rng.expovariate(1 / habits.LEASE_MS)
            # whoever is met for the first time is somewhere within the life of a lease
            self.until_ms = time_ms + 1 + int(lasts * (rng.random() if first else 1))
        if self.subnet is None:
            return self.address, self.until_ms
        return privacy_address(self.subnet, rng), min(self.until_ms, time_ms + habits.PRIVACY_MS)


SUCCEEDS = 1 - habits.MISTYPED

Move = Callable[[Person, int, Random], tuple[str, int]]
"""Where a device is from a moment on: its address, and until when."""


class Device:
    """One mail client of one person."""

    __slots__ = (
        "address",
        "client",
        "count",
        "key",
        "move",
        "owner",
        "poll_ms",
        "sends",
        "service",
        "steady",
        "until_ms",
    )

    takeover = None

    def __init__(
        self, owner: Person, move: Move, poll_ms: int, *, service: str = "imap", client: str, steady: bool = False
    ) -> None:
        self.owner = owner
        self.move = move
        self.poll_ms = poll_ms
        self.service = service
        self.client = client
        self.steady = steady
        self.sends = habits.SENDS if service in {"imap", "pop3"} and poll_ms < HOUR_MS else 0.0
        self.address = ""
        self.until_ms = 0
        self.count = 0
        self.key = ""

    def login(self, time_ms: int, rng: Random) -> dict[str, object]:
        """The Login that it makes now."""
        if time_ms >= self.until_ms:
            self.address, self.until_ms = self.move(self.owner, time_ms, rng)
        self.count += 1
        chance = rng.random()
        return login_record(
            time_ms,
            self.owner.account,
            self.address,
            service="smtp" if chance < self.sends else self.service,
            success=chance < SUCCEEDS,
            number=f"{self.key}-{self.count:x}",
            client=self.client,
        )

    def next_ms(self, time_ms: int, tempo: float, rng: Random) -> int:
        """When it logs in again: a poll with jitter, rarer while its owner sleeps."""
        wait = self.poll_ms * (0.5 + rng.random()) / tempo
        if not self.steady:
            wait /= habits.RHYTHM[(time_ms + self.owner.utc_ms) // HOUR_MS % 24]
        return time_ms + 1 + int(wait)

    def daily_logins(self) -> float:
        """How many logins a day it makes on average."""
        return DAY_MS / self.poll_ms * (1 if self.steady else habits.RHYTHM_MEAN)


def login_record(
    time_ms: int, account: str, ip: str, *, service: str, success: bool, number: str, client: str
) -> dict[str, object]:
    """A Login with all its fields, in the order of its schema."""
    return {
        "time": time_ms,
        "account": account,
        "ip": ip,
        "success": success,
        "service": service,
        "id": number,
        "session": number,
        "server": "mail.example.org",
        "client": client,
        "failure": None if success else "credentials",
    }


def account_name(number: int, *, special: bool = False) -> str:
    """The name of the account with this number: readable, and different for every number."""
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    # the second turn through the first names meets other last names
    turn, rest = divmod(number, len(FIRST_NAMES) * len(LAST_NAMES))
    last = LAST_NAMES[(rest // len(FIRST_NAMES) + number % len(FIRST_NAMES) * 7) % len(LAST_NAMES)]
    domain = TRAVEL_DOMAIN if special else DOMAINS[number % 3 // 2]
    return f"{first}.{last}{turn + 1 if turn else ''}@{domain}"


def _office(provider: Provider, rng: Random) -> str:
    """An office has one fixed address for everybody; one in fifty is unknown to the geo database."""
    if rng.random() < 0.02:
        return UNLISTED.replace(".0/24", f".{1 + int(rng.random() * 254)}")
    return provider.address(rng)


def _devices(person: Person, rng: Random) -> "list[Device]":
    """What somebody reads mail with; everybody has webmail, and nobody has nothing else."""
    found = [Device(person, _stay, habits.WEBMAIL_MS, service="http", client="Webmail")]
    if rng.random() < habits.LAPTOP:
        found.append(Device(person, _carry_laptop, habits.LAPTOP_POLL_MS, client="Thunderbird"))
    elif rng.random() < habits.DESKTOP / (1 - habits.LAPTOP):
        service = "pop3" if rng.random() < habits.POP3 else "imap"
        steady = rng.random() < habits.ALWAYS_ON
        found.append(Device(person, _stay, habits.DESKTOP_POLL_MS, service=service, client="Outlook", steady=steady))
    if len(found) == 1 or rng.random() < habits.PHONE:
        found.append(Device(person, _carry_phone, habits.PHONE_POLL_MS, client="Mail for phones"))
    if rng.random() < habits.TABLET:
        found.append(Device(person, _stay, habits.TABLET_POLL_MS, client="Mail for tablets"))
    if rng.random() < habits.THIRD_PARTY:
        found.append(Device(person, _in_cloud, habits.THIRD_PARTY_POLL_MS, client="Mail App", steady=True))
    return found


def _stay(person: Person, time_ms: int, rng: Random) -> tuple[str, int]:
    """At home, always."""
    return person.home.join(time_ms, rng)


def _carry_laptop(person: Person, time_ms: int, rng: Random) -> tuple[str, int]:
    """At work in working hours, on a trip in a hotel or an airport, now and then behind a VPN, else at home."""
    if person.exit is not None and rng.random() < habits.VPN_SHARE:
        return person.exit.address(rng), time_ms + int(rng.random() * 2 * habits.VPN_MS)
    trip = person.away(time_ms, rng)
    if trip is not None:
        return _travel(person, trip, time_ms, rng)
    if person.office is not None and person.works(time_ms):
        return person.office, person.until_hour(time_ms, habits.WORK_HOURS[1])
    address, until = person.home.join(time_ms, rng)
    if person.office is not None:
        until = min(until, person.until_hour(time_ms, habits.WORK_HOURS[0]))
    return address, until


def _carry_phone(person: Person, time_ms: int, rng: Random) -> tuple[str, int]:
    """At home in the evening and at night, else in the carrier's network (a trip abroad is routed through it, too)."""
    leaves, returns = habits.AWAKE_HOURS
    if leaves <= person.local_hour(time_ms) < returns or person.away(time_ms, rng) is not None:
        until = min(time_ms + 1 + int(rng.expovariate(1 / habits.CARRIER_MS)), person.until_hour(time_ms, returns))
        return person.carrier.address(rng), until
    address, until = person.home.join(time_ms, rng)
    return address, min(until, person.until_hour(time_ms, leaves))


def _in_cloud(person: Person, time_ms: int, rng: Random) -> tuple[str, int]:
    """In the data centre of an app that keeps a copy of the mailbox; it changes machines now and then."""
    return person.world.cloud.address(rng), time_ms + int(rng.expovariate(1 / DAY_MS))


def _travel(person: Person, trip: Trip, time_ms: int, rng: Random) -> tuple[str, int]:
    """On the first and last hours of a trip in the airport, between them in the hotel."""
    places = person.world
    arrived, leaves = trip.start_ms + habits.AIRPORT_MS, trip.end_ms - habits.AIRPORT_MS
    if time_ms < arrived:
        return places.airports[trip.city].address(rng), arrived
    if time_ms >= leaves:
        return places.airports[trip.city].address(rng), trip.end_ms
    return places.hotels[trip.city].address(rng), min(leaves, time_ms + 12 * HOUR_MS)
