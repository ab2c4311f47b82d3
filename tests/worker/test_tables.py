"""Policies on their way to the engine, from an embedded broker and a stand-in for the registry."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import Any

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.engine.engine import Engine
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.records.registry import Registry
from streams.records.schemas import latest
from streams.topology import POLICIES
from streams.worker.tables import PolicyTables
from tests.eventually import eventually
from tests.records.registry_stand_in import RegistryStandIn

NOW_MS = 1_780_000_000_000


@pytest.fixture
def stand_in() -> Iterator[RegistryStandIn]:
    with RegistryStandIn() as stand_in:
        yield stand_in


def policy(codec: Codec, ips: int) -> bytes:
    unset = {field["name"]: field.get("default") for field in latest("Policy").source["fields"]}
    value = {"scope": "everyone", "time_window": 60, "allowed_ips": ips, "actor": "cli:root", "time": NOW_MS}
    return codec.encode("Policy", {**unset, **value})


def send(broker: EmbeddedBroker, value: bytes) -> None:
    producer = Producer(broker.settings)
    producer.send(POLICIES.name, value, key="everyone")
    producer.close()


def made(broker: EmbeddedBroker, stand_in: RegistryStandIn, refused: list[str]) -> tuple[Engine, PolicyTables]:
    """An engine that asks this registry, and its tables; reasons of what they refuse go to `refused`."""
    registry = Registry(stand_in.url)
    engine = Engine(codec=Codec(registry), places=NoPlaces(), lateness_ms=0)

    def refuse(_: Record, refusal: Refused) -> None:
        refused.append(refusal.reason)

    tables = PolicyTables(broker.settings, engine, refuse, lambda _: pytest.fail("it ended"), registry=registry)
    return engine, tables


def test_a_policy_waits_for_the_registry_that_knows_its_schema(
    embedded: EmbeddedBroker, stand_in: RegistryStandIn
) -> None:
    """Meanwhile that of before is in force and the health page says why; what follows keeps its order, and nothing ends."""
    theirs = Codec(Registry(stand_in.url))
    refused: list[str] = []
    engine, tables = made(embedded, stand_in, refused)

    def allowed() -> int:
        tables.apply_pending()
        return engine.book.rules("user@example.org", NOW_MS).policy.allowed_ips

    send(embedded, policy(Codec(), 7))
    tables.start()
    eventually(tables.ready)
    assert allowed() == 7
    foreign = policy(theirs, 8)
    stand_in.stop()

    send(embedded, foreign)
    send(embedded, policy(Codec(), 9))
    problem = eventually(lambda: (tables.apply_pending(), tables.problem())[1], what="a problem")
    assert stand_in.url in problem
    assert (allowed(), tables.ready()) == (7, False)

    stand_in.start()
    eventually(lambda: allowed() == 9)
    assert (tables.ready(), tables.problem(), refused) == (True, None, [])
    tables.stop()


class Pondering(RegistryStandIn):
    """A registry that answers nobody while `gate` is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def _serve(self, request: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        self.gate.wait(60)
        super()._serve(request, body)


def test_a_registry_that_ponders_does_not_hold_the_event_loop(embedded: EmbeddedBroker) -> None:
    """Logins are judged meanwhile by the policy of before; what it does not know is refused in its turn."""
    with Pondering() as stand_in:
        foreign = policy(Codec(Registry(stand_in.url)), 8)
        refused: list[str] = []
        engine, tables = made(embedded, stand_in, refused)
        tables.start()
        eventually(tables.ready)
        longest = 0.0

        def allowed() -> int:
            nonlocal longest
            begun = monotonic()
            tables.apply_pending()
            longest = max(longest, monotonic() - begun)
            return engine.book.rules("user@example.org", NOW_MS).policy.allowed_ips

        stand_in.gate.clear()
        for value in (policy(Codec(), 7), foreign, b"\0\0\0\0\x63", policy(Codec(), 9)):
            send(embedded, value)
        problem = eventually(lambda: (allowed(), tables.problem())[1], what="a problem")
        assert (allowed(), stand_in.url in problem, refused) == (7, True, [])

        stand_in.gate.set()
        eventually(lambda: allowed() == 9)
        assert (tables.ready(), refused) == (True, ["unknown-schema"])
        assert longest < 1
        tables.stop()
