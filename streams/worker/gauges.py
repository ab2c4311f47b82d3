"""The worker's gauges, and whether it is ready: everything that is asked for rather than counted."""

from collections.abc import Sequence

from streams import metrics as declared
from streams.engine.engine import Engine
from streams.geo import NoPlaces, Places
from streams.metrics import Metrics
from streams.worker.lease import Lease
from streams.worker.progress import Progress
from streams.worker.tables import Tables
from streams.worker.trouble import Trouble

SAME_NAME = (
    "the group throws this worker out again and again: another one has the same worker_id (the host's name, if none is"
    " set). Give each worker its own"
)


class Gauges:
    """Answers Prometheus and `/health/ready` from the worker's progress, in their threads."""

    def __init__(
        self,
        metrics: Metrics,
        progress: Progress,
        lease: Lease,
        engine: Engine,
        places: Places | NoPlaces,
        tables: Tables,
        troubles: Sequence[Trouble] = (),
    ) -> None:
        self._metrics = metrics
        self._lease = lease
        self._progress = progress
        self._engine = engine
        self._places = places
        self._tables = tables
        self._troubles = troubles
        self._state_bytes = 0
        self._lag: set[tuple[str, int]] = set()
        for metric, value in (
            (declared.RECOVERY_REMAINING, lambda: progress.recovery_total - progress.recovery_done),
            (declared.RECOVERING, lambda: progress.recovering),
            (declared.ACCOUNTS, lambda: sum(map(len, list(engine.accounts.values())))),
            (declared.STATE_BYTES, lambda: self._state_bytes),
            (declared.IN_FLIGHT, lambda: progress.in_flight),
            (declared.TABLES_CAUGHT_UP, lambda: tables.problem() is None),
            (declared.KAFKA_UP, lambda: progress.broker_error is None),
        ):
            metrics.on_scrape(metric, value)

    def measure(self) -> None:
        """Refresh what is too slow to ask at every scrape; on the event loop, every few seconds."""
        self._state_bytes = sum(accounts.size() for accounts in self._engine.accounts.values())
        self._metrics.of(declared.COUNTRY_RULE).set(self._places.available)
        self._metrics.of(declared.GEO_BUILT).set(
            min((item["built"] for item in self._places.describe()["databases"]), default=0)
        )

    def measure_lag(self) -> None:
        """Partitions that went to another worker must not go on being shown here."""
        gauge = self._metrics.of(declared.LAG)
        held = dict(self._progress.partitions)
        for topic, partition in self._lag - held.keys():
            gauge.remove(topic, str(partition))
        for (topic, partition), progress in held.items():
            gauge.labels(topic=topic, partition=str(partition)).set(progress.lag)
        self._lag = set(held)

    def reasons(self) -> list[str]:
        """Why the worker is not ready, a sentence each; empty = ready."""
        progress, found = self._progress, []
        if progress.broker_error is not None:
            found.append(f"Kafka does not answer: {progress.broker_error}")
        found += [trouble.sentence for trouble in self._troubles if trouble.sentence is not None]
        if progress.recovering:
            done, total = progress.recovery_done, progress.recovery_total
            found.append(f"reading accounts from the changelog: {done} of {total} records")
        elif not progress.settled:
            found.append("waiting for the group to share out the partitions")
        if (problem := self._tables.problem()) is not None:
            found.append(problem)
        if self._lease.lost_often():
            found.append(SAME_NAME)
        return found
