"""What a benchmark found, with everything that one must know to believe it, as JSON."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka

FOLDER = Path(__file__).parents[1] / "results"
PACKAGES = ("confluent-kafka", "aiokafka", "faust-streaming", "fastavro", "orjson", "uvloop")
ROOT = Path(__file__).parents[2]


def spread(values: Iterable[float], digits: int = 1) -> dict[str, float]:
    """Median, least and greatest of the runs."""
    runs = sorted(values)
    rounded = {"median": statistics.median(runs), "min": runs[0], "max": runs[-1]}
    return {name: round(value, digits) if digits else round(value) for name, value in rounded.items()}


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """The spread of every figure over the runs."""
    return {name: spread((run[name] for run in runs), 0 if runs[0][name] > 1000 else 2) for name in runs[0]}


def quantile(values: Iterable[float], share: float) -> float:
    """The value that `share` of all are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def write(name: str, options: Mapping[str, Any], result: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """`<folder>/<name>.json`; what was there is replaced."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    record = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **commit(),
        "seed": options["seed"],
        "options": dict(options),
        "machine": machine(),
        "versions": versions(),
        "result": result,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """What was last written; None if nothing was."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def commit() -> dict[str, Any]:
    """The commit of this tree, and whether the tree differs from it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return {"commit": "unknown", "changed": None}
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    status = subprocess.run(
        ["git", "status", "--porcelain", "--", "streams", "benchmarks", "deploy", ":!benchmarks/results"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {"commit": head.stdout.strip() or "unknown", "changed": bool(status.stdout.strip())}


def machine() -> dict[str, Any]:
    """Processor, cores, memory, kernel, and how busy it was; no names."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 1024**2) if memory else None,
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Of everything that has a part in the figures."""
    found = {"python": platform.python_version(), "librdkafka": confluent_kafka.libversion()[0]}
    found.update({name: importlib.metadata.version(name) for name in PACKAGES})
    found["kafka"] = _first(r"<kafka.version>([^<]+)<", (ROOT / "deploy" / "kafka" / "pom.xml").read_text())
    found["quixstreams"] = _first(
        r"^quixstreams==(\S+)", (ROOT / "benchmarks" / "peers" / "requirements.lock").read_text()
    )
    if shutil.which("java"):
        told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
        found["java"] = _first(r'version "([^"]+)"', told)
    return found


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else "unknown"
