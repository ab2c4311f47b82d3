"""
What lies between a login and its record on a topic: delays, logins that come late, and logins that come twice.

Decision: the events stay the same, only their arrival changes, so one truth serves every kind of disorder.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from streams.simulator.simulation import Event


@dataclass(frozen=True)
class Disorder:
    """
    How badly records arrive. The default is: at once, in order, each of them once.

    `delay_ms`: mean time on the way. `late`: share that comes up to `late_ms` later. `repeats`: share that comes a
    second time, within `late_ms`.
    """

    delay_ms: int = 0
    late: float = 0.0
    late_ms: int = 600_000
    repeats: float = 0.0


def deliver(events: Iterable[Event], disorder: Disorder, seed: int) -> Iterator[Event]:
    """The same events as they arrive: ordered by `timestamp_ms`, which is never before the event's own time."""
    if disorder == Disorder():
        yield from events
        return
    rng = Random(f"{seed}/delivery")  # noqa: S311 - a simulation
    waiting: list[tuple[int, int, Event]] = []
    number = 0
    for event in events:
        while waiting and waiting[0][0] <= event.timestamp_ms:
            yield heapq.heappop(waiting)[2]
        for arrival in _arrivals(event.timestamp_ms, disorder, rng):
            number += 1
            heapq.heappush(waiting, (arrival, number, event._replace(timestamp_ms=arrival)))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _arrivals(time_ms: int, disorder: Disorder, rng: Random) -> list[int]:
    """When the record of one event arrives: once or twice."""
    arrival = time_ms
    if disorder.delay_ms:
        arrival += int(rng.expovariate(1 / disorder.delay_ms))
    if rng.random() < disorder.late:
        arrival += int(rng.random() * disorder.late_ms)
    if rng.random() < disorder.repeats:
        return [arrival, arrival + int(rng.random() * disorder.late_ms)]
    return [arrival]
