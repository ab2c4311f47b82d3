"""Policies on their way to the engine, from an embedded broker and a stand-in for the registry."""

from collections.abc import Iterator

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
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


def test_a_policy_waits_for_the_registry_that_knows_its_schema(
    embedded: EmbeddedBroker, stand_in: RegistryStandIn
) -> None:
    """Meanwhile that of before is in force and the health page says why; what follows keeps its order, and nothing ends."""
    theirs = Codec(Registry(stand_in.url))
    engine = Engine(codec=Codec(Registry(stand_in.url)), places=NoPlaces(), lateness_ms=0)
    refused: list[str] = []
    tables = PolicyTables(
        embedded.settings, engine, lambda _, refusal: refused.append(refusal.reason), lambda _: pytest.fail("it ended")
    )

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
