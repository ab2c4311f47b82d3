"""
State: memory per account, changelog bytes per account, and whether a login's time depends on how many accounts there are.

In memory: a process of its own holds the accounts as the worker does, its resident memory is measured, and known accounts
log in at random, without Kafka. On Kafka: the same states in a changelog, and a worker that takes them up and judges the
same logins.
"""

import argparse
import gc
import math
import os
import time
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.process import Process, memory_mib, until
from benchmarks.harness.results import spread
from benchmarks.harness.rules import as_records
from benchmarks.harness.sender import Traffic, send, traffic_of
from benchmarks.harness.states import States, logins, name
from benchmarks.harness.systems import worker
from streams.bus.murmur2 import partition_for
from streams.core.policy import MINUTE_MS
from streams.engine.compiled.usual import UsualLogins
from streams.engine.engine import Engine
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import LOGINS, changelog
from streams.worker.fetched import Fetched, Record

USUAL, MANY = 3, 64
ACCOUNTS_OF_MANY = 50_000
SMALL = 10_000
BATCH = 10_000
ACCOUNTS_TO_WARM = 100
ROUNDS = 3
RATES = {"backlog": math.inf, "morning": 100_000, "peak": 250_000}
"""Logins per second: as fast as they can be sent, what a large provider has at nine in the morning, and more than twice of it."""
STEADY_S = 6
MIB = 1 << 20
HOUR_MS = 3_600_000


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows per number of accounts, and one for accounts of 64 networks."""
    sizes = [int(size) for size in options.states.split(",")]
    rows = [_apart(size, USUAL, options) for size in [SMALL, *sizes]]
    many = _apart(min(ACCOUNTS_OF_MANY, max(sizes)), MANY, argparse.Namespace(logins=BATCH, seed=options.seed))
    del many["engine_cpu_us"]  # nobody's usual account: with 64 networks in turn every login is judged in full
    for row in rows:
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
    batches = list(_batches(logins(accounts, ROUNDS * count, networks, now_ms, seed), now_ms + HOUR_MS))
    held = engine.held(0)
    for key, packed in states.all(2 * ACCOUNTS_TO_WARM):  # compiled code is read in, and its memory counted to nobody
        held.put(key.decode(), packed)
    engine.usual_logins(0, batches[0], 0, 0)
    held = engine.accounts[0] = engine.new_accounts()
    gc.collect()
    before = memory_mib(pid := os.getpid(), "VmRSS")
    for key, packed in states.all(accounts):
        held.put(key.decode(), packed)
    gc.collect()
    gc.freeze()
    grown = memory_mib(pid, "VmRSS") - before
    size = len(batches) // ROUNDS
    times = [_cpu_us(engine, batches[first : first + size]) for first in range(0, ROUNDS * size, size)]
    pipe.send(
        {"accounts": accounts, "networks": networks, "packed_bytes": states.size,
         "memory_bytes_per_account": round(grown * MIB / accounts), "engine_cpu_us": spread(times, 2)}
    )  # fmt: skip


def _engine() -> Engine:
    """The worker's engine with the rules of the common job."""
    codec, settings = Codec(), Settings()
    kernel = UsualLogins(
        codec, partitions=1, lateness_ms=settings.lateness * MINUTE_MS, largest=settings.max_record_bytes, seed=1
    )
    engine = Engine(
        codec=codec,
        places=NoPlaces(),
        lateness_ms=settings.lateness * MINUTE_MS,
        route=partial(partition_for, partitions=1),
        kernel=kernel,
    )
    for topic, key, raw, _ in as_records("common"):
        engine.apply_table(topic, key, raw)
    return engine


def _batches(records: Iterable[tuple[bytes, bytes]], now_ms: int) -> Iterator[Fetched]:
    made = [Record(offset, now_ms, key, raw, ()) for offset, (key, raw) in enumerate(records)]
    for first in range(0, len(made), BATCH):
        yield Fetched.of(made[first : first + BATCH])


def _cpu_us(engine: Engine, batches: list[Fetched]) -> float:
    """CPU microseconds of the engine for each login: read, judged, state replaced and handed over to be written."""
    begun = time.process_time()
    for batch in batches:
        at = 0
        while (at := engine.usual_logins(0, batch, at, len(batch))) < len(batch):
            engine.process(LOGINS.name, 0, *batch.record(at))
            at += 1
        engine.take()
    return (time.process_time() - begun) / sum(map(len, batches)) * 1e6


def _on_kafka(kafka: Kafka, accounts: int, options: argparse.Namespace) -> dict[str, Any]:
    """The changelog on the disk of the broker, and a worker that reads it and goes on."""
    settings = kafka.for_app(f"state-{accounts}")
    append(settings, as_records("common"))
    now_ms = time.time_ns() // 1_000_000
    states, topic = States(USUAL, now_ms), changelog(settings).name
    append(settings, ((topic, key, packed, 0) for key, packed in states.all(accounts)))
    disk = sum(file.stat().st_size for file in Path(kafka.folder, "data").glob(f"{topic}-*/*.log"))
    some = traffic_of(list(logins(accounts, options.logins, USUAL, now_ms, 1)), settings.partitions)
    with worker(settings, kafka.folder) as process:
        until(lambda: process.says("worker ready"), 300, "the worker is ready")
        ready, memory = time.time() - process.started_s, process.memory_mib("VmRSS")
        turns = [
            {load: _worker_us(kafka, settings, process, _at_rate(some, rate, turn)) for load, rate in RATES.items()}
            for turn in range(1 + ROUNDS)
        ][1:]  # its memory is touched for the first time in the first
        peak = process.memory_mib()
    found: dict[str, Any] = {
        "changelog_bytes_per_account": states.size + len(name(0)),
        "disk_bytes_per_account": round(disk / accounts),
        "ready_s": round(ready, 1),
        "worker_rss_mib": round(memory),
        "worker_peak_mib": round(peak),
    }
    for load in RATES:
        cpu, records = zip(*(turn[load] for turn in turns), strict=True)
        found |= {f"{load}_cpu_us": spread(cpu, 2), f"{load}_records": spread(records, 2)}
    return found


def _at_rate(logins: Traffic, rate: float, seed: int) -> Traffic:
    """In another order, at so many per second; of a finite rate as many as come in `STEADY_S`."""
    count = int(min(len(logins.rows), rate * STEADY_S))
    return logins._replace(
        due=np.arange(count) / rate, rows=np.random.default_rng(seed).permutation(logins.rows)[:count]
    )


def _worker_us(kafka: Kafka, settings: Settings, process: Process, logins: Traffic) -> tuple[float, float]:
    """CPU microseconds of the worker for each login, and how many records of the changelog it writes for each."""
    topic = changelog(settings).name
    cpu, written = process.cpu_s, sum(kafka.ends(topic).values())
    send(settings, logins)
    kafka.until_committed(settings.app, LOGINS.name, kafka.ends(LOGINS.name), watch=[process])
    used, count = process.cpu_s - cpu, len(logins.rows)
    return used / count * 1e6, (sum(kafka.ends(topic).values()) - written) / count
