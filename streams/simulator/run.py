"""
What `loginwatch simulate` does with a simulation: write it as a replay file, put it on the topics, let it log in.

The truth lies beside the logins: one line per takeover in a file of its own, never on a topic.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from streams.bus.producer import Producer
from streams.errors import UsageError
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings
from streams.simulator import habits, world
from streams.simulator.delivery import Disorder, deliver
from streams.simulator.door import MailServer, Outcome, Visits, paced, visit
from streams.simulator.people import Population
from streams.simulator.simulation import Event, Options, Simulation
from streams.simulator.thieves import KINDS, Kind, Plan, Takeover

MONDAY_MS = 1_767_571_200_000
"""5 January 2026, 00:00 UTC: where a simulation starts unless it is told otherwise."""
FLUSH_S = 60.0
POLL_EVERY = 1000
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """
    Everything that decides a simulation: the same recipe gives the same bytes.

    `rate`: honest logins per second on average (None = as often as people log in in life). `thieves`: their number,
    spread over the first half and over all kinds (None = the published rate). `guesses`: share of all logins that are
    strangers' failing guesses. Raises UsageError where a number makes no sense.
    """

    seed: int = 1
    accounts: int = 1000
    start_ms: int = MONDAY_MS
    duration_ms: int = habits.DAY_MS
    rate: float | None = None
    thieves: int | None = None
    guesses: float = 0.0
    submissions: bool = True
    disorder: Disorder = field(default_factory=Disorder)

    def __post_init__(self) -> None:
        _demand(1 <= self.accounts <= 10_000_000, f"accounts must be 1 to 10,000,000, not {self.accounts}")
        _demand(self.duration_ms > 0, "the duration must be longer than nothing")
        _demand(self.rate is None or self.rate > 0, f"the rate must be more than 0 logins per second, not {self.rate}")
        _demand(0 <= self.guesses < 1, f"the share of guesses must be at least 0 and below 1, not {self.guesses}")
        _demand(
            self.thieves is None or 0 <= self.thieves <= self.accounts,
            f"there can be at most one thief per account, not {self.thieves} for {self.accounts}",
        )
        for name, share in (("late", self.disorder.late), ("repeats", self.disorder.repeats)):
            _demand(0 <= share <= 1, f"the share of {name} logins must be 0 to 1, not {share}")

    def simulation(self) -> Simulation:
        """A new simulation of this recipe."""
        population = Population(self.seed, self.accounts)
        plans = None if self.thieves is None else self._plans(self.thieves)
        options = Options(
            self.start_ms, self.duration_ms, takeovers=plans, guesses=self.guesses, submissions=self.submissions
        )
        simulation = Simulation(population, options)
        if self.rate is not None:
            simulation.set_rate(self.rate)
        return simulation

    def events(self, simulation: Simulation) -> Iterator[Event]:
        """Its events as they arrive."""
        return deliver(simulation.events(), self.disorder, self.seed)

    def _plans(self, number: int) -> tuple[Plan, ...]:
        kinds: list[Kind] = [KINDS[index % len(KINDS)] for index in range(number)]
        return tuple(
            Plan(
                kind,
                int(self.duration_ms / 2 * index / number),
                habits.THIEF_EVERY_MS[kind],
                habits.THIEF_LASTS_MS[kind],
            )
            for index, kind in enumerate(kinds)
        )


def _demand(sensible: bool, sentence: str) -> None:
    if not sensible:
        raise UsageError(sentence)


def write_jsonl(
    path: Path | None,
    recipe: Recipe,
    *,
    truth: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """
    Write a replay file (None = standard output), and the truth beside it; returns the number of lines.

    The truth goes to `truth`, or else to the same name with `.truth.jsonl` (for standard output: nowhere). `progress` is
    told the number of lines now and then. Raises UsageError when a file cannot be written.
    """
    simulation = recipe.simulation()
    with _opened(path) as out:
        lines = _write_lines(out, recipe.events(simulation), progress)
    beside = truth_beside(path, truth)
    if beside is not None:
        write_truth(beside, simulation.takeovers)
    return lines


def truth_beside(path: Path | None, truth: Path | None) -> Path | None:
    """Where the truth about a replay file goes, if anywhere: to `truth`, or else beside the file."""
    return truth or (path.with_suffix(".truth.jsonl") if path is not None else None)


def demand_writable(path: Path) -> None:
    """
    Refuse a file that cannot be written, before there is work in vain, and leave it as it is.

    Raises UsageError. Pipes and devices are not tried: who reads a pipe would take the try for its end.
    """
    with _refusing(path):
        there = path.exists()
        if there and not (path.is_file() or path.is_dir()):
            return
        path.open("ab").close()
        if not there:
            path.resolve().unlink()  # not a link that pointed nowhere


def write_geo(path: Path) -> None:
    """Write the simulated world as a geo database. Raises UsageError when the file cannot be written."""
    with _refusing(path):
        world.write_geo(path)


def write_truth(path: Path, takeovers: Iterable[Takeover]) -> None:
    """One line per takeover: account, kind, times, countries, networks, logins, messages."""
    with _opened(path) as out:
        for takeover in takeovers:
            out.write(orjson.dumps(takeover.record(), option=orjson.OPT_APPEND_NEWLINE))


def _write_lines(out: BinaryIO, events: Iterable[Event], progress: Callable[[int], None] | None) -> int:
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    chunk = bytearray()
    lines = 0
    for topic, timestamp_ms, value, _ in events:
        chunk += dumps({"topic": topic, "timestamp": timestamp_ms, "value": value}, option=newline)
        lines += 1
        if len(chunk) > CHUNK_BYTES:
            out.write(chunk)
            chunk.clear()
            if progress is not None:
                progress(lines)
    out.write(chunk)
    if progress is not None:
        progress(lines)
    return lines


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _refusing(path), path.open("wb") as out:
        yield out


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


async def demand_gateway(url: str, key: str) -> None:
    """One question, before a simulation that may take hours; a question is no login. Raises UsageError if it gets no proper answer."""
    async with MailServer(url, key) as server:
        await server.refused("nobody@example.org", "192.0.2.1")
    if server.visits.broken:
        raise UsageError(
            f"there is no gateway at {url}: {server.visits.last_error}. Check the address, that `loginwatch gateway` runs,"
            " and gateway_api_key"
        )


async def feed_gateway(
    url: str,
    key: str,
    events: Iterable[Event],
    speed: float | None = 1.0,
    *,
    on_outcome: Callable[[Event, Outcome], None] | None = None,
) -> Visits:
    """
    Let the logins in through a gateway's door, as a Dovecot would: `speed` 1 is real time, None as fast as it goes.

    A refused login is reported as refused, and whoever made it is not in. Returns what happened at the door.
    """
    async with MailServer(url, key) as server:
        await visit(server, events, speed=speed, on_outcome=on_outcome)
        return server.visits


def feed_topic(
    settings: Settings,
    events: Iterable[Event],
    speed: float | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """
    Put logins and submissions on their topics; returns how many, all of them acknowledged. `speed` as in `feed_gateway`.

    Raises DeliveryError when Kafka does not take one.
    """
    producer = Producer(settings)
    codec = Codec(from_settings(settings))
    try:
        sent = asyncio.run(_send_all(producer, codec, events, speed, progress))
    finally:
        producer.close(FLUSH_S)
    return sent


async def _send_all(
    producer: Producer,
    codec: Codec,
    events: Iterable[Event],
    speed: float | None,
    progress: Callable[[int], None] | None,
) -> int:
    records = {"logins": "Login", "submissions": "Submission"}
    sent = 0
    async for event in paced(events, speed):
        value = codec.encode(records[event.topic], event.value)
        producer.send(event.topic, value, key=event.value["account"], timestamp_ms=event.timestamp_ms)
        sent += 1
        if speed is not None or sent % POLL_EVERY == 0:
            producer.poll()
            if progress is not None:
                progress(sent)
    return sent
