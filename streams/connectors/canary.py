"""
The canary: an account that is nobody's is logged in from too many networks every few minutes, through the front door.

Settings: `canary_*`. Everything between a login and its refusal must work for a round to go well: gateway, Kafka, worker,
the gateway's view of `blocks`. Read on in `canary_round` (one round), `canary_rules` (account, policy, networks),
`canary_door` (the gateway), `canary_orders` (the worker).

Decision: rounds follow one another in one thread, and each opens its own connections, so none can overlap another or
suffer from what it left. Whatever fails is an outcome with a reason, in the metrics and in /health/ready; only settings
that cannot work end the process. The other processes pass the account over (`Settings.is_canary`).
"""

import signal
import threading
from dataclasses import dataclass, field
from time import monotonic, time_ns

import structlog

from streams.bus.health import HealthServer
from streams.connectors.canary_door import CanaryDoor
from streams.connectors.canary_round import INTERRUPTED, OK, Result, play
from streams.errors import ConfigurationError
from streams.metrics import (
    CANARY_BLOCK_SECONDS,
    CANARY_INTERVAL,
    CANARY_LAST_OK,
    CANARY_LOGINS,
    CANARY_REFUSAL_SECONDS,
    CANARY_REOPENING_SECONDS,
    CANARY_ROUNDS,
    Metrics,
)
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings

log = structlog.get_logger(__name__)


@dataclass
class Canary:
    """Plays rounds and keeps count of them. Raises ConfigurationError when the settings cannot work."""

    settings: Settings
    metrics: Metrics = field(default_factory=lambda: Metrics("canary"))
    stopping: threading.Event = field(default_factory=threading.Event)
    last: Result | None = None
    """The last round that was played to its end."""

    def __post_init__(self) -> None:
        if not self.settings.canary_account:
            raise ConfigurationError(
                "there is no canary: set canary_account to a name that is nobody's, for instance"
                " loginwatch-canary@example.org, for every process; then run `loginwatch canary prepare`"
            )
        with CanaryDoor(self.settings):
            pass  # its settings are looked at now, not in every round
        self._codec = Codec(from_settings(self.settings, patience_s=0))
        self.metrics.of(CANARY_INTERVAL).set(self.settings.canary_interval)

    def once(self) -> Result:
        """Play one round and count it. Never raises."""
        try:
            result = play(self.settings, self._codec, self.stopping)
        except Exception as error:
            log.exception("a round of the canary failed by a defect")
            sentence = f"a defect: {type(error).__name__}: {error}; its log has the place"
            result = Result(self.settings.canary_account, _now_ms(), "fault", sentence)
        if result.outcome != INTERRUPTED:
            self._count(result)
            self.last = result
        return result

    def run(self) -> None:
        """Play rounds until `stopping`."""
        while not self.stopping.is_set():
            began_s, before = monotonic(), self.last
            self._tell(before, self.once())
            self.stopping.wait(max(0.0, self.settings.canary_interval - (monotonic() - began_s)))

    def problems(self) -> list[str]:
        """Why logins may not be found and refused now; empty = they were, in the last round."""
        if self.last is None:
            return ["the canary's first round is not over yet"]
        return [] if self.last.outcome == OK else [f"{self.last.outcome}: {self.last.reason}"]

    def remarks(self) -> list[str]:
        """What was measured last."""
        return [] if self.last is None or self.last.outcome != OK else [in_words(self.last)]

    def _count(self, result: Result) -> None:
        self.metrics.of(CANARY_ROUNDS, outcome=result.outcome).inc()
        self.metrics.of(CANARY_LOGINS).inc(result.logins)
        for metric, seconds in (
            (CANARY_BLOCK_SECONDS, result.blocked_s),
            (CANARY_REFUSAL_SECONDS, result.refused_s),
            (CANARY_REOPENING_SECONDS, result.reopened_s),
        ):
            if seconds is not None:
                self.metrics.of(metric).observe(seconds)
        if result.outcome == OK:
            self.metrics.of(CANARY_LAST_OK).set(_now_ms() / 1000)

    @staticmethod
    def _tell(before: Result | None, now: Result) -> None:
        """A line when a round goes wrong otherwise than the one before, and when rounds go well again."""
        was = OK if before is None else before.outcome
        if now.outcome in (was, INTERRUPTED):
            log.debug("a round of the canary is over", outcome=now.outcome)
        elif now.outcome == OK:
            log.info("the canary is found and refused again", **_seconds(now))
        else:
            log.warning("the canary failed", outcome=now.outcome, reason=now.reason)


def in_words(result: Result) -> str:
    """
    A result that went well, as a sentence's end.

    >>> in_words(Result("c@example.org", 0, logins=4, blocked_s=0.05, refused_s=0.062, reopened_s=0.05))
    '4 logins, blocked after 0.05 s, refused after 0.06 s, open again 0.05 s after the reset'
    """
    return (
        f"{result.logins} logins, blocked after {result.blocked_s:.2f} s, refused after {result.refused_s:.2f} s,"
        f" open again {result.reopened_s:.2f} s after the reset"
    )


def serve(settings: Settings) -> int:
    """Play rounds until SIGTERM or SIGINT; the exit code. Raises ConfigurationError for settings that cannot work."""
    canary = Canary(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: canary.stopping.set())
    health = HealthServer(
        settings.canary_health_listen,
        metrics=canary.metrics,
        ready=canary.problems,
        remarks=canary.remarks,
        setting="canary_health_listen",
    )
    with health:
        log.info("the canary starts", account=settings.canary_account, health=health.address)
        canary.run()
    log.info("the canary stopped")
    return 0


def _seconds(result: Result) -> dict[str, float | None]:
    return {"blocked_s": result.blocked_s, "refused_s": result.refused_s}


def _now_ms() -> int:
    return time_ns() // 1_000_000
