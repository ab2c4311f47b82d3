"""
Latency: from the append of a login to its block, at 20, 50 and 80 % of what the worker can take; and when it is disturbed.

The worker is the product as shipped: geo database, all kinds of rules, metrics. Its capacity is measured first, on the same
machine that also runs the broker, the sender and the reader: what it commits while more logins come than it can take. Then
come the three rates, three times in turn, after runs that do not count (Java compiles what it runs often), and at half of the capacity a second
worker that joins, and a kill -9 of the first, which is started again at once. `current` is the time from the disturbance (the
start of the second process, the kill) until no block takes longer than `CURRENT_MS` any more.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.harness import check
from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.process import Process, until
from benchmarks.harness.results import quantile, spread
from benchmarks.harness.rules import as_records
from benchmarks.harness.sender import Load, Sender
from benchmarks.harness.systems import worker
from benchmarks.harness.traffic import Reader, Seen, joined
from streams.settings import Settings
from streams.simulator.world import write_geo
from streams.topology import LOGINS

SHARES = (0.2, 0.5, 0.8)
ROUNDS = 3
CURRENT_MS = 250.0
DISTURB_AFTER_S = 2.5
DISTURBED_S = 12
WARM_SHARE = 0.5
WARM_UPS = 3
"""Runs that do not count: in the first two Java's compiler took up to a core beside what it compiles."""
MORE_THAN_IT_TAKES = 450_000
CAPACITY_S = 3
LOOK_S = 0.02
DONE_S = 60


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows per rate, and one per disturbance."""
    with Kafka() as kafka:
        geo = kafka.folder / "world.mmdb"
        write_geo(geo)
        settings = kafka.for_app("latency", geo_databases=(str(geo),))
        append(settings, as_records("full"))
        with (
            Sender(settings, options.accounts) as sender,
            worker(settings, kafka.folder, worker_id="one") as first,
            Bench(kafka, settings, first, sender, options) as bench,
        ):
            bench.warm_up()
            capacity = bench.capacity()
            for turn in range(WARM_UPS):
                bench.at_rate(capacity * WARM_SHARE, "warm", turn)
            runs = [
                [bench.at_rate(capacity * share, f"{share:.0%}", turn) for share in SHARES] for turn in range(ROUNDS)
            ]
            disturbed = [
                bench.disturbed("a second worker joins", capacity / 2, bench.join),
                bench.disturbed("kill -9 of one of two, started again at once", capacity / 2, bench.kill),
            ]
        blocks = bench.check(geo)
    return {
        "capacity_per_s": round(capacity),
        "accounts": options.accounts,
        "blocks": blocks,
        "rows": [_together(turns) for turns in zip(*runs, strict=True)],
        "disturbed": disturbed,
    }


class Bench:
    """A worker under load, and a second one that comes and goes."""

    def __init__(
        self, kafka: Kafka, settings: Settings, first: Process, sender: Sender, options: argparse.Namespace
    ) -> None:
        self._kafka = kafka
        self._settings = settings
        self._first = first
        self._sender = sender
        self._options = options
        self._second: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._second is not None:
            self._second.stop()

    def warm_up(self) -> None:
        """Every account has logged in before, from each of its networks."""
        self._ready(self._first)
        self._sender.start(None)
        self._sender.result()
        self._until_committed()

    def capacity(self) -> float:
        """
        Logins per second while more come than it can take, sender and broker beside it.

        From the first commit to the last: what was committed in between, by the time in between.
        """
        load = Load(MORE_THAN_IT_TAKES, CAPACITY_S, self._options.accounts, "capacity", self._options.seed)
        steps: list[tuple[float, int]] = []
        begun = self._kafka.ends(LOGINS.name)
        with self._kafka.committed(self._settings.app, LOGINS.name, begun) as committed:
            self._sender.start(load)
            while not steps or steps[-1][1] < sum(begun.values()) + load.rate * load.seconds:
                self._first.assert_running()
                done = sum(committed().values())
                if done > (steps[-1][1] if steps else sum(begun.values())):
                    steps.append((time.monotonic(), done))
                time.sleep(LOOK_S)
        self._sender.result()
        self._until_committed()
        (first_s, first), (last_s, last) = steps[0], steps[-1]
        return (last - first) / (last_s - first_s)

    def at_rate(self, rate: float, label: str, turn: int = 0) -> dict[str, Any]:
        """Milliseconds, over all victims of one run."""
        cpu, kafka_cpu = self._first.cpu_s, self._kafka.cpu_s
        load = Load(
            rate, self._options.seconds, self._options.accounts, f"{label.strip('%')}-{turn}", self._options.seed
        )
        seen, late_s, sender_cpu_s = self._run(load)
        cores = {"worker_cores": self._first.cpu_s - cpu, "kafka_cores": self._kafka.cpu_s - kafka_cpu,
                 "sender_cores": sender_cpu_s}  # fmt: skip
        return {"load": label, "rate_per_s": round(rate), **_figures(seen), "sender_late_ms": round(late_s * 1000, 1),
                **{who: round(used / self._options.seconds, 2) for who, used in cores.items()}}  # fmt: skip

    def disturbed(self, what: str, rate: float, disturb: Callable[[], None]) -> dict[str, Any]:
        """Seconds from the disturbance until decisions are current again, and the longest wait."""
        load = Load(rate, DISTURBED_S, self._options.accounts, what.replace(" ", "-").strip(","), self._options.seed)
        moments: list[float] = []

        def now() -> None:
            moments.append(time.time())
            disturb()

        seen, *_ = self._run(load, now)
        slow = [each for each in seen if each.at_reader_ms > CURRENT_MS and each.read_s > moments[0]]
        current = max((each.read_s for each in slow), default=moments[0]) - moments[0]
        return {"what": what, "rate_per_s": round(rate), "current_again_s": round(current, 2),
                "longest_ms": round(max(each.at_reader_ms for each in seen))}  # fmt: skip

    def join(self) -> None:
        self._second = worker(self._settings, self._kafka.folder, "latency-two", worker_id="two").start()
        self._ready(self._second)

    def kill(self) -> None:
        self._first.kill()
        self._first.start()
        self._ready(self._first)

    def check(self, geo: Path) -> int:
        """All outputs of all runs against a replay of the whole topic; how many blocks there were."""
        want = check.outputs(self._kafka, LOGINS.name, "full", geo)
        return check.check_worker(self._kafka, want, {topic: {} for topic in check.OUTPUTS})

    def _run(self, load: Load, disturb: Callable[[], None] | None = None) -> tuple[list[Seen], float, float]:
        """
        The blocks, by how much the sender was late, and its CPU time, in seconds.

        Raises RuntimeError when `disturb`, which ends with a worker that is ready, took longer than the load.
        """
        with Reader(self._settings) as reader:
            begins_s = self._sender.start(load)
            if disturb is not None:
                time.sleep(max(0.0, begins_s + DISTURB_AFTER_S - time.time()))
                disturb()
                if time.time() > begins_s + load.seconds:
                    raise RuntimeError(f"the worker was not ready while logins came, for {load.seconds} s")
            sent, late_s, cpu_s = self._sender.result()
            self._until_committed()
            time.sleep(0.3)  # the last block is on its way to the reader
            return joined(sent, reader.stop()), late_s, cpu_s

    def _until_committed(self) -> None:
        self._kafka.until_committed(self._settings.app, LOGINS.name, self._kafka.ends(LOGINS.name), watch=[self._first])

    def _ready(self, process: Process) -> None:
        until(lambda: process.says("worker ready"), DONE_S, "the worker is ready")


def _together(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Runs at one rate: median, least and greatest of each figure."""
    same = {
        "load": turns[0]["load"],
        "rate_per_s": turns[0]["rate_per_s"],
        "blocks": sum(turn["blocks"] for turn in turns),
    }
    return {**same, **{name: spread([turn[name] for turn in turns], 2) for name in turns[0].keys() - same.keys()}}


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
