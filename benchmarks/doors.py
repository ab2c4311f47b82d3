"""
The doors under load: latency at a stated rate with a million blocks in the view, while blocks change.

The gateway at `allow`, and with all that Dovecot asks of a login; the Postfix door at RCPT, and with all that Postfix asks of a
message; beside them, by the same generator in the same run, a process that only echoes: what machine and generator cost
without a door. Systems take turns in every round; each has a fresh process and a fresh embedded broker, since that one walks over
all records that it keeps for each fetch: after two minutes of changes it took twice the CPU time. An answer that is wrong or
missing ends the benchmark.
"""

import argparse
import random
import statistics
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from benchmarks.harness import door_requests
from benchmarks.harness.apart import Apart
from benchmarks.harness.door_processes import CHANGES_PER_S, broker, echo, gateway_door, postfix_door
from benchmarks.harness.open_loop import Found, Request, Wire, ask
from benchmarks.harness.results import quantile, summary
from streams.settings import Settings

WARM_UP_S = 1.0
HTTP = Wire(b"HTTP/1.1 200", b"}", b'"status":-1')
POLICY = Wire(b"action=", b"\n\n", b"REJECT")
ECHOED = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{"status":0,"msg":"ok"}'
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


class System(NamedTuple):
    """One row: what is asked of which process."""

    what: str
    process: Callable[..., None]
    wire: Wire
    requests: Callable[[int, random.Random], Iterator[Request]]


SYSTEMS = (
    System("echo: machine and generator alone", echo, HTTP, door_requests.echoed),
    System("gateway, allow", gateway_door, HTTP, door_requests.questions),
    System("gateway, logins: allow, allow, report", gateway_door, HTTP, door_requests.logins),
    System("Postfix door, RCPT", postfix_door, POLICY, door_requests.recipients),
    System("Postfix door, messages: RCPT, end-of-data", postfix_door, POLICY, door_requests.messages),
)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows of latencies in milliseconds, and what they were measured with."""
    runs: dict[str, list[dict[str, float]]] = {system.what: [] for system in SYSTEMS}
    loaded: list[float] = []
    for round_ in range(options.rounds):
        for system in SYSTEMS:
            with Apart(broker, options.blocks) as changing:
                figures, per_second = _measure(system, changing.ready, options, round_)
            runs[system.what].append(figures)
            loaded += [per_second] if per_second else []
    return {
        "blocks": options.blocks,
        "rate": options.rate,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "changes_per_s": CHANGES_PER_S,
        "view_applies_per_s": round(statistics.median(loaded)),
        "rows": [{"what": what, **summary(found)} for what, found in runs.items()],
    }


def _measure(
    system: System, settings: Settings, options: argparse.Namespace, round_: int
) -> tuple[dict[str, float], float]:
    """Figures of one process, and how many blocks per second its view took in."""
    warm_up = int(options.rate * WARM_UP_S)
    asked = system.requests(options.blocks, random.Random(f"{options.seed}/{round_}"))
    requests = list(islice(asked, warm_up + int(options.rate * options.seconds)))
    arguments = (ECHOED,) if system.process is echo else (settings, options.blocks)
    with Apart(system.process, *arguments) as door:
        port, per_second = door.ready
        used_s = door.cpu_s
        found = ask(port, system.wire, requests, options.rate, warm_up)
        used_s = door.cpu_s - used_s
        _require_right(system, requests, found)
        return {**_latencies(found), "cpu_us": used_s / len(requests) * 1e6, "mib": door.memory_mib}, per_second


def _require_right(system: System, requests: list[Request], found: Found) -> None:
    expected = sum(request.denied for request in requests)
    if found.wrong or found.unanswered or found.denied != expected:
        raise RuntimeError(
            f"{system.what}: of {len(requests)} answers {found.wrong} were wrong and {found.unanswered} are missing; "
            f"{found.denied} denied, {expected} should have been"
        )


def _latencies(found: Found) -> dict[str, float]:
    """Milliseconds: from when a request was due, from when it was sent, and by how much the generator was late."""
    late = [due - sent for due, sent in zip(found.due, found.sent, strict=True)]
    figures = {f"{kind}_{at}": 1000 * quantile(times, share) for kind, times in (("due", found.due), ("sent", found.sent))
               for at, share in SHARES.items()}  # fmt: skip
    return {**figures, "due_max": 1000 * max(found.due), "late_p99": 1000 * quantile(late, SHARES["p99"])}
