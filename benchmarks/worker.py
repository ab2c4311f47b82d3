"""
The worker beside its peers: logins per second and CPU time per login, on a real Kafka, from the same log.

Runs are interleaved, so a machine that slows down slows all of them, and every run's outputs are checked before its
figures count. Time and CPU run from a system's first login until the offsets of all logins are committed.
"""

import argparse
import sys
import time
from typing import Any

from benchmarks.harness import check
from benchmarks.harness.check import Expected
from benchmarks.harness.kafka import Ends, Kafka, append
from benchmarks.harness.log import Log, logins
from benchmarks.harness.process import Process
from benchmarks.harness.results import summary
from benchmarks.harness.rules import LEVELS, as_records, as_tombstones
from benchmarks.harness.systems import System, prepare
from streams.simulator.world import write_geo
from streams.topology import LOGINS

WORKER_COMMON = System("loginwatch, common job", "worker")
WORKER_FULL = System("loginwatch, full job", "worker", job="full")
RAW = System("raw confluent-kafka loop", "raw", job="nothing durable")
SYSTEMS = (
    RAW,
    WORKER_COMMON,
    WORKER_FULL,
    System("Kafka Streams, at least once", "kafka-streams"),
    System("Kafka Streams, exactly once", "kafka-streams", changes={"GUARANTEE": "exactly_once_v2"}),
    System("Quix Streams", "quix", most=250_000),
    System("Faust with a table", "stock-faust", most=30_000),
)
NAMES = {"raw": "raw", "common": "loginwatch, common", "full": "loginwatch, full", "kafka-streams": "Kafka Streams, at",
         "exactly-once": "Kafka Streams, exactly", "quix": "Quix", "faust": "Faust"}  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One row per system: the spread of its figures over the rounds."""
    systems = chosen(options.systems)
    prepare({system.kind for system in systems})
    log = Log(options.logins, options.accounts, options.seed)
    with Kafka() as kafka:
        bench = Bench(kafka, log, systems)
        for round_number in range(options.rounds):
            turned = systems[round_number % len(systems) :] + systems[: round_number % len(systems)]
            for system in turned:
                bench.measure(system, round_number)
        size = sum(len(sent.key) + len(sent.value) for sent in logins(log)) / log.logins
        return {"log": str(log), "rounds": options.rounds, "login_bytes": round(size), "rows": bench.rows()}


def chosen(names: str) -> tuple[System, ...]:
    """The systems of a comma-separated list of `NAMES`; all for an empty one."""
    wanted = [NAMES[name] for name in names.split(",")] if names else [""]
    return tuple(system for system in SYSTEMS if any(system.name.startswith(name) for name in wanted))


class Bench:
    """A log on a broker, what its replay writes, and the runs so far."""

    def __init__(self, kafka: Kafka, log: Log, systems: tuple[System, ...]) -> None:
        self._kafka = kafka
        self._systems = systems
        self._runs: dict[System, list[dict[str, float]]] = {system: [] for system in systems}
        self._geo = kafka.folder / "world.mmdb"
        write_geo(self._geo)
        self._whole = log
        self._counts: dict[str, int] = {}
        self._expected: dict[tuple[str, str], Expected] = {}
        for system in systems:
            self._fill(system)
            self._expect(system)

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"system": system.name, "job": system.job, "logins": self._counts[self._topic(system)],
             "blocks": self._runs[system][-1].pop("blocks"), **summary(_without_blocks(self._runs[system]))}
            for system in self._systems
        ]  # fmt: skip

    def measure(self, system: System, round_number: int) -> dict[str, float]:
        """One run of one system, checked."""
        topic = self._topic(system)
        app = f"{system.name.replace(',', '').replace(' ', '-').lower()}-{round_number}"
        if system.is_worker:
            other = [job for job in LEVELS if job != system.job]
            append(self._kafka.settings, [*as_tombstones(other), *as_records(system.job)])
        else:
            self._kafka.make(f"{app}-blocks")
        begin = {name: self._kafka.ends(name) for name in check.OUTPUTS}
        self._kafka.until_quiet()
        with system.start(self._kafka, app, topic, self._counts[topic], self._geo) as process:
            found = self._figures(system, process, app, topic)
        found["blocks"] = self._check(system, app, topic, begin, process)
        self._runs[system].append(found)
        _say(f"{system.name}: {found['logins_per_s']:,.0f} logins/s, {found['cpu_us']:.2f} us of CPU a login")
        return found

    def _figures(self, system: System, process: Process, app: str, topic: str) -> dict[str, float]:
        kafka, count = self._kafka, self._counts[topic]
        first = process.until_mark("FIRST")
        broker = kafka.cpu_s
        if system.kind == "raw":
            done = process.until_mark("DONE", 600)
            seconds, cpu = done.time_s - first.time_s, done.cpu_s - first.cpu_s
        else:
            kafka.until_committed(app, topic, kafka.ends(topic), watch=[process])
            seconds, cpu = time.time() - first.time_s, process.cpu_s - first.cpu_s
        return {
            "logins_per_s": count / seconds,
            "cpu_us": cpu / count * 1e6,
            "broker_cpu_us": (kafka.cpu_s - broker) / count * 1e6,
            "peak_mib": process.memory_mib(),
            "changelog_records": kafka.changelogs(app),
            "start_s": first.time_s - process.started_s,
            "start_cpu_s": first.cpu_s,
        }

    def _check(self, system: System, app: str, topic: str, begin: dict[str, Ends], process: Process) -> int:
        want = self._expected[topic, system.job if system.is_worker else "common"]
        if system.is_worker:
            return check.check_worker(self._kafka, want, begin)
        if system.kind == "raw":
            done = [line for line in process.log.splitlines() if line.startswith("DONE")]
            return check.check_count(want, int(done[-1].split()[-1]))
        return check.check_blocks(self._kafka, want, f"{app}-blocks")

    def _topic(self, system: System) -> str:
        return LOGINS.name if system.most >= self._whole.logins else f"logins-{system.most}"

    def _fill(self, system: System) -> None:
        """The log; for a slow system a smaller one, of as many logins an account and as many thieves among them."""
        topic, whole = self._topic(system), self._whole
        if topic in self._counts:
            return
        log = whole
        if topic != LOGINS.name:
            log = Log(system.most, max(1, whole.accounts * system.most // whole.logins), whole.seed)
            self._kafka.make(topic)
        self._kafka.fill(topic, logins(log))
        self._counts[topic] = log.logins

    def _expect(self, system: System) -> None:
        topic = self._topic(system)
        job = system.job if system.is_worker else "common"
        if (topic, job) not in self._expected:
            self._expected[topic, job] = check.expected(self._kafka, topic, job, self._geo)
            found = self._expected[topic, job]
            _say(f"replay of {topic}, {job}: {len(found.outputs)} outputs; plain job: {found.plain_blocks} blocks")


def _without_blocks(runs: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in run.items() if name != "blocks"} for run in runs]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
