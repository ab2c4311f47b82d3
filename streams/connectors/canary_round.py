"""
One round of the canary: log in until it must be found, wait for its block and for the door to refuse it, and tidy up.

Times are measured on this machine's monotonic clock, from right before the login that must be found; nothing is compared
with the clock of another. What a round finds wrong is a Result with a reason, and what it began it cleans up.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic, time_ns

from confluent_kafka import KafkaException

from streams.bus.tail import Tail
from streams.connectors.canary_door import CanaryDoor, SetbackError
from streams.connectors.canary_orders import Orders
from streams.connectors.canary_rules import (
    View,
    addresses,
    is_clean,
    last_login_age_ms,
    shortfalls,
    strangers,
    why_not_blocked,
)
from streams.core.refusal import Refused
from streams.errors import (
    BrokerUnavailableError,
    DeliveryError,
    LoginwatchError,
    RegistryUnavailableError,
    TopicError,
)
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

OK = "ok"
INTERRUPTED = "interrupted"
FIRST_LOOK_S, LONGEST_LOOK_S = 0.005, 0.2
"""How long to wait between two questions at the door: at first hardly, so that the times are exact."""
KAFKA = (BrokerUnavailableError, TopicError, DeliveryError, KafkaException)


@dataclass(frozen=True)
class Result:
    """How a round went: an outcome of the metric, why (a sentence; empty when it went well), and seconds."""

    account: str
    began: int
    """Milliseconds since the epoch."""
    outcome: str = OK
    reason: str = ""
    logins: int = 0
    blocked_s: float | None = None
    refused_s: float | None = None
    reopened_s: float | None = None


def play(settings: Settings, codec: Codec, stopping: Event) -> Result:
    """Play one round, until it is over or `stopping`. Raises nothing but what is a defect, or ConfigurationError."""
    round_ = Round(settings, codec, stopping)
    try:
        with (
            CanaryDoor(settings) as door,
            Orders(settings, codec) as orders,
            Tail(settings, [BLOCKS], start="end") as blocks,
        ):
            round_.go(door, orders, blocks)
    except SetbackError as setback:
        return round_.failed(setback.outcome, setback)
    except Refused as refusal:
        return round_.failed(refusal.reason, refusal)
    except RegistryUnavailableError as error:
        return round_.failed("registry", error)
    except KAFKA as error:
        return round_.failed("kafka", error)
    return round_.result


class Round:
    """A round while it lasts; `result` grows with it."""

    def __init__(self, settings: Settings, codec: Codec, stopping: Event) -> None:
        self.result = Result(settings.canary_account, time_ns() // 1_000_000)
        self._settings = settings
        self._codec = codec
        self._stopping = stopping
        self._account = settings.canary_account
        self._timeout_s = settings.canary_timeout
        self._block = ""
        """The id of the block that was seen."""

    def failed(self, outcome: str, error: Exception) -> Result:
        """The result so far, with what went wrong."""
        return replace(self.result, outcome=outcome, reason=str(error))

    def go(self, door: CanaryDoor, orders: Orders, blocks: Tail) -> None:
        """All of it. Raises what `play` makes a Result of."""
        places = self._prepare(orders)
        try:
            last_s = self._log_in(door, places)
            self._watch(door, blocks, places[0], last_s)
            if self.result.blocked_s is None:
                raise SetbackError(*why_not_blocked(orders.ask(), places))
            if self.result.refused_s is None:
                raise SetbackError("not_refused", self._not_refused())
        except BaseException:
            with suppress(LoginwatchError, KafkaException):
                orders.reset()
            raise
        self._reopen(door, orders, places[0])

    def _prepare(self, orders: Orders) -> list[str]:
        """Look whether the account is nobody's and its policy fits, and tidy up what was left: from where to log in."""
        view = orders.ask()
        stranger = strangers(view, self._settings.canary_networks)
        if stranger:
            raise SetbackError(
                "not_ours",
                f"{self._account} is used by somebody: {stranger}. Nothing was done; set canary_account to a name that is nobody's",
            )
        lacking = shortfalls(view["policy"], self._timeout_s)
        if lacking:
            raise SetbackError(
                "policy",
                f"the policy of {self._account} is not one for a canary: {'; '.join(lacking)}. Run `loginwatch canary prepare`",
            )
        places = addresses(self._settings.canary_networks, view["policy"])
        if not is_clean(view):
            self._clean(orders, view)
        return places

    def _clean(self, orders: Orders, view: View) -> None:
        """An earlier round was broken off; unless it is another canary's, which is under way."""
        age_ms = last_login_age_ms(view)
        if age_ms is not None and age_ms < 1000 * self._timeout_s:
            raise SetbackError(
                "busy",
                f"{self._account} logged in {max(0, age_ms) / 1000:.0f} s ago: another canary is at work, or one was broken off;"
                " only one may run",
            )
        orders.reset()
        if not is_clean(orders.ask()):
            raise SetbackError("not_lifted", f"the worker has not obeyed the order to reset {self._account}")

    def _log_in(self, door: CanaryDoor, places: Sequence[str]) -> float:
        """Log in from each place: when the last login began."""
        if not self._until(lambda: door.lets_in(self._account, places[0])):
            raise SetbackError("not_lifted", self._refused_before(places[0]))
        began_s = monotonic()
        for place in places:
            if not door.lets_in(self._account, place):
                raise SetbackError("not_lifted", self._refused_before(place))
            began_s = monotonic()
            door.report(self._account, place)
            self.result = replace(self.result, logins=self.result.logins + 1)
        return began_s

    def _watch(self, door: CanaryDoor, blocks: Tail, place: str, last_s: float) -> None:
        """Wait for the block and the refusal, each noted when it is seen."""

        def look() -> bool:
            for record in blocks.read(FIRST_LOOK_S):
                if record.key == self._account.encode() and record.value is not None:
                    self._see(self._codec.decode(BLOCKS.record, record.value), monotonic() - last_s)
            if self.result.refused_s is None and not door.lets_in(self._account, place):
                self.result = replace(self.result, refused_s=monotonic() - last_s)
            return None not in (self.result.blocked_s, self.result.refused_s)

        self._until(look)

    def _see(self, block: View, after_s: float) -> None:
        if block["state"] == "blocked" and not self._block:
            self._block = block["id"]
            self.result = replace(self.result, blocked_s=after_s)
        elif block["state"] == "open" and block["id"] == self._block:
            raise SetbackError("busy", f"{block['actor']} lifted the block of {self._account}: only one canary may run")

    def _reopen(self, door: CanaryDoor, orders: Orders, place: str) -> None:
        """Reset the account, and wait until the door lets it in and the worker holds nothing of it."""
        began_s = monotonic()
        orders.reset()
        if not self._until(lambda: door.lets_in(self._account, place)):
            raise SetbackError(
                "not_lifted",
                f"the gateway still refuses {self._account} {self._timeout_s} s after the order to reset it",
            )
        self.result = replace(self.result, reopened_s=monotonic() - began_s)
        if not is_clean(orders.ask()):
            raise SetbackError("not_lifted", f"the worker has not obeyed the order to reset {self._account}")

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Wait for it at most `canary_timeout`: has it come? Raises SetbackError when told to stop."""
        deadline_s, pause_s = monotonic() + self._timeout_s, FIRST_LOOK_S
        while not condition():
            if monotonic() > deadline_s:
                return False
            if self._stopping.wait(pause_s):
                raise SetbackError(INTERRUPTED, "told to stop before the round was over")
            pause_s = min(1.1 * pause_s, LONGEST_LOOK_S)
        return True

    def _refused_before(self, place: str) -> str:
        return (
            f"the gateway refuses {self._account} from {place} though it is not blocked: is its view of blocks behind"
            " (its /health/ready), is one of them on its black list, or does another canary run?"
        )

    def _not_refused(self) -> str:
        return (
            f"{self._account} was blocked after {self.result.blocked_s or 0:.2f} s, and the gateway still lets it in after"
            f" {self._timeout_s} s: is its view of blocks behind (its /health/ready), its clock ahead, or the canary on its"
            " white list?"
        )
