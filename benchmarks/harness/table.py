"""
Tables of the documentation, from the results: `python -m benchmarks table`.

A page holds `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`; what stands between them is replaced. Where a benchmark has no
results yet, the page says so: nothing is shown as measured that was not.
"""

import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import sizing
from benchmarks.harness.results import load

ROOT = Path(__file__).parents[2]
PAGES = ("benchmarks/README.md", "docs/sizing.md")
MARKED = re.compile(r"(<!-- bench:([\w-]+) -->\n).*?(<!-- /bench:\2 -->)", re.DOTALL)
Result = dict[str, Any]


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; everything but the first column to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, marks, *rows]) + "\n"


def spread(figure: dict[str, float], digits: int = 0, unit: str = "") -> str:
    """Median, and least to greatest where the runs differ."""
    median, least, most = (f"{figure[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{median}{unit}" if least == most else f"{median}{unit} ({least} to {most})"


def worker(result: Result) -> str:
    ours = next((row for row in result["rows"] if row["system"] == "loginwatch, common job"), None)
    rows = []
    for row in result["rows"]:
        records = row["changelog_records"]["median"] / row["logins"]
        times = f"{row['cpu_us']['median'] / ours['cpu_us']['median']:.1f}" if ours else "-"
        rows.append([row["system"], row["job"], f"{row['logins']:,}", spread(row["logins_per_s"]), spread(row["cpu_us"], 1), times,
                     f"{row['broker_cpu_us']['median']:.1f}", f"{row['peak_mib']['median']:,.0f}", f"{records:.2f}"])  # fmt: skip
    head = [
        "system",
        "job",
        "logins",
        "logins/s",
        "CPU µs per login",
        "times ours",
        "broker's µs",
        "peak MiB",
        "changelog records per login",
    ]
    return (
        markdown(head, rows)
        + f"\n{result['log']}, {result['rounds']} interleaved rounds: median (least to greatest).\n"
    )


def latency(result: Result) -> str:
    rows = [
        [
            row["load"],
            f"{row['rate_per_s']:,}",
            row["blocks"],
            *(spread(row[name], 0) for name in ("p50_ms", "p99_ms", "reader_p50_ms", "reader_p99_ms")),
            *(row[f"{who}_cores"]["median"] for who in ("worker", "kafka", "sender")),
        ]
        for row in result["rows"]
    ]
    head = ["load", "logins/s", "blocks", "append to block, p50 ms", "p99 ms", "due to reader, p50 ms", "p99 ms",
            "cores: worker", "Kafka", "sender"]  # fmt: skip
    disturbed = [
        [row["what"], f"{row['rate_per_s']:,}", row["current_again_s"], f"{row['longest_ms']:,}"]
        for row in result["disturbed"]
    ]
    return (
        markdown(head, rows)
        + f"\nCapacity of this machine with sender, broker and reader beside the worker: {result['capacity_per_s']:,} logins/s.\n\n"
        + markdown(["disturbance at 50 %", "logins/s", "current again after s", "longest wait ms"], disturbed)
    )


CPU_OF_STATE = (
    "engine_cpu_us",
    "morning_cpu_us",
    "morning_records",
    "peak_cpu_us",
    "peak_records",
    "backlog_cpu_us",
    "backlog_records",
)


def state(result: Result) -> str:
    rows = [
        [f"{row['accounts']:,}", row["networks"], row["packed_bytes"], row["memory_bytes_per_account"],
         *(spread(row[name], 2) if name in row else "-" for name in CPU_OF_STATE),
         row.get("disk_bytes_per_account", "-"),
         row.get("ready_s", "-"), f"{row['worker_peak_mib']:,}" if "worker_peak_mib" in row else "-"]
        for row in [*result["rows"], result["many_networks"]]
    ]  # fmt: skip
    head = ["accounts", "networks each", "packed bytes", "memory bytes", "engine's CPU µs per login",
            "worker's, 100,000 logins/s", "its changelog records", "250,000 logins/s", "its changelog records",
            "all at once", "its changelog records", "changelog bytes on disk", "worker ready after s", "worker's peak MiB"]  # fmt: skip
    return markdown(head, rows)


def recovery(result: Result) -> str:
    rows = [
        [
            row["system"],
            spread(row["ready_s"], 1),
            spread(row["accounts_per_s"]),
            spread(row["cpu_s"], 1),
            spread(row["peak_mib"]),
        ]
        for row in result["rows"]
    ]
    table = markdown(["system", "start to ready, s", "accounts/s", "CPU s", "peak MiB"], rows)
    return table + f"\n{result['accounts']:,} accounts of three networks.\n"


def scale(result: Result) -> str:
    rows = [
        [
            row["workers"],
            spread(row["logins_per_s"]),
            spread(row["cpu_us"], 1),
            spread(row["broker_cpu_us"], 1),
            spread(row["cores_used"], 2),
        ]
        for row in result["rows"]
    ]
    return markdown(["workers", "logins/s", "workers' CPU µs per login", "broker's µs", "cores in use"], rows)


def view(result: Result) -> str:
    rows = [[row["what"], spread(row["records_per_s"]), spread(row["cpu_us"], 2)] for row in result["rows"]]
    return markdown(["", "records/s", "CPU µs per record"], rows)


def codec(result: Result) -> str:
    names = (
        "avro_bytes",
        "write_avro_us",
        "read_avro_us",
        "write_confluent_us",
        "read_confluent_us",
        "json_bytes",
        "write_json_us",
        "read_json_us",
    )
    head = [
        "record",
        *(name.removesuffix("_us").replace("_", " ") + (", µs" if name.endswith("_us") else "") for name in names),
    ]
    table = markdown(head, [[row["record"], *(row[name] for name in names)] for row in result["rows"]])
    return table + f"\nThe worker's own reader of a Login: {result['login_fast_reader_us']} µs.\n"


def doors(result: Result) -> str:
    """The spread where the goal is, medians elsewhere."""
    medians = ("due_p50", "due_p999", "due_max", "sent_p50", "late_p99")
    rows = []
    for row in result["rows"]:
        p50, p999, most, sent_p50, late = (f"{row[name]['median']:.2f}" for name in medians)
        rows.append([row["what"], p50, spread(row["due_p99"], 2), p999, most, sent_p50, spread(row["sent_p99"], 2), late,
                     f"{row['cpu_us']['median']:.0f}", f"{row['mib']['median']:.0f}"])  # fmt: skip
    head = ["", "from due: p50 ms", "p99", "p99.9", "max", "from sent: p50 ms", "p99", "generator late, p99",
            "CPU µs per request", "peak MiB"]  # fmt: skip
    return markdown(head, rows) + (
        f"\n{result['rate']:,} requests/s for {result['seconds']:g} s, {result['rounds']} interleaved rounds: median (least to "
        f"greatest); {result['blocks']:,} blocked accounts, {result['changes_per_s']} changes of blocks/s. The view itself takes "
        f"in {result['view_applies_per_s']:,} blocks/s.\n"
    )


def plain(result: Result) -> str:
    """A benchmark of one row: its figures one below the other."""
    return markdown(["", ""], [[name.replace("_", " "), value] for name, value in result.items()])


def panel(result: Result) -> str:
    made: str = import_module("benchmarks.panel").table(result)  # only here: it brings the panel's libraries with it
    return made


TABLES: dict[str, Callable[[Result], str]] = {
    "worker": worker, "latency": latency, "state": state, "recovery": recovery, "scale": scale, "codec": codec, "view": view,
    "doors": doors, "logs": plain, "replay": plain, "panel": panel,
}  # fmt: skip


def provenance(record: Result) -> str:
    """Where and of what this was measured, in a line."""
    machine, versions = record["machine"], record["versions"]
    changed = " with changes" if record["changed"] else ""
    return (
        f"\n{record['at'][:10]}, commit {record['commit']}{changed}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, load {machine['load_average']:.1f} at the end; Python {versions['python']}, "
        f"Kafka {versions['kafka']}, librdkafka {versions['librdkafka']}, seed {record['seed']}.\n"
    )


def text(name: str) -> str:
    """What belongs between the marks of this name."""
    if name == "sizing":
        rests_on = load("worker")
        return sizing.text(load) + (provenance(rests_on) if rests_on is not None else "")
    record = load(name)
    if record is None:
        return f"Not measured yet: `python -m benchmarks {name}`.\n"
    return TABLES[name](record["result"]) + provenance(record)


def write_all() -> int:
    """Fill every mark of every page; returns an exit code."""
    for page in PAGES:
        path = ROOT / page
        before = path.read_text(encoding="utf-8")
        unknown = [name for _, name, _ in MARKED.findall(before) if name not in {*TABLES, "sizing"}]
        if unknown:
            sys.stderr.write(f"{page}: there is no benchmark {', '.join(unknown)}\n")
            return 1
        after = MARKED.sub(lambda found: f"{found[1]}\n{text(found[2])}\n{found[3]}", before)
        path.write_text(after, encoding="utf-8")
        sys.stdout.write(f"{page}: {len(MARKED.findall(before))} tables\n")
    return 0
