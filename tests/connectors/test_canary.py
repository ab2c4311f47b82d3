"""The canary: what a round measures, and what it says when something between a login and its refusal does not work."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.health import HealthServer
from streams.connectors.canary import Canary
from streams.connectors.canary_door import CanaryDoor
from streams.errors import ConfigurationError
from streams.metrics import Metrics
from streams.settings import Settings
from tests.cli.small_worker import SmallWorker
from tests.connectors.canaries import CANARY, asked, canary_settings, counted, login, play, view_of, write, write_policy
from tests.connectors.doors import CODEC, Door, gateway_settings, now_ms, open_door, read_all
from tests.eventually import eventually
from tests.kafka_broker import PARTITIONS
from tests.kafka_clients import assert_at_most, kafka_clients, uncollected


@dataclass
class Place:
    """A broker, a worker's engine and a gateway, and the settings of a canary there, whose policy is known."""

    settings: Settings
    door: Door


@pytest.fixture
def door(embedded: EmbeddedBroker) -> Iterator[Door]:
    with open_door(gateway_settings(embedded.settings)) as door:
        yield door


@pytest.fixture
def place(embedded: EmbeddedBroker, door: Door) -> Iterator[Place]:
    settings = canary_settings(embedded.settings, f"http://127.0.0.1:{door.port}/")
    with SmallWorker(embedded.settings):
        write_policy(settings)
        eventually(asked(settings, lambda view: view["policy"]["block_time"]), what="the policy is known")
        yield Place(settings, door)


def test_a_round_sees_its_account_blocked_refused_and_let_in_again(place: Place) -> None:
    """Twice, since each leaves nothing behind; nobody is mailed, and no login is made while it is blocked."""
    canary = Canary(place.settings)
    with uncollected():
        before = kafka_clients()
        first, second = canary.once(), canary.once()
        assert_at_most(before)

    assert (first.outcome, second.outcome) == ("ok", "ok"), (first, second)
    assert first.logins == 4
    for seconds in (first.blocked_s, first.refused_s, first.reopened_s):
        assert seconds is not None
        assert 0 < seconds < place.settings.canary_timeout
    blocks = [block for key, block in read_all(place.settings, "blocks") if key == CANARY.encode()]
    assert [block["state"] for block in blocks] == ["blocked", "open"] * 2
    assert read_all(place.settings, "notifications") == []
    spans = [(block["from"], lifted["until"]) for block, lifted in zip(blocks[::2], blocks[1::2], strict=True)]
    times = [login["time"] for _, login in read_all(place.settings, "logins")]
    assert not [time for time in times for begin, end in spans if begin < time <= end]
    assert view_of(place.settings)["networks"] == []
    assert counted(canary, "rounds_total", outcome="ok") == 2
    assert counted(canary, "logins_total") == 8
    assert counted(canary, "refusal_seconds_count") == 2
    assert counted(canary, "last_ok_timestamp_seconds") > now_ms() / 1000 - 60
    assert canary.problems() == []
    assert canary.remarks()[0].startswith("4 logins, blocked after ")


def test_an_account_without_its_policy_is_left_alone(place: Place) -> None:
    """Nobody logs in; it says which command writes the policy."""
    settings = place.settings.model_copy(update={"canary_account": "other@example.org"})

    result = play(settings)

    assert (result.outcome, result.logins) == ("policy", 0)
    assert "Run `loginwatch canary prepare`" in result.reason


def test_an_account_that_somebody_uses_is_left_alone(place: Place) -> None:
    """Its activity is not deleted."""
    write(place.settings, "logins", CANARY, login(CANARY, "10.1.2.3"))
    eventually(asked(place.settings, lambda view: view["networks"]))

    result = play(place.settings)

    assert (result.outcome, result.logins) == ("not_ours", 0)
    assert "10.1.2.3" in result.reason
    assert len(view_of(place.settings)["networks"]) == 1


def test_what_a_killed_canary_left_is_tidied_up_after_a_while(place: Place) -> None:
    """At first it may be another one at work, and is let alone; it is blocked meanwhile, and that is lifted too."""
    for number in range(4):
        place.door.ask("report", success=True, login=CANARY, remote=f"192.0.2.{number}")
    eventually(asked(place.settings, lambda view: view["blocked_until"]))

    assert play(place.settings).outcome == "busy"

    soon = place.settings.model_copy(update={"canary_timeout": 3})
    eventually(lambda: play(soon).outcome == "ok", 30, what="a round begins once the logins are old")


def test_without_a_worker_a_round_says_so(embedded: EmbeddedBroker, door: Door) -> None:
    """Within its time."""
    result = play(canary_settings(embedded.settings, f"http://127.0.0.1:{door.port}", canary_timeout=1))

    assert (result.outcome, result.logins) == ("no_worker", 0)
    assert "no worker answered about canary@example.org within 1 s" in result.reason


def test_without_kafka_a_round_says_so(place: Place, unused_port: int) -> None:
    """And the next one is none the worse for it."""
    nowhere = place.settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{unused_port}"})

    with uncollected():
        before = kafka_clients()
        result = play(nowhere)
        assert_at_most(before)

    assert (result.outcome, result.logins) == ("kafka", 0)
    assert "bootstrap_servers" in result.reason
    assert play(place.settings).outcome == "ok"


def test_a_gateway_that_refuses_the_secret_is_told_from_one_that_is_away(place: Place, unused_port: int) -> None:
    """And from something else that answers there."""
    with HealthServer("127.0.0.1:0", metrics=Metrics("canary"), ready=list) as other:
        told = {
            outcome: play(place.settings.model_copy(update=change))
            for outcome, change in {
                "door_refused": {"gateway_api_key": SecretStr("another secret")},
                "door_away": {"canary_gateway_url": f"http://127.0.0.1:{unused_port}/"},
                "door_fault": {"canary_gateway_url": f"http://{other.address}/"},
            }.items()
        }

    assert {outcome: result.outcome for outcome, result in told.items()} == {outcome: outcome for outcome in told}
    assert "gateway_api_key" in told["door_refused"].reason
    assert "canary_gateway_url" in told["door_away"].reason
    assert view_of(place.settings)["networks"] == []


def test_a_door_that_lets_a_blocked_account_in_is_found(place: Place) -> None:
    """Here by the gateway's white list; the block is measured all the same, and lifted."""
    order = {"login": CANARY, "expire_secs": 3600, "reason": "test"}
    place.door.request("POST", "/?command=addWLEntry", json.dumps(order).encode())
    eventually(lambda: place.door.count("loginwatch_access_entries") == 1)

    result = play(place.settings.model_copy(update={"canary_timeout": 3}))

    assert result.outcome == "not_refused"
    assert result.blocked_s is not None
    assert "white list" in result.reason
    eventually(asked(place.settings, lambda view: view["blocked_until"] is None and not view["networks"]))


def test_a_network_that_is_safe_is_named(place: Place) -> None:
    """It does not count, so no block comes."""
    safe = {"scope": "everyone", "network": "192.0.2.0/24", "description": "a trial", "actor": "test", "time": now_ms()}
    write(
        place.settings,
        "safe-networks",
        "everyone 192.0.2.0/24",
        CODEC.encode("SafeNetwork", {**safe, "expires": None}),
    )

    result = play(place.settings.model_copy(update={"canary_timeout": 3}))

    assert (result.outcome, result.logins) == ("policy", 4)
    assert "192.0.2.1/32 is safe (192.0.2.0/24 of everyone)" in result.reason


def test_reports_that_do_not_reach_the_worker_are_told_from_a_worker_that_does_not_judge(place: Place) -> None:
    """This gateway writes to another Kafka."""
    with EmbeddedBroker(Settings(partitions=PARTITIONS)) as other, open_door(gateway_settings(other.settings)) as door:
        url = f"http://127.0.0.1:{door.port}/"
        result = play(place.settings.model_copy(update={"canary_gateway_url": url, "canary_timeout": 2}))

    assert (result.outcome, result.logins) == ("not_arrived", 4)
    assert "seen 0 of 4 logins" in result.reason


def test_rounds_go_on_whatever_becomes_of_one(embedded: EmbeddedBroker, door: Door) -> None:
    """Health has the reason until a round goes well; a stop is heard in the middle of a wait."""
    settings = canary_settings(
        embedded.settings, f"http://127.0.0.1:{door.port}/", canary_timeout=1, canary_interval=0.01
    )
    write_policy(settings)
    canary = Canary(settings)
    assert canary.problems() == ["the canary's first round is not over yet"]
    thread = threading.Thread(target=canary.run)
    thread.start()
    try:
        eventually(lambda: counted(canary, "rounds_total", outcome="no_worker") >= 2, 30)
        assert canary.problems()[0].startswith("no_worker: no worker answered")
        with SmallWorker(embedded.settings):
            eventually(lambda: canary.problems() == [], 60, what="a round goes well")
        eventually(canary.problems, 60, what="the worker is missed")
    finally:
        canary.stopping.set()
        thread.join(30)
    assert not thread.is_alive()
    assert "interrupted" not in canary.problems()[0]


def test_a_defect_is_an_outcome_too(place: Place) -> None:
    """Whatever it is, the process goes on."""
    canary = Canary(place.settings)
    canary._codec = None  # type: ignore[assignment]

    result = canary.once()

    assert result.outcome == "fault"
    assert "AttributeError" in result.reason
    assert counted(canary, "rounds_total", outcome="fault") == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"canary_account": ""}, "set canary_account"),
        ({"canary_gateway_url": "gateway:9102"}, "canary_gateway_url must be http"),
        ({"canary_gateway_url": "http://user:secret@gateway/"}, "without a name and password"),
        ({"canary_ca_file": "no-such-file.pem"}, "canary_ca_file"),
        ({"gateway_api_key": SecretStr("secret\n")}, "gateway_api_key cannot be sent"),
        ({"gateway_api_key": SecretStr("\udcfc")}, "gateway_api_key cannot be sent"),
    ],
)
def test_it_refuses_to_start_so(changes: dict[str, Any], sentence: str) -> None:
    """With the setting and what to do."""
    with pytest.raises(ConfigurationError, match=sentence):
        Canary(canary_settings(Settings(), "", **changes))


def test_a_secret_of_any_letters_is_the_same_at_both(embedded: EmbeddedBroker) -> None:
    """The gateway reads it as UTF-8."""
    with open_door(gateway_settings(embedded.settings, gateway_api_key="schlüssel ☂")) as door:
        settings = canary_settings(
            embedded.settings, f"http://127.0.0.1:{door.port}/", gateway_api_key=SecretStr("schlüssel ☂")
        )
        with CanaryDoor(settings) as asking:
            assert asking.lets_in(CANARY, "192.0.2.1")
