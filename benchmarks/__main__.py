"""Run benchmarks by name, or all, and keep what they found: `python -m benchmarks [NAME ...]`."""

import argparse
import importlib
import sys
import time
import traceback
from typing import Any

from benchmarks.harness import results, table

SIZES: dict[str, dict[str, Any]] = {
    "worker": {"logins": 1_000_000, "accounts": 100_000, "rounds": 3, "systems": ""},
    "latency": {"accounts": 100_000, "seconds": 5},
    "state": {"states": "100000,1000000,5000000", "logins": 1_000_000},
    "recovery": {"accounts": 1_000_000, "rounds": 3},
    "scale": {"logins": 500_000, "accounts": 50_000, "rounds": 1},
    "codec": {"records": 5_000, "rounds": 5},
    "view": {"blocks": 1_000_000, "rounds": 3},
    "doors": {"blocks": 1_000_000, "rate": 5_000, "seconds": 10, "rounds": 3},
    "logs": {"log_lines": 300_000, "rounds": 3},
    "replay": {"logins": 400_000, "accounts": 10_000, "rounds": 2},
}
"""Every benchmark, in the order in which all are run, with the sizes of the published figures."""
ONLY_BY_NAME = {"panel": {"incidents": 1_000_000, "accounts": 100_000, "domains": 1_000, "rounds": 5}}
"""Not part of all: it takes long, and nothing else stands beside it."""
SMOKE = {"logins": 500_000, "accounts": 50_000, "rounds": 3, "record": False}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(SIZES)}; by name only: panel, smoke, table"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="smoke: write the ratios that later runs are held to")
    parser.add_argument("--no-results", action="store_true", help="print only, leave benchmarks/results alone")
    sizes = {
        name: value
        for size in [*SIZES.values(), *ONLY_BY_NAME.values(), SMOKE]
        for name, value in size.items()
        if name != "record"
    }
    for name, value in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help="instead of the benchmark's own size")
    given = parser.parse_args()
    if given.names == ["table"]:
        return table.write_all()
    if given.names == ["smoke"]:
        return _module("smoke").main(_options("smoke", SMOKE, given))
    known = {**SIZES, **ONLY_BY_NAME}
    names = given.names or list(SIZES)
    for name in names:
        if name not in known:
            parser.error(f"there is no benchmark {name}: {', '.join(known)}, smoke, table")
    failed = [name for name in names if not _run(name, _options(name, known[name], given), keep=not given.no_results)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _run(name: str, options: argparse.Namespace, *, keep: bool) -> bool:
    """Whether it came to figures; one that did not keeps no other from running."""
    began = time.monotonic()
    try:
        result = _module(name).run(options)
    except Exception:  # noqa: BLE001 - shown, and counted
        traceback.print_exc()
        return False
    print(table.TABLES[name](result))
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if keep:
        results.write(name, vars(options), result)
    return True


def _options(name: str, sizes: dict[str, Any], given: argparse.Namespace) -> argparse.Namespace:
    """The benchmark's own sizes, and what the command line says instead."""
    said = {size: value for size in sizes if (value := getattr(given, size)) is not None}
    return argparse.Namespace(name=name, **{**sizes, "seed": given.seed, **said})


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(main())
