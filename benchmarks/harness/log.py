"""
The log of logins: the simulator's population, cut off after the number that is asked for.

The same seed and sizes give the same bytes. Times are those of a working day's morning; the topic is filled with them as
its records' times, so `now` runs as it would have run on that day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from streams.records.codec import Codec
from streams.simulator.run import MONDAY_MS, Recipe

HOUR_MS = 3_600_000
STARTS_MS = MONDAY_MS + 9 * HOUR_MS
LASTS_MS = 6 * HOUR_MS
SHARE_OF_THIEVES = 0.01
"""More than in life, so that incidents and blocks weigh something."""


class Sent(NamedTuple):
    """One login as it goes to Kafka: key, single-object Avro, time of the record in ms."""

    key: bytes
    value: bytes
    timestamp_ms: int


@dataclass(frozen=True)
class Log:
    """What decides a log."""

    logins: int
    accounts: int
    seed: int

    def __str__(self) -> str:
        return f"{self.logins:,} logins of {self.accounts:,} accounts (seed {self.seed})"


@lru_cache(maxsize=3)
def logins(log: Log) -> list[Sent]:
    """Made once for all benchmarks of a run."""
    return list(islice(_logins(log), log.logins))


def _logins(log: Log) -> Iterator[Sent]:
    rate = 2 * log.logins / (LASTS_MS / 1000)
    thieves = max(1, int(log.accounts * SHARE_OF_THIEVES))
    recipe = Recipe(
        seed=log.seed, accounts=log.accounts, start_ms=STARTS_MS, duration_ms=LASTS_MS, rate=rate, thieves=thieves,
        submissions=False,
    )  # fmt: skip
    encode = Codec().encode
    for event in recipe.events(recipe.simulation()):
        yield Sent(event.value["account"].encode(), encode("Login", event.value), event.timestamp_ms)
