"""
Scale-out: one and two workers, full job, on the same log.

The workers are there and have their partitions before the log is; they are stopped (SIGSTOP) while it is filled and all go on
together, so only work is timed, and no rebalance. The broker shares the cores, and so two cores never give twice the rate.
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from confluent_kafka import ConsumerGroupState

from benchmarks.harness import check
from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.log import Log, logins
from benchmarks.harness.process import Process, until
from benchmarks.harness.results import summary
from benchmarks.harness.rules import as_records
from benchmarks.harness.systems import worker
from streams.bus.clients import new_admin
from streams.settings import Settings
from streams.simulator.world import write_geo
from streams.topology import LOGINS

NUMBERS = (1, 2)
SETTLE_S = 90


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A row per number of workers."""
    log = Log(options.logins, options.accounts, options.seed)
    runs: dict[int, list[dict[str, float]]] = {number: [] for number in NUMBERS}
    want = None
    for _ in range(options.rounds):
        for number in NUMBERS:
            with Kafka() as kafka:
                geo = kafka.folder / "world.mmdb"
                write_geo(geo)
                settings = kafka.for_app("scale", geo_databases=(str(geo),))
                append(settings, as_records("full"))
                runs[number].append(_measure(kafka, settings, log, number))
                want = want or check.expected(kafka, LOGINS.name, "full", geo)
                check.check_worker(kafka, want, {topic: {} for topic in check.OUTPUTS})
    return {"log": str(log), "rounds": options.rounds,
            "rows": [{"workers": number, **summary(found)} for number, found in runs.items()]}  # fmt: skip


def _measure(kafka: Kafka, settings: Settings, log: Log, number: int) -> dict[str, float]:
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker(settings, kafka.folder, f"scale-{index}", worker_id=f"w{index}"))
            for index in range(number)
        ]
        until(lambda: _settled(settings, workers), SETTLE_S, "the partitions are shared out")
        for each in workers:
            os.kill(each.pid, signal.SIGSTOP)
        kafka.fill(LOGINS.name, logins(log))
        cpu, broker, begun = sum(each.cpu_s for each in workers), kafka.cpu_s, time.time()
        for each in workers:
            os.kill(each.pid, signal.SIGCONT)
        kafka.until_committed(settings.app, LOGINS.name, kafka.ends(LOGINS.name), watch=workers)
        seconds = time.time() - begun
        return {
            "logins_per_s": log.logins / seconds,
            "cpu_us": (sum(each.cpu_s for each in workers) - cpu) / log.logins * 1e6,
            "broker_cpu_us": (kafka.cpu_s - broker) / log.logins * 1e6,
            "cores_used": (sum(each.cpu_s for each in workers) - cpu + kafka.cpu_s - broker) / seconds,
        }


def _settled(settings: Settings, workers: Sequence[Process]) -> bool:
    """Every worker is ready, and the group is stable with the same share for each."""
    if not all(each.says("worker ready") for each in workers):
        return False
    admin = new_admin(settings)
    group = admin.describe_consumer_groups([settings.app])[settings.app].result(10)
    shares = {sum(at.topic == LOGINS.name for at in member.assignment.topic_partitions) for member in group.members}
    return group.state == ConsumerGroupState.STABLE and shares == {settings.partitions // len(workers)}
