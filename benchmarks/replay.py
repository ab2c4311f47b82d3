"""
Replay: logins per second and core, read from a file, judged by the shipped engine with rules and geo database.

Beside it, in the same run and interleaved, the least that any program must do with these lines: parse the JSON of each. The
ratio of the two says more than either on a machine that others use too.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import orjson

from streams.geo import Places
from streams.replay.replay import Replay
from streams.settings import Settings
from streams.simulator.run import Recipe, write_geo, write_jsonl

RULES = (
    {"scope": "everyone", "time_window": 60, "allowed_ips": 5, "allowed_countries": 2, "block_time": 60},
    {"scope": "domain:example.org", "allowed_ips": 8},
)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Logins per second of CPU time: minimum, median, maximum of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        geo, log = Path(folder, "world.mmdb"), Path(folder, "logins.jsonl")
        write_geo(geo)
        _write_log(log, options)
        lines = log.read_bytes().splitlines(keepends=True)
        whole, parsed, outputs = [], [], 0
        for _ in range(options.rounds):
            parsed.append(len(lines) / _parse_only(lines))
            seconds, outputs = _replay(lines, geo)
            whole.append(len(lines) / seconds)
    return {
        "lines": len(lines),
        "outputs": outputs,
        "lines_per_cpu_second": _spread(whole),
        "microseconds_per_line": round(1e6 / statistics.median(whole), 2),
        "parse_only_lines_per_cpu_second": _spread(parsed),
    }


def _write_log(path: Path, options: argparse.Namespace) -> None:
    hours = 24
    rate = options.logins / (hours * 3600)
    recipe = Recipe(seed=options.seed, accounts=options.accounts, duration_ms=hours * 3_600_000, rate=rate)
    write_jsonl(path, recipe)


def _replay(lines: list[bytes], geo: Path) -> tuple[float, int]:
    replay = Replay(Settings(), Places((str(geo),)))
    for line in _policies():
        replay.read(line)
    start = process_time()
    outputs = 0
    for line in lines:
        outputs += len(replay.read(line))
    return process_time() - start, outputs


def _policies() -> Iterator[bytes]:
    for rule in RULES:
        yield orjson.dumps({"topic": "policies", "value": {**rule, "actor": "benchmark", "time": 0}})


def _parse_only(lines: list[bytes]) -> float:
    start = process_time()
    for line in lines:
        orjson.loads(line)
    return process_time() - start


def _spread(values: list[float]) -> str:
    return f"{min(values):,.0f} / {statistics.median(values):,.0f} / {max(values):,.0f}"
