"""`loginwatch canary --once` and `canary prepare`."""

from collections.abc import Callable, Iterator

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.cli.conftest import Answer, Loginwatch
from tests.cli.small_worker import SmallWorker
from tests.connectors.canaries import CANARY, login, write
from tests.connectors.doors import KEY, gateway_settings, open_door
from tests.eventually import eventually

Run = Callable[..., Answer]


@pytest.fixture
def run(on_kafka: Loginwatch, embedded: EmbeddedBroker) -> Iterator[Run]:
    """`loginwatch` on a machine with a gateway, a worker's engine and a canary in its settings."""
    with open_door(gateway_settings(embedded.settings)) as door, SmallWorker(embedded.settings):
        env = {
            "canary_account": CANARY,
            "gateway_api_key": KEY,
            "gateway_listen": f"127.0.0.1:{door.port}",
            "canary_timeout": "10",
        }
        yield lambda *arguments, **changes: on_kafka(*arguments, env=env | changes)


def test_prepare_and_one_round(run: Run) -> None:
    """Before there is a policy it fails with what to do; afterwards it says what it measured, for people and programs."""
    before = run("canary", "--once")
    prepared = run("canary", "prepare")
    after = eventually(lambda: (answer := run("canary", "--once", "--json")).code == 0 and answer, 30)
    said = run("canary", "--once")

    assert before.code == 1
    assert "Run `loginwatch canary prepare`" in before.out
    assert prepared.code == 0
    assert "account:canary@example.org now sets: time_window 10, allowed_ips 3" in prepared.out
    assert (after.json["outcome"], after.json["logins"], after.json["reason"]) == ("ok", 4, "")
    assert 0 < after.json["refused_s"] < 10
    assert said.code == 0
    assert "blocked after" in said.out
    assert KEY not in said.out + said.err


def test_prepare_refuses_an_account_that_somebody_uses(run: Run, embedded: EmbeddedBroker) -> None:
    """It writes nothing, and says from where that account logged in."""
    write(embedded.settings, "logins", CANARY, login(CANARY, "10.1.2.3"))
    eventually(lambda: run("account", "show", CANARY, "--json").json["networks"])

    answer = run("canary", "prepare")

    assert answer.code == 2
    assert "10.1.2.3" in answer.err
    assert run("policy", "show", f"account:{CANARY}").code == 4


def test_check_says_what_a_canary_lacks(run: Run) -> None:
    """Without a policy it is wrong, with one it is fine; without a canary there is nothing to check."""

    def finding(**changes: str) -> tuple[str, str]:
        found = run("check", "canary", "--json", **changes).json
        return next((each["state"], each["sentence"]) for each in found if each["subject"] == "canary")

    before = finding()
    run("canary", "prepare", "--wait", "0")

    assert before[0] == "wrong"
    assert "loginwatch canary prepare" in before[1]
    assert finding()[0] == "ok"
    assert finding(canary_account="") == (
        "ok",
        "not used; set canary_account to see every few minutes that all of it works",
    )


def test_without_an_account_there_is_no_canary(loginwatch: Loginwatch) -> None:
    """One sentence with the setting, and code 2; so for an account without a domain."""
    for arguments in (("canary",), ("canary", "--once"), ("canary", "prepare")):
        answer = loginwatch(*arguments)
        assert answer.code == 2
        assert "set canary_account" in answer.err
    assert "write it in full" in loginwatch("canary", env={"canary_account": "canary"}).err
