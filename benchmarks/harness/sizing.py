"""
From what was measured to 100 million accounts and 100 thousand logins per second, on paper.

Every figure of the second table is one of the first, multiplied or divided by the numbers that stand beside it.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, NamedTuple

Load = Callable[[str], dict[str, Any] | None]
ACCOUNTS = 100_000_000
LOGINS_PER_S = 100_000
BUSY = 0.5
"""A worker is planned at half of its capacity: the other half takes over for a worker that is away, and catches up."""
BEARABLE_S = 60
"""How long the accounts of a worker may wait for their next one."""
CORES, MEMORY_GIB, SPARE_CORES, SPARE_MEMORY = 8, 32, 2, 0.4
"""A machine, and what of it is left free: cores for the system and librdkafka, the share of memory for taking over."""
FLEETS = (8, 16, 32, 64)
PARTITIONS_PER_WORKER = 4
MIB, GIB = 1 << 20, 1 << 30
COPIES = 3
DAYS = 7
AVERAGE_OF_PEAK = 0.6
"""Assumption: logins over the whole week as a share of those at nine in the morning, for the room that they take."""


class Measured(NamedTuple):
    """What the plan rests on, each from a benchmark of the same name as its comment."""

    cpu_us: float  # worker, full job
    logins_per_s: float  # worker, full job
    broker_cpu_us: float  # worker, full job
    login_bytes: float  # worker
    memory_bytes: float  # state: resident memory of a worker, per account
    base_mib: float  # state: of a worker without accounts
    disk_bytes: float  # state
    accounts_per_s: float  # state: of the largest number of accounts
    largest: int  # state


def measured(load: Load) -> Measured | None:
    """From the results; None where a benchmark is missing."""
    worker, state = load("worker"), load("state")
    if worker is None or state is None:
        return None
    full = next(row for row in worker["result"]["rows"] if row["system"] == "loginwatch, full job")
    rows = [row for row in state["result"]["rows"] if "worker_rss_mib" in row]
    least, most = rows[0], rows[-1]
    grown = (most["worker_peak_mib"] - least["worker_peak_mib"]) * MIB
    per_account = (
        grown / (most["accounts"] - least["accounts"]) if most is not least else most["memory_bytes_per_account"]
    )
    return Measured(
        cpu_us=full["cpu_us"]["median"],
        logins_per_s=full["logins_per_s"]["median"],
        broker_cpu_us=full["broker_cpu_us"]["median"],
        login_bytes=worker["result"]["login_bytes"],
        memory_bytes=per_account,
        base_mib=least["worker_peak_mib"] - per_account * least["accounts"] / MIB,
        disk_bytes=most["disk_bytes_per_account"],
        accounts_per_s=most["accounts"] / most["ready_s"],
        largest=most["accounts"],
    )


def text(load: Load) -> str:
    """Both tables, as Markdown."""
    found = measured(load)
    if found is None:
        return "Not measured yet: `python -m benchmarks worker state`, then `python -m benchmarks table`.\n"
    return f"{_figures(found)}\n{_fleets(found)}\n{_broker(found)}"


def _figures(found: Measured) -> str:
    rows = [
        ("CPU of the worker for one login, full job", f"{found.cpu_us:.1f} µs", "`worker`"),
        (
            "capacity of one worker, full job, broker on the same two cores",
            f"{found.logins_per_s:,.0f} logins/s",
            "`worker`",
        ),
        ("CPU of the broker for it (one copy)", f"{found.broker_cpu_us:.1f} µs", "`worker`"),
        ("a login on the topic, key and value", f"{found.login_bytes:.0f} bytes", "`worker`"),
        ("memory of a worker for an account of 3 networks, at its peak", f"{found.memory_bytes:.0f} bytes", "`state`"),
        ("memory of a worker without accounts", f"{found.base_mib:.0f} MiB", "`state`"),
        ("an account in the changelog, on disk", f"{found.disk_bytes:.0f} bytes", "`state`"),
        (
            "recovery, start of the process to ready",
            f"{found.accounts_per_s:,.0f} accounts/s",
            f"`state`, {found.largest:,} accounts",
        ),
    ]
    return _table(("measured", "figure", "benchmark"), rows)


class Fleet(NamedTuple):
    """A number of workers, and what each of them has to bear: a share of its capacity, memory in GiB, seconds to ready."""

    workers: int
    load: float
    memory_gib: float
    ready_s: float

    @property
    def will_do(self) -> bool:
        return self.load <= BUSY and self.ready_s <= BEARABLE_S


def _fleet(found: Measured, workers: int) -> Fleet:
    accounts = ACCOUNTS / workers
    memory = (accounts * found.memory_bytes + found.base_mib * MIB) / GIB
    return Fleet(workers, LOGINS_PER_S / workers / found.logins_per_s, memory, accounts / found.accounts_per_s)


def _fleets(found: Measured) -> str:
    fleets = [_fleet(found, workers) for workers in FLEETS]
    rows: list[tuple[object, ...]] = [
        (fleet.workers, fleet.workers * PARTITIONS_PER_WORKER, f"{ACCOUNTS / fleet.workers / 1e6:.1f} million", f"{fleet.load:.0%}",
         f"{LOGINS_PER_S / fleet.workers * found.cpu_us / 1e6:.2f}", f"{fleet.memory_gib:.1f} GiB", f"{fleet.ready_s:.0f} s",
         "yes" if fleet.will_do else "no")
        for fleet in fleets
    ]  # fmt: skip
    head = ("workers", "partitions", "accounts each", "of their capacity", "cores each, at least", "memory each", "start to ready",
            f"at most {BUSY:.0%}, ready within {BEARABLE_S} s")  # fmt: skip
    chosen = next((fleet for fleet in fleets if fleet.will_do), fleets[-1])
    each = max(1, min(CORES - SPARE_CORES, int(MEMORY_GIB * (1 - SPARE_MEMORY) / chosen.memory_gib)))
    return (
        _table(head, rows)
        + f"\nThe smallest of these that will do has {chosen.workers} workers and {chosen.workers * PARTITIONS_PER_WORKER} partitions: "
        f"on {ceil(chosen.workers / each) + 1} machines of {CORES} cores and {MEMORY_GIB} GiB, at most {each} workers on each, one "
        "machine more than needed.\n"
    )


def _broker(found: Measured) -> str:
    week = LOGINS_PER_S * AVERAGE_OF_PEAK * DAYS * 86_400 * found.login_bytes * COPIES / 1e12
    rows = [
        ("brokers' CPU, all copies", f"{LOGINS_PER_S * found.broker_cpu_us / 1e6 * COPIES:.1f} cores"),
        ("`logins`, in", f"{LOGINS_PER_S * found.login_bytes / 1e6:.0f} MB/s"),
        (f"`logins`, {DAYS} days, {COPIES} copies, not compressed, {AVERAGE_OF_PEAK:.0%} of the peak on average", f"{week:.1f} TB"),
        (f"changelog, compacted, {COPIES} copies", f"{ACCOUNTS * found.disk_bytes * COPIES / 1e9:.0f} GB, and up to a quarter more between compactions"),
    ]  # fmt: skip
    return _table(("Kafka, at the peak", "calculated"), rows)


def _table(head: tuple[object, ...], rows: Sequence[tuple[object, ...]]) -> str:
    marks = ("---", *["---:"] * (len(head) - 1))
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, marks, *rows)) + "\n"
