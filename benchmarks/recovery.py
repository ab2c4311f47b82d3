"""
Recovery: from a changelog to a worker that is ready, beside Kafka Streams with the same accounts.

Both read a changelog in their own form (the peer's accounts have the same three addresses) into memory. Time runs from the
start of the process; an empty start shows how much of it is Python's or Java's own.
"""

import argparse
import time
from typing import Any

from benchmarks.harness.kafka import Kafka, append
from benchmarks.harness.process import Process, until
from benchmarks.harness.results import summary
from benchmarks.harness.rules import as_records
from benchmarks.harness.states import States, address, name
from benchmarks.harness.systems import System, prepare, worker
from streams.settings import Settings
from streams.topology import LOGINS, changelog

NETWORKS = 3
PEER = System("Kafka Streams, in memory", "kafka-streams", changes={"THREADS": "2"})
PEER_APP = "recovery-peer"
READY_S = 300


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows: the worker with all accounts, the worker with none, the peer with all."""
    prepare({PEER.kind})
    with Kafka() as kafka:
        settings, empty = kafka.for_app("recovery"), kafka.for_app("recovery-none")
        _fill(kafka, settings, options.accounts)
        runs: dict[str, list[dict[str, float]]] = {"loginwatch": [], "loginwatch, no accounts": [], PEER.name: []}
        for number in range(options.rounds):
            runs["loginwatch"].append(_worker(kafka, settings, options.accounts))
            runs["loginwatch, no accounts"].append(_worker(kafka, empty, 0))
            runs[PEER.name].append(_peer(kafka, options.accounts, number))
    return {
        "accounts": options.accounts,
        "rows": [{"system": system, **summary(found)} for system, found in runs.items()],
    }


def _fill(kafka: Kafka, settings: Settings, accounts: int) -> None:
    append(settings, as_records("common"))
    now_ms = time.time_ns() // 1_000_000
    topic = changelog(settings).name
    append(
        settings, ((topic, key, packed, 0) for key, packed in States(NETWORKS, now_ms).all(accounts)), compression="lz4"
    )
    filled = (
        (f"{PEER_APP}-accounts-changelog", name(number), _peer_state(number, now_ms), 0) for number in range(accounts)
    )
    kafka.make(f"{PEER_APP}-accounts-changelog", cleanup_policy="compact")
    append(settings, filled, compression="lz4")


def _peer_state(number: int, now_ms: int) -> bytes:
    """As `Addresses.java` packs it."""
    entries = [address(number, network).encode() for network in range(NETWORKS)]
    return bytes(8) + b"".join(bytes((len(ip),)) + ip + now_ms.to_bytes(8, "big") for ip in entries)


def _worker(kafka: Kafka, settings: Settings, accounts: int) -> dict[str, float]:
    with worker(settings, kafka.folder) as process:
        until(lambda: process.says("worker ready"), READY_S, "the worker is ready")
        found = _figures(process, time.time(), process.cpu_s, accounts)
        if f"accounts={accounts}" not in process.log:
            raise RuntimeError(f"the worker has not all accounts:\n{process.log}")
        return found


def _peer(kafka: Kafka, accounts: int, number: int) -> dict[str, float]:
    if number == 0:
        kafka.make(f"{PEER_APP}-blocks")
    with PEER.start(kafka, PEER_APP, LOGINS.name, 0, None) as process:
        ready = process.until_mark("READY", READY_S)
        if ready.number != accounts:
            raise RuntimeError(f"the peer restored {ready.number} accounts, not {accounts}")
        return _figures(process, ready.time_s, ready.cpu_s, accounts)


def _figures(process: Process, ready_s: float, cpu: float, accounts: int) -> dict[str, float]:
    seconds = ready_s - process.started_s
    return {
        "ready_s": seconds,
        "accounts_per_s": accounts / seconds,
        "cpu_s": cpu,
        "peak_mib": process.memory_mib(),
    }
