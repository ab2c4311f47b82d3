"""
State: memory per account, changelog bytes per account, and whether a login's time depends on how many accounts there are.

In memory: a process of its own holds the engine's dictionary of packed states, its resident memory is measured, and known
accounts log in at random, without Kafka. On Kafka: the same states in a changelog, and a worker that takes them up.
"""

import argparse
import gc
import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.process import memory_mib, until
from benchmarks.harness.results import spread
from benchmarks.harness.rules import as_lines, as_records
from benchmarks.harness.states import States, logins, name
from benchmarks.harness.systems import worker
from streams.geo import NoPlaces
from streams.replay.replay import Replay
from streams.settings import Settings
from streams.topology import LOGINS, changelog

USUAL, MANY = 3, 64
ACCOUNTS_OF_MANY = 50_000
SMALL = 10_000
BATCH = 10_000
ROUNDS = 3
MIB = 1 << 20
HOUR_MS = 3_600_000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows per number of accounts, and one for accounts of 64 networks."""
    sizes = [int(size) for size in options.states.split(",")]
    rows = [_apart(size, USUAL, options) for size in [SMALL, *sizes]]
    many = _apart(min(ACCOUNTS_OF_MANY, max(sizes)), MANY, options)
    del many["engine_cpu_us"]  # nobody's usual account: with 64 networks in turn every login would be judged in full
    for row in rows[1:]:
        with Kafka() as kafka:
            row.update(_on_kafka(kafka, row["accounts"], options))
    return {"rows": rows, "many_networks": many, "logins": options.logins}


def _apart(accounts: int, networks: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measured in a fresh process: memory that was given back would not show."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(
        target=_in_memory, args=(theirs, accounts, networks, options.logins, options.seed)
    )
    process.start()
    found: dict[str, Any] = ours.recv()
    process.join()
    return found


def _in_memory(pipe: Connection, accounts: int, networks: int, count: int, seed: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    engine = _engine()
    states = States(networks, now_ms)
    records = list(logins(accounts, ROUNDS * count, networks, now_ms, seed))
    gc.collect()
    before = memory_mib(pid := os.getpid(), "VmRSS")
    engine.accounts[0] = {key.decode(): packed for key, packed in states.all(accounts)}
    gc.collect()
    gc.freeze()
    held = memory_mib(pid, "VmRSS") - before
    times = [
        _cpu_us(engine, records[first : first + count], first, now_ms + HOUR_MS)
        for first in range(0, ROUNDS * count, count)
    ]
    pipe.send(
        {"accounts": accounts, "networks": networks, "packed_bytes": states.size,
         "memory_bytes_per_account": round(held * MIB / accounts), "engine_cpu_us": spread(times, 2)}
    )  # fmt: skip


def _engine() -> Any:
    replay = Replay(Settings(), NoPlaces())
    for line in as_lines("common"):
        replay.read(orjson.dumps(line))
    return replay.engine


def _cpu_us(engine: Any, records: list[tuple[bytes, bytes]], first_offset: int, now_ms: int) -> float:
    """CPU microseconds of the engine for each login: read, judged, state replaced; batches as the worker takes them."""
    begun = time.process_time()
    for start in range(0, len(records), BATCH):
        for offset, (key, raw) in enumerate(records[start : start + BATCH], first_offset + start):
            engine.process(LOGINS.name, 0, offset, now_ms, key, raw)
        engine.take()
    return (time.process_time() - begun) / len(records) * 1e6


def _on_kafka(kafka: Kafka, accounts: int, options: argparse.Namespace) -> dict[str, Any]:
    """The changelog on the disk of the broker, and a worker that reads it and goes on."""
    settings = kafka.for_app(f"state-{accounts}")
    append(settings, as_records("common"))
    now_ms = time.time_ns() // 1_000_000
    states, topic = States(USUAL, now_ms), changelog(settings).name
    append(settings, ((topic, key, packed, 0) for key, packed in states.all(accounts)), compression="lz4")
    disk = sum(file.stat().st_size for file in Path(kafka.folder, "data").glob(f"{topic}-*/*.log"))
    with worker(settings, kafka.folder) as process:
        until(lambda: process.says("worker ready"), 300, "the worker is ready")
        ready, memory = time.time() - process.started_s, process.memory_mib("VmRSS")
        append(
            settings, ((LOGINS.name, key, raw, 0) for key, raw in logins(accounts, options.logins, USUAL, now_ms, 1))
        )
        kafka.until_committed(settings.app, LOGINS.name, kafka.ends(LOGINS.name), watch=[process])
        peak = process.memory_mib()
    return {
        "changelog_bytes_per_account": states.size + len(name(0)),
        "disk_bytes_per_account": round(disk / accounts),
        "ready_s": round(ready, 1),
        "worker_rss_mib": round(memory),
        "worker_peak_mib": round(peak),
    }
