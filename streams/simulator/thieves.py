"""
The thieves: who takes over which account, when, from where, and what they do there.

Four kinds. `abroad`: a few addresses of one hoster in another country. `botnet`: another home's address anywhere for
every login. `home`: rented access lines in the victim's own country, so that no country gives them away. `slow`: one
login every few hours, each from another hoster. All of them know the password.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

from streams.simulator import habits
from streams.simulator.people import Person, Population, login_record
from streams.simulator.world import CITIES, FAR_CITIES, HOME_CITIES, Provider, World

Kind = Literal["abroad", "botnet", "home", "slow"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ADDRESSES = {"abroad": 8, "botnet": 500, "home": 12, "slow": 6}
"""Addresses that a thief of this kind has. Assumptions."""
FOREIGN_SENDER = 0.5
"""Bursts that are sent in somebody else's name. Assumption."""


@dataclass(frozen=True)
class Plan:
    """A takeover that is going to happen: `start_ms` after the beginning, a login about every `every_ms`, for `lasts_ms`."""

    kind: Kind
    start_ms: int
    every_ms: int
    lasts_ms: int


@dataclass
class Takeover:
    """The truth about one takeover. Times in epoch milliseconds; `networks` and counts grow as the thief logs in."""

    id: str
    account: str
    kind: Kind
    start: int
    end: int
    countries: list[str]
    logins: int = 0
    messages: int = 0
    first_login: int | None = None
    last_login: int | None = None
    networks: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """As it is written beside the logins."""
        return {"truth": "takeover", **vars(self)}


def plan_takeovers(population: Population, duration_ms: int, *, per_thousand_days: float) -> tuple[Plan, ...]:
    """Takeovers at the given rate per 1000 accounts and day, of the published mixture of kinds, spread over the duration."""
    rng = Random(f"{population.seed}/plans")  # noqa: S311 - a simulation
    expected = per_thousand_days * population.accounts / 1000 * duration_ms / habits.DAY_MS
    number = min(int(expected) + (rng.random() < expected % 1), population.accounts)
    kinds: Sequence[Any] = rng.choices(tuple(habits.THIEF_KINDS), tuple(habits.THIEF_KINDS.values()), k=number)
    return tuple(
        Plan(kind, int(rng.random() * duration_ms), habits.THIEF_EVERY_MS[kind], habits.THIEF_LASTS_MS[kind])
        for kind in kinds
    )


class Thief:
    """One thief inside one account: a source of logins like a device, and of messages."""

    __slots__ = ("addresses", "count", "every_ms", "plan", "rng", "takeover", "victim", "world")

    def __init__(self, number: int, plan: Plan, victim: Person, start_ms: int, seed: int) -> None:
        self.rng = Random(f"{seed}/thief/{number}")  # noqa: S311 - a simulation
        self.plan = plan
        self.victim = victim
        self.every_ms = plan.every_ms
        self.count = 0
        providers = _providers(plan.kind, victim, self.rng)
        self.addresses = [providers[index % len(providers)].address(self.rng) for index in range(ADDRESSES[plan.kind])]
        begin = start_ms + plan.start_ms
        countries = sorted({provider.country for provider in providers})
        self.takeover = Takeover(
            f"takeover-{number + 1}", victim.account, plan.kind, begin, begin + plan.lasts_ms, countries
        )

    def login(self, time_ms: int, _rng: Random) -> dict[str, object]:
        """The Login that the thief makes now, from the next of the addresses, by turns to read and to send."""
        address = self.addresses[self.count % len(self.addresses)]
        self.count += 1
        success = self.rng.random() >= habits.THIEF_FAILS
        truth = self.takeover
        truth.logins += 1
        truth.last_login = time_ms
        if truth.first_login is None:
            truth.first_login = time_ms
        if address not in truth.networks:
            truth.networks.append(address)
        service = "smtp" if self.count % 3 == 0 else "imap"
        return login_record(
            time_ms,
            self.victim.account,
            address,
            service=service,
            success=success,
            number=f"{truth.id}-{self.count:x}",
            client="",
        )

    def next_ms(self, time_ms: int, _tempo: float, _rng: Random) -> int | None:
        """When the thief comes again; None when they have given up."""
        again = time_ms + 1 + int(self.every_ms * (0.5 + self.rng.random()))
        return again if again < self.takeover.end else None


def _providers(kind: Kind, victim: Person, rng: Random) -> list[Provider]:
    """Whose addresses a thief of this kind comes from."""
    world = victim.world
    if kind == "home":
        country = CITIES[victim.city][0]
        return [world.homes[city] for city in HOME_CITIES if CITIES[city][0] == country]
    if kind == "botnet":
        cities = [*FAR_CITIES, *HOME_CITIES]
        rng.shuffle(cities)
        return [world.homes[city] for city in cities]
    if kind == "slow":
        return [world.hosters[city] for city in rng.sample(FAR_CITIES, 3)]
    return [_hoster_abroad(world, rng)]


def _hoster_abroad(world: World, rng: Random) -> Provider:
    """A hoster in one of the published countries."""
    country = rng.choices(tuple(habits.THIEF_COUNTRIES), tuple(habits.THIEF_COUNTRIES.values()))[0]
    cities = [city for city in FAR_CITIES if CITIES[city][0] == country]
    return world.hosters[cities[0] if cities else "Bucharest"]


def burst(login: dict[str, Any], takeover: Takeover | None, rng: Random) -> Iterator[dict[str, Any]]:
    """
    The Submissions that follow a login to the submission service: a message of an honest sender, a thief's burst of spam.

    Their times are those at which they are sent, in order.
    """
    time_ms = login["time"]
    account = login["account"]
    number, sender = 1, account
    if takeover is not None:
        number = rng.randint(*habits.SPAM_BURST)
        if rng.random() < FOREIGN_SENDER:
            sender = f"invoice{rng.randint(100, 999)}@example.com"
    for index in range(number):
        time_ms += 1 + int(habits.SPAM_EVERY_MS * rng.random() * 2)
        yield {
            "time": time_ms,
            "account": account,
            "sender": sender,
            "recipients": 1 if takeover is None else rng.randint(1, 50),
            "accepted": True,
            "id": f"{login['id']}-m{index + 1}",
            "ip": login["ip"],
            "queue_id": f"{rng.getrandbits(40):010X}",
            "size": rng.randint(1_000, 200_000),
        }
