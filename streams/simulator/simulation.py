"""
The run of a simulation: everybody's logins and messages, in the order of their times.

Decision: one heap of sources by the time of their next login. Honest people share one random number generator, every
thief has an own one, so that the same people do the same things with thieves and without.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from streams.simulator import habits
from streams.simulator.people import Person, Population, login_record
from streams.simulator.thieves import Plan, Takeover, Thief, burst, plan_takeovers
from streams.simulator.world import FAR_CITIES, World


class Event(NamedTuple):
    """One record for `topic` that arrives at `timestamp_ms`; `takeover` is the truth, None for the honest."""

    topic: str
    timestamp_ms: int
    value: dict[str, Any]
    takeover: Takeover | None


@dataclass(frozen=True)
class Options:
    """
    What is simulated, over a population.

    `start_ms` and `duration_ms`: the simulated time. `tempo`: how many times more often than in life people log in.
    `takeovers`: the plans; None = at the published rate. `guesses`: share of all logins that are strangers' failing
    guesses of passwords. `submissions`: with messages, too.
    """

    start_ms: int
    duration_ms: int
    tempo: float = 1.0
    takeovers: Sequence[Plan] | None = None
    takeovers_per_thousand_days: float = habits.TAKEOVERS_PER_THOUSAND_DAYS
    guesses: float = 0.0
    submissions: bool = True


class Simulation:
    """One run. `takeovers` is the truth; it is complete when the events are exhausted. Runs once."""

    def __init__(self, population: Population, options: Options) -> None:
        self.population = population
        self.options = options
        self._tempo = options.tempo
        self._rng = Random(f"{population.seed}/life")  # noqa: S311 - a simulation
        self.people = population.people()
        self._thieves = self._let_thieves_in()

    @property
    def takeovers(self) -> list[Takeover]:
        """Every takeover, in the order of their plans."""
        return [thief.takeover for thief in self._thieves]

    def natural_rate(self) -> float:
        """Honest logins per second that this population makes at tempo 1, averaged over a day."""
        daily = sum(device.daily_logins() for person in self.people for device in person.devices)
        return daily / (habits.DAY_MS / 1000)

    def set_rate(self, rate: float) -> None:
        """Let people log in so often that they make `rate` honest logins per second on average."""
        self._tempo = rate / self.natural_rate()

    def events(self) -> Iterator[Event]:
        """Logins and submissions by time, from `start_ms` until the duration is over."""
        heap = self._sources()
        end, tempo, rng = self.options.start_ms + self.options.duration_ms, self._tempo, self._rng
        number = len(heap)
        while heap and heap[0][0] < end:
            time_ms, source_number, source = heap[0]
            if isinstance(source, _Burst):
                yield Event("submissions", time_ms, source.message, source.takeover)
            else:
                login = source.login(time_ms, rng)
                yield Event("logins", time_ms, login, source.takeover)
                if self.options.submissions and login["service"] == "smtp" and login["success"]:
                    number += 1
                    outbox = _Burst(login, source.takeover, source.rng if isinstance(source, Thief) else rng)
                    heapq.heappush(heap, (outbox.message["time"], number, outbox))
            again = source.next_ms(time_ms, tempo, rng)
            _put_back(heap, source_number, source, again)

    def _sources(self) -> list[tuple[int, int, Any]]:
        """Everybody who logs in, with the time of their first login: spread over one interval, not all at once."""
        start, tempo, rng = self.options.start_ms, self._tempo, self._rng
        heap: list[tuple[int, int, Any]] = []
        for person in self.people:
            for device in person.devices:
                number = len(heap)
                device.key = f"{number:x}"
                wait = device.next_ms(start, tempo, rng) - start
                heap.append((start + int(wait * rng.random()), number, device))
        for thief in self._thieves:
            heap.append((thief.takeover.start, len(heap), thief))
        if self.options.guesses > 0:
            guesser = Guesser(self.people, self.natural_rate() * tempo, self.options.guesses, self.population.seed)
            heap.append((start, len(heap), guesser))
        heapq.heapify(heap)
        return heap

    def _let_thieves_in(self) -> list[Thief]:
        """Each planned thief gets a victim who has no other."""
        plans = self.options.takeovers
        if plans is None:
            plans = plan_takeovers(
                self.population, self.options.duration_ms, per_thousand_days=self.options.takeovers_per_thousand_days
            )
        rng = Random(f"{self.population.seed}/victims")  # noqa: S311 - a simulation
        victims = rng.sample(self.people, len(plans))
        return [
            Thief(number, plan, victim, self.options.start_ms, self.population.seed)
            for number, (plan, victim) in enumerate(zip(plans, victims, strict=True))
        ]


def simulate(population: Population, options: Options) -> Iterator[Event]:
    """The events of a new simulation; `Simulation` gives the truth, too."""
    return Simulation(population, options).events()


def _put_back(heap: list[tuple[int, int, Any]], number: int, source: Any, again: int | None) -> None:
    """
    Give a source its next turn. It is still the first: what was pushed meanwhile lies later.

    heapreplace and heappop move the first entry only.
    """
    if again is None:
        heapq.heappop(heap)
    else:
        heapq.heapreplace(heap, (again, number, source))


class _Burst:
    """Messages being sent, one after the other."""

    __slots__ = ("_rest", "message", "takeover")

    def __init__(self, login: dict[str, Any], takeover: Takeover | None, rng: Random) -> None:
        self._rest = burst(login, takeover, rng)
        self.message = next(self._rest)
        self.takeover = takeover

    def next_ms(self, _time_ms: int, _tempo: float, _rng: Random) -> int | None:
        """The time of the next message; None after the last."""
        if self.takeover is not None:
            self.takeover.messages += 1
        following = next(self._rest, None)
        if following is None:
            return None
        self.message = following
        time_ms: int = following["time"]
        return time_ms


class Guesser:
    """Strangers who try passwords on everybody and never find one."""

    __slots__ = ("_count", "_people", "_providers", "_rng", "_wait_ms")

    takeover = None

    def __init__(self, people: Sequence[Person], honest_rate: float, share: float, seed: int) -> None:
        self._rng = Random(f"{seed}/guesses")  # noqa: S311 - a simulation
        self._people = people
        world: World = people[0].world
        self._providers = [world.hosters[city] for city in FAR_CITIES]
        self._wait_ms = 1000 * (1 - share) / (honest_rate * share)
        self._count = 0

    def login(self, time_ms: int, _rng: Random) -> dict[str, object]:
        """One failing guess."""
        self._count += 1
        victim = self._people[int(self._rng.random() * len(self._people))]
        address = self._providers[int(self._rng.random() * len(self._providers))].address(self._rng)
        number = f"guess-{self._count:x}"
        return login_record(time_ms, victim.account, address, service="smtp", success=False, number=number, client="")

    def next_ms(self, time_ms: int, _tempo: float, _rng: Random) -> int:
        """When the next guess is made."""
        return time_ms + int(self._rng.expovariate(1 / self._wait_ms))
