"""The canary as it is deployed: `loginwatch canary` beside a worker and a gateway, each by its command; and who passes it over."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.record import Record
from streams.cli.health import Health, ask
from streams.connectors.canary import Canary
from streams.demo.processes import Children
from streams.panel.store.reading import Reader
from streams.settings import Settings
from tests.connectors.canaries import CANARY, canary_settings, counted, write, write_policy
from tests.connectors.doors import CODEC, KEY, block
from tests.connectors.hooks import Hook, serving
from tests.connectors.notifications import incident
from tests.connectors.test_alerts import changed, count, exporting, lines_of
from tests.connectors.test_enforcement import hooks_count, running, settings
from tests.eventually import eventually, eventually_async
from tests.kafka_broker import KafkaBroker
from tests.ports import Port

LISTENS = ("worker_health_listen", "gateway_listen", "canary_health_listen")


@contextmanager
def house(base: Settings, folder: Path) -> Iterator[tuple[Settings, Children]]:
    """A worker and a gateway, ready, and the settings of a canary beside them."""
    ports = [Port() for _ in LISTENS]
    addresses = {name: f"127.0.0.1:{port.number}" for name, port in zip(LISTENS, ports, strict=True)}
    given = base.model_copy(update={**addresses, "gateway_api_key": SecretStr(KEY), "worker_session_timeout": 6})
    given = canary_settings(given, "", canary_timeout=30)
    write_policy(given)
    with Children(folder) as children:
        for name in ("worker", "gateway"):
            children.start(name, given)
        for name in ("worker", "gateway"):
            eventually(lambda name=name: ask(given, name).state == "ready", 90, what=f"the {name} is ready")
        yield given, children
    for port in ports:
        port.release()


def health_of_the_canary(given: Settings, state: str) -> Health:
    """What it says once it is in this state."""
    return eventually(
        lambda: (found := ask(given, "canary")).state == state and found, 90, what=f"the canary is {state}"
    )


def test_the_process_measures_the_real_ones_and_survives_them(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """Ready with what it measured; when the gateway is gone it says so and goes on; SIGTERM ends it with 0."""
    with house(embedded.settings, tmp_path) as (given, children):
        child = children.start("canary", given.model_copy(update={"canary_interval": 5}))

        well = health_of_the_canary(given, "ready")
        assert "4 logins, blocked after" in well.reasons[0]
        gateway = next(one for one in children._running if one.name == "gateway")
        gateway.process.terminate()
        ill = health_of_the_canary(given, "not ready")
        child.process.send_signal(signal.SIGTERM)

        assert "door_away: the gateway at http://127.0.0.1:" in ill.reasons[0]
        assert child.process.wait(30) == 0, child.log.read_text()
        assert "Traceback" not in child.log.read_text()
        print(well.reasons[0])


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_a_round_on_a_real_kafka(kafka: KafkaBroker, kafka_settings: Settings, tmp_path: Path) -> None:
    """Where the broker stamps the records: twice, the second without any restart of counting in its way."""
    with house(kafka_settings, tmp_path) as (given, _):
        canary = Canary(given)

        results = [canary.once(), canary.once()]

    assert [result.outcome for result in results] == ["ok", "ok"], results
    assert counted(canary, "rounds_total", outcome="ok") == 2
    print(results)


def two(record: str, value: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The same record of the canary and of somebody."""
    return [(name, CODEC.encode(record, {**value, "account": name})) for name in (CANARY, "user@example.org")]


def test_a_soc_is_not_told_of_the_canary(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """It is counted; others are told as ever."""
    path = tmp_path / "alerts.jsonl"
    given = changed(embedded.settings, alerts_topic=False, alerts_file=str(path), canary_account=CANARY)
    with exporting(given) as metrics:
        for topic, record, value in (("incidents", "Incident", incident()), ("blocks", "Block", block())):
            for name, raw in two(record, value):
                write(given, topic, name, raw)
        eventually(lambda: len(lines_of(path)) == 2 and count(metrics, "file", "canary") == 2, 30)

    assert not [line for line in lines_of(path) if CANARY in str(line)]


async def test_enforcement_passes_the_canary_over(embedded: EmbeddedBroker) -> None:
    """No kick, no webhook; the next block is carried out."""
    hook = Hook()
    async with serving(hook.handle) as url:
        given = settings(embedded, url, canary_account=CANARY)
        async with running(given) as enforcement:
            for name, raw in two("Block", block()):
                write(given, "blocks", name, raw)
            await eventually_async(lambda: hooks_count(enforcement, "delivered") == 1)

    assert hook.told() == [("user@example.org", "blocked")]


def test_the_panel_does_not_show_the_canary() -> None:
    """Its incidents, blocks and commands are hundreds a day; the policy that was written for it is shown."""
    reader = Reader(CODEC, is_canary=Settings(canary_account=CANARY).is_canary)

    found = [
        reader.read(Record("incidents", 0, offset, 0, name.encode(), raw))
        for offset, (name, raw) in enumerate(two("Incident", incident()))
    ]

    assert found[0] is None
    assert found[1] is not None
    assert found[1].key == "user@example.org"


def test_without_a_canary_nobody_is_passed_over() -> None:
    """Not even a record without a key."""
    assert not any(Settings().is_canary(key) for key in ("", b"", None, "user@example.org"))
    assert Settings(canary_account=" Canary@Example.ORG ").is_canary(CANARY.encode())
