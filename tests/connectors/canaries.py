"""What the tests of the canary share: a place where it can be played, and one round of it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from pydantic import SecretStr

from streams.bus.producer import Producer
from streams.connectors.canary import Canary
from streams.connectors.canary_door import SetbackError
from streams.connectors.canary_orders import Orders
from streams.connectors.canary_round import Result
from streams.connectors.canary_rules import DEMANDS, View
from streams.settings import Settings
from streams.topology import POLICIES
from tests.connectors.doors import CODEC, KEY, now_ms

CANARY = "canary@example.org"


def canary_settings(base: Settings, url: str, **changes: Any) -> Settings:
    """Settings of a canary at this gateway; `changes` are not checked, so that a round may be short."""
    values = {
        "canary_account": CANARY,
        "canary_gateway_url": url,
        "gateway_api_key": SecretStr(KEY),
        "canary_timeout": 10,
    }
    return base.model_copy(update=values | changes)


def write_policy(settings: Settings, account: str = CANARY, **changes: Any) -> None:
    """What `loginwatch canary prepare` writes, changed as given."""
    scope = f"account:{account}"
    record = {**DEMANDS.to_record(), **changes, "scope": scope, "actor": "test", "time": now_ms()}
    write(settings, POLICIES.name, scope, CODEC.encode("Policy", record))


def write(settings: Settings, topic: str, key: str, value: bytes) -> None:
    producer = Producer(settings)
    producer.send(topic, value, key=key)
    producer.close(20)


def view_of(settings: Settings) -> View:
    """What the worker holds of the canary's account."""
    with Orders(settings, CODEC) as orders:
        return orders.ask()


def asked(settings: Settings, condition: Callable[[View], Any]) -> Callable[[], bool]:
    """For `eventually`: does the worker hold this of the canary's account?"""

    def holds() -> bool:
        with suppress(SetbackError):
            return bool(condition(view_of(settings)))
        return False

    return holds


def play(settings: Settings) -> Result:
    """One round, counted."""
    canary = Canary(settings)
    result = canary.once()
    assert counted(canary, "rounds_total", outcome=result.outcome) == 1
    assert counted(canary, "logins_total") == result.logins
    return result


def counted(canary: Canary, sample: str, **labels: str) -> float:
    return canary.metrics.registry.get_sample_value(f"loginwatch_canary_{sample}", labels) or 0.0


def login(account: str, ip: str) -> bytes:
    """A Login as JSON."""
    return orjson.dumps({"time": now_ms(), "account": account, "ip": ip, "success": True, "service": "imap"})
