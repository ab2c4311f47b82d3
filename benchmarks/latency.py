"""
Latency: from the append of a login to its block, at 20, 50 and 80 % of what the worker can take; and when it is disturbed.

The worker is the product as shipped: geo database, all kinds of rules, metrics. Its capacity is measured first, on the same
machine that also runs the broker, the sender and the reader. Then come the three rates, after a run that does not count
(Java compiles what it runs often), and at half of the capacity a second worker that joins, and a kill -9 of the first, which
is started again at once. `current` is the time from the
disturbance until no block takes longer than `CURRENT_MS` any more.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from benchmarks.harness import check
from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.process import Process, until
from benchmarks.harness.results import quantile
from benchmarks.harness.rules import as_records
from benchmarks.harness.states import logins
from benchmarks.harness.systems import worker
from benchmarks.harness.traffic import NETWORKS, Load, Reader, Seen, Sender, joined
from streams.settings import Settings
from streams.simulator.world import write_geo
from streams.topology import LOGINS

SHARES = (0.2, 0.5, 0.8)
CURRENT_MS = 250.0
DISTURB_AFTER_S = 4.0
WARM_LOGINS = 3
WARM_SHARE = 0.5
CAPACITY_LOGINS = 300_000
DONE_S = 60


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows per rate, and one per disturbance."""
    with Kafka() as kafka:
        geo = kafka.folder / "world.mmdb"
        write_geo(geo)
        settings = kafka.for_app("latency", geo_databases=(str(geo),))
        append(settings, as_records("full"))
        with worker(settings, kafka.folder, worker_id="one") as first, Bench(kafka, settings, first, options) as bench:
            bench.warm_up()
            capacity = bench.capacity()
            bench.at_rate(capacity * WARM_SHARE, "warm")  # not counted: Kafka's way of a block is compiled by then
            rows = [bench.at_rate(capacity * share, f"{share:.0%}") for share in SHARES]
            disturbed = [
                bench.disturbed("a second worker joins", capacity / 2, bench.join),
                bench.disturbed("kill -9 of one of two, started again at once", capacity / 2, bench.kill),
            ]
        blocks = bench.check(geo)
    return {
        "capacity_per_s": round(capacity),
        "accounts": options.accounts,
        "blocks": blocks,
        "rows": rows,
        "disturbed": disturbed,
    }


class Bench:
    """A worker under load, and a second one that comes and goes."""

    def __init__(self, kafka: Kafka, settings: Settings, first: Process, options: argparse.Namespace) -> None:
        self._kafka = kafka
        self._settings = settings
        self._first = first
        self._options = options
        self._second: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._second is not None:
            self._second.stop()

    def warm_up(self) -> None:
        """Every account has logged in before."""
        self._ready(self._first)
        self._append(WARM_LOGINS * self._options.accounts, seed=2)

    def capacity(self) -> float:
        """Logins per second while more wait than it can take, sender and broker beside it."""
        begun = time.time()
        self._append(CAPACITY_LOGINS, seed=3)
        return CAPACITY_LOGINS / (time.time() - begun)

    def at_rate(self, rate: float, label: str) -> dict[str, Any]:
        """Milliseconds, over all victims of the run."""
        cpu, begun = self._first.cpu_s, time.monotonic()
        seen, late = self._run(rate, label.strip("%"))
        cores = (self._first.cpu_s - cpu) / (time.monotonic() - begun)
        return {"load": label, "rate_per_s": round(rate), **_figures(seen), "sender_late_ms": round(late * 1000, 1),
                "worker_cores": round(cores, 2)}  # fmt: skip

    def disturbed(self, what: str, rate: float, disturb: Callable[[], None]) -> dict[str, Any]:
        """Seconds from the disturbance until decisions are current again, and the longest wait."""
        moments: list[float] = []

        def now() -> None:
            moments.append(time.time())
            disturb()

        seen, _ = self._run(rate, what.split(maxsplit=1)[0].strip(",") + str(len(what)), now)
        slow = [each for each in seen if each.at_reader_ms > CURRENT_MS and each.read_s > moments[0]]
        current = max((each.read_s for each in slow), default=moments[0]) - moments[0]
        return {"what": what, "rate_per_s": round(rate), "current_again_s": round(current, 2),
                "longest_ms": round(max(each.at_reader_ms for each in seen))}  # fmt: skip

    def join(self) -> None:
        self._second = worker(self._settings, self._kafka.folder, "latency-two", worker_id="two").start()

    def kill(self) -> None:
        self._first.kill()
        self._first.start()

    def check(self, geo: Path) -> int:
        """All outputs of all runs against a replay of the whole topic; how many blocks there were."""
        want = check.expected(self._kafka, LOGINS.name, "full", geo)
        return check.check_worker(self._kafka, want, {topic: {} for topic in check.OUTPUTS})

    def _run(self, rate: float, label: str, disturb: Callable[[], None] | None = None) -> tuple[list[Seen], float]:
        load = Load(rate, self._options.seconds, self._options.accounts, label, self._options.seed)
        with Reader(self._settings) as reader:
            sender = Sender(self._settings, load)
            if disturb is not None:
                time.sleep(max(0.0, sender.begins_s + DISTURB_AFTER_S - time.time()))
                disturb()
            sent, late = sender.result()
            self._until_committed()
            time.sleep(0.3)  # the last block is on its way to the reader
            return joined(sent, reader.stop()), late

    def _append(self, count: int, seed: int) -> None:
        now_ms = time.time_ns() // 1_000_000 - 60_000
        made = logins(self._options.accounts, count, NETWORKS, now_ms, seed)
        append(self._settings, ((LOGINS.name, key, raw, 0) for key, raw in made))
        self._until_committed()

    def _until_committed(self) -> None:
        self._kafka.until_committed(self._settings.app, LOGINS.name, self._kafka.ends(LOGINS.name), watch=[self._first])

    def _ready(self, process: Process) -> None:
        until(lambda: process.says("worker ready"), DONE_S, "the worker is ready")


def _figures(seen: list[Seen]) -> dict[str, float]:
    in_kafka, at_reader = [each.in_kafka_ms for each in seen], [each.at_reader_ms for each in seen]
    return {
        "blocks": len(seen),
        "p50_ms": round(quantile(in_kafka, 0.5), 1),
        "p99_ms": round(quantile(in_kafka, 0.99), 1),
        "reader_p50_ms": round(quantile(at_reader, 0.5), 1),
        "reader_p99_ms": round(quantile(at_reader, 0.99), 1),
        "reader_max_ms": round(max(at_reader), 1),
    }
