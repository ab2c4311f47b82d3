"""What the worker's hot path reports: sampled times and counted outcomes, a few microseconds per batch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter, time
from typing import Any

from streams import metrics as declared
from streams import topology
from streams.engine.batch import Batch, Decision
from streams.engine.compiled.layout import TIMESTAMP
from streams.metrics import Metrics
from streams.worker.fetched import Fetched
from streams.worker.progress import Progress

SAMPLES = 10
"""At most so many logins of a partition and round are timed; each takes 0.6 µs, 13,000 times a second with 50."""

COUNTED = {
    "logins": declared.LOGINS,
    "skew": declared.CLOCK_SKEW,
    "forwarded": declared.FORWARDED,
    "let_go": declared.NETWORKS_LET_GO,
    "messages": declared.MESSAGES,
    "messages_repeated": declared.MESSAGES_REPEATED,
    "commands": declared.COMMANDS,
    "incidents": declared.INCIDENTS,
    "revisions": declared.INCIDENT_REVISIONS,
    "blocks": declared.BLOCKS,
    "dead_letters": declared.DEAD_LETTERS,
}
"""The metric of every first word of the engine's counts; the words after it are its labels, in order."""


class Measures:
    """The live metrics of one worker."""

    def __init__(self, metrics: Metrics, progress: Progress) -> None:
        self._metrics = metrics
        self._progress = progress
        self._records = metrics.of(declared.BATCH_RECORDS)
        self._seconds = metrics.of(declared.BATCH_SECONDS)
        self._decision = metrics.of(declared.DECISION_SECONDS)
        self._block = metrics.of(declared.BLOCK_SECONDS)
        self._counters: dict[Any, Any] = {}

    @contextmanager
    def batch(self, records: int) -> Iterator[None]:
        """Time one batch, from its first record to its last acknowledgement."""
        self._progress.in_flight += 1
        started = perf_counter()
        try:
            yield
        finally:
            self._progress.in_flight -= 1
        self._seconds.observe(perf_counter() - started)
        self._records.observe(records)

    def decided(self, batch: Batch) -> None:
        """The round is decided in memory: count what the engine counted."""
        for name, number in batch.counts.items():
            self._counter(name).inc(number)

    def sampled(self, topic: str, records: Fetched) -> None:
        """The records of a partition are decided in memory: time some of the logins."""
        if topic == topology.LOGINS.name:
            now = time() * 1000
            for timestamp in records.table[:: len(records) // SAMPLES + 1, TIMESTAMP].tolist():
                self._decision.observe(max(0.0, now - timestamp) / 1000)

    def acknowledged(self, decisions: Iterable[Decision]) -> None:
        """Everything is in Kafka: time the blocks from the arrival of the login that caused each."""
        now = time() * 1000
        for decision in decisions:
            if decision.blocked:
                self._block.observe(max(0.0, now - decision.now_ms) / 1000)

    def _counter(self, name: tuple[str, ...]) -> Any:
        if name not in self._counters:
            metric, labels = COUNTED[name[0]], name[1:]
            self._counters[name] = self._metrics.of(metric, **dict(zip(metric.labels, labels, strict=True)))
        return self._counters[name]
