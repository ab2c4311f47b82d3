"""What a door measures of its commands, how a fault of ours is answered, and the numbers of weakforced's `stats`."""

import resource
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from streams.connectors.http_door import Call
from streams.connectors.usual_http import Command
from streams.connectors.weakforced import Reply, failure
from streams.metrics import DOOR_ANSWERS, DOOR_REFUSED, DOOR_SECONDS, Metric, Metrics

LOG = structlog.get_logger(__name__)

DENIALS = ("denied", "blacklisted")
FAULT = failure("a fault of loginwatch: see its log")


class DoorMeasures:
    """Wraps commands so that they are timed and a fault of ours becomes a proper answer."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._started_s = time.monotonic()
        self._count_refused = self.count_by(DOOR_REFUSED, "reason")

    def count_by(self, metric: Metric, label: str) -> Callable[[str], None]:
        """A function that counts by the value of the one label."""
        made: dict[str, Any] = {}

        def count(value: str) -> None:
            if value not in made:
                made[value] = self._metrics.of(metric, **{label: value})
            made[value].inc()

        return count

    def command(self, name: str, command: Command, fallback: Reply) -> Command:
        """The same command, timed; a fault of ours is answered with `fallback`."""
        seconds, clock = self._metrics.of(DOOR_SECONDS, command=name), time.perf_counter

        def timed(body: bytes, peer: str) -> Reply:
            start = clock()
            try:
                return command(body, peer)
            except Exception:  # the outermost loop of a request: a fault of ours must not become a malformed answer
                LOG.exception("a request could not be answered", command=name)
                self._count_refused("fault")
                return fallback
            finally:
                seconds.observe(clock() - start)

        return timed

    def call(self, name: str, call: Call) -> Call:
        """The same call, timed; a fault of ours is answered as a failure."""
        seconds, clock = self._metrics.of(DOOR_SECONDS, command=name), time.perf_counter

        async def timed(body: bytes, peer: str) -> tuple[int, bytes]:
            start = clock()
            try:
                return await call.run(body, peer)
            except Exception:  # the outermost loop of a request
                LOG.exception("a request could not be answered", command=name)
                self._count_refused("fault")
                return FAULT
            finally:
                seconds.observe(clock() - start)

        return Call(call.method, timed)

    def stats(self) -> bytes:
        """The body of weakforced's deprecated `stats`; what loginwatch does not count is empty."""
        counts: dict[str, int] = defaultdict(int)
        denied = 0
        for family in self._metrics.registry.collect():
            for sample in family.samples:
                if sample.name == f"{DOOR_SECONDS.name}_count":
                    counts[sample.labels["command"]] = int(sample.value)
                elif sample.name == f"{DOOR_ANSWERS.name}_total" and sample.labels["answer"] in DENIALS:
                    denied += int(sample.value)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return orjson.dumps(
            {
                "reports": counts["report"],
                "allows": counts["allow"],
                "denieds": denied,
                "user-msec": int(usage.ru_utime * 1000),
                "sys-msec": int(usage.ru_stime * 1000),
                "uptime": int(time.monotonic() - self._started_s),
                "perfstats": {},
                "commandstats": dict(counts),
                "customstats": {},
            }
        )
