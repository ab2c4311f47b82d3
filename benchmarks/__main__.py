"""Run the benchmarks by name, or all: `python -m benchmarks [replay] [logs] [--json]`."""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import doors, logs, replay

ALL: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "replay": replay.run,
    "logs": logs.run,
    "doors": doors.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="which; all by default")
    parser.add_argument("--logins", type=int, default=1_000_000)
    parser.add_argument("--log-lines", type=int, default=300_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--blocks", type=int, default=1_000_000, help="doors: blocks in the view")
    parser.add_argument("--rate", type=int, default=5_000, help="doors: requests per second")
    parser.add_argument("--seconds", type=float, default=10, help="doors: how long")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {name: ALL[name](options) for name in options.names or ALL}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "seed": options.seed}
    if options.json:
        print(json.dumps({**machine, "results": results}, indent=1))
        return 0
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
