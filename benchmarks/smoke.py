"""
The guard in CI: is a login still as cheap as it was, measured against the raw loop of the same run?

Ratios, never times: a slow machine slows both. Each run's outputs are checked against the replay as always. The least of
several interleaved runs counts, since other work on the machine only ever adds; where that looks too dear, two more rounds are
run before it is said. `--record` writes the ratios that later runs are held to.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import worker
from benchmarks.harness.kafka import Kafka
from benchmarks.harness.log import Log
from benchmarks.harness.results import commit

RECORDED = Path(__file__).with_name("smoke.json")
ALLOWED = 1.3
MORE_ROUNDS = 2
"""Three runs on a machine with slow memory, three rounds each, gave the full job 1.29, 1.11 and 1.14 times 0.66, its ratio on another."""
GUARDED = (worker.WORKER_COMMON, worker.WORKER_FULL)


def main(options: argparse.Namespace) -> int:
    """0 when all is well, 1 when a login has become dearer."""
    if options.record:
        ratios = measure(options, {})
        record = {**commit(), "logins": options.logins, "accounts": options.accounts, "ratio_to_raw_loop": ratios}
        RECORDED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return 0
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["ratio_to_raw_loop"]
    ratios = measure(options, recorded)
    return max(_verdict(job, ratio, recorded[job]) for job, ratio in ratios.items())


def measure(options: argparse.Namespace, recorded: Mapping[str, float]) -> dict[str, float]:
    """CPU of the worker per login, as a multiple of the raw loop's, by job; more rounds while it is dearer than `recorded` allows."""
    systems = (worker.RAW, *GUARDED)
    least = dict.fromkeys(systems, float("inf"))
    ratios: dict[str, float] = {}
    with Kafka() as kafka:
        bench = worker.Bench(kafka, Log(options.logins, options.accounts, options.seed), systems)
        for number in range(options.rounds + MORE_ROUNDS):
            if number >= options.rounds and not any(_is_dearer(ratios[job], recorded[job]) for job in recorded):
                break
            for system in systems:
                least[system] = min(least[system], bench.measure(system, number)["cpu_us"])
            ratios = {system.job: round(least[system] / least[worker.RAW], 2) for system in GUARDED}
    return ratios


def _is_dearer(ratio: float, recorded: float) -> bool:
    return ratio > ALLOWED * recorded


def _verdict(job: str, ratio: float, recorded: float) -> int:
    dearer = _is_dearer(ratio, recorded)
    word = f"worse than {ALLOWED} times the recorded" if dearer else "recorded"
    print(f"{job} job: {ratio:.2f} times the CPU of the raw loop ({word} {recorded:.2f})")
    if dearer:
        print(
            "A login has become dearer: profile it (benchmarks/README.md), or record the new ratio with the reason in the commit."
        )
    sys.stdout.flush()
    return int(dearer)
