"""What goes into the engine and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.core.policy import EffectivePolicy
from streams.engine.accounts import Touched

Headers = Sequence[tuple[str, bytes | None]]


class Arrival(NamedTuple):
    """A record of an input topic as Kafka brought it; `now_ms` is its timestamp."""

    topic: str
    partition: int
    offset: int
    now_ms: int
    key: bytes | None
    raw: bytes
    headers: Headers = ()


class Output(NamedTuple):
    """One record to be written, None = a tombstone. `timestamp_ms` is the `now` of the record that caused it."""

    topic: str
    key: str | bytes | None
    value: bytes | None
    timestamp_ms: int


class Forward(NamedTuple):
    """A record that came under a wrong key: to be written once more, under its account, with `headers`."""

    topic: str
    key: str
    value: bytes
    headers: Headers


class Decision(NamedTuple):
    """A new incident, for the latency metrics: when its login came, and whether it blocks."""

    now_ms: int
    blocked: bool


@dataclass(slots=True)
class Batch:
    """
    What a number of records led to.

    `touched` has, by partition, the accounts that must be written to the changelog; `counts` is by the words of the metrics, for instance `("logins", "counted")`.
    """

    outputs: list[Output] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    touched: dict[int, Touched] = field(default_factory=dict)
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)

    def states(self) -> dict[str, bytes | None]:
        """The newest state of every account that must be written, None for a forgotten one."""
        return {name.decode(): packed for touched in self.touched.values() for name, packed in touched.states()}

    def count(self, *words: str, number: int = 1) -> None:
        """Count something that the records led to."""
        self.counts[words] = self.counts.get(words, 0) + number

    def count_output(self, topic: str, record: dict[str, Any], policy: EffectivePolicy) -> None:
        """Count an output by what it tells people; `policy` is its account's."""
        if topic == "incidents" and record["revision"] == 1:
            limit = "allowed_ips" if record["rule"] == "ips" else "allowed_countries"
            self.count("incidents", record["rule"], policy.origin(limit).partition(":")[0])
        elif topic == "incidents":
            self.count("revisions")
        elif topic == "blocks":
            lifted = record["state"] == "open"
            self.count("blocks", "lifted" if lifted else "automatic" if record["incident"] else "manual")
