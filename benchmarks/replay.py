"""
Replay: logins per second and core, read from a file, judged by the shipped engine with rules and geo database.

Three jobs: a simulated day for an engine that knows nobody, the day once more for one that knows it by then, and the same
day as Avro records, which is what a worker's engine gets. Beside them, in the same run and interleaved, the least that any
program must do with these lines: parse the JSON of each. The ratio says more than either on a machine that others use too.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import orjson

from streams.engine.engine import Engine
from streams.geo import Places
from streams.records.codec import Codec
from streams.records.json_form import from_json
from streams.replay.replay import Replay
from streams.settings import Settings
from streams.simulator.run import Recipe, write_geo, write_jsonl
from streams.topology import BY_NAME

DAY_MS = 86_400_000
BATCH = 5_000
"""Records of one of the worker's polls while it catches up."""
Record = tuple[str, int, bytes, bytes]
"""Topic, timestamp, key, value."""
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
        again, records = [_next_day(line) for line in lines], _records(lines)
        new, known, avro, parsed, outputs = [], [], [], [], 0
        for _ in range(options.rounds):
            parsed.append(len(lines) / _parse_only(lines))
            replay = _with_policies(geo)
            seconds, outputs = _replay(replay, lines)
            new.append(len(lines) / seconds)
            known.append(len(lines) / _replay(replay, again)[0])
            avro.append(len(lines) / _process(_with_policies(geo).engine, records))
    return {
        "lines": len(lines),
        "outputs": outputs,
        "lines_per_cpu_second": _spread(new),
        "microseconds_per_line": round(1e6 / statistics.median(new), 2),
        "second_day_lines_per_cpu_second": _spread(known),
        "avro_records_per_cpu_second": _spread(avro),
        "parse_only_lines_per_cpu_second": _spread(parsed),
    }


def _write_log(path: Path, options: argparse.Namespace) -> None:
    hours = 24
    rate = options.logins / (hours * 3600)
    recipe = Recipe(seed=options.seed, accounts=options.accounts, duration_ms=hours * 3_600_000, rate=rate)
    write_jsonl(path, recipe)


def _with_policies(geo: Path) -> Replay:
    replay = Replay(Settings(), Places((str(geo),)))
    for line in _policies():
        replay.read(line)
    return replay


def _next_day(line: bytes) -> bytes:
    parsed = orjson.loads(line)
    parsed["timestamp"] += DAY_MS
    parsed["value"]["time"] += DAY_MS
    return orjson.dumps(parsed) + b"\n"


def _records(lines: list[bytes]) -> list[Record]:
    codec, records = Codec(), []
    for line in lines:
        parsed = orjson.loads(line)
        record, value = BY_NAME[parsed["topic"]].record, parsed["value"]
        raw = codec.encode(record, from_json(record, value))
        records.append((parsed["topic"], parsed["timestamp"], value["account"].encode(), raw))
    return records


def _process(engine: Engine, records: list[Record]) -> float:
    start = process_time()
    for offset, (topic, now_ms, key, raw) in enumerate(records, 1):
        engine.process(topic, 0, offset, now_ms, key, raw)
        if offset % BATCH == 0:
            engine.take()
    return process_time() - start


def _replay(replay: Replay, lines: list[bytes]) -> tuple[float, int]:
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
