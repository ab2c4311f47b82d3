"""The commands that run a process, as far as they do not run, and the README's flow on a real Kafka."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from streams.cli.moments import now_ms
from streams.settings import Settings
from tests.cli.conftest import Answer, Loginwatch
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker


def test_a_gateway_without_a_secret_does_not_start(loginwatch: Loginwatch) -> None:
    """One sentence with the setting, and code 2."""
    answer = loginwatch("gateway")

    assert answer.code == 2
    assert "gateway_api_key" in answer.err


def test_a_policy_service_that_would_refuse_nobody_does_not_start(loginwatch: Loginwatch) -> None:
    """One sentence with the setting, and code 2."""
    answer = loginwatch("postfix", env={"postfix_deny_action": "PERMIT"})

    assert answer.code == 2
    assert "postfix_deny_action" in answer.err


def test_a_mailer_without_a_sender_does_not_start(loginwatch: Loginwatch) -> None:
    """One sentence with the setting, and code 2."""
    answer = loginwatch("mailer")

    assert answer.code == 2
    assert "mail_from" in answer.err


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_the_flow_of_the_readme(
    loginwatch: Loginwatch, kafka: KafkaBroker, kafka_settings: Settings, tmp_path: Path
) -> None:
    """Topics, a policy, a worker, four logins: the account shows its block, the incident its evidence."""
    env = {
        "bootstrap_servers": kafka.settings.bootstrap_servers,
        "partitions": str(kafka_settings.partitions),
        "app": kafka_settings.app,
        "worker_health_listen": "127.0.0.1:0",
    }

    def run(*arguments: str) -> Answer:
        return loginwatch(*arguments, env=env)

    created = run("topics", "create")
    told = run("policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "3", "--block-time", "30")
    with (tmp_path / "worker.log").open("wb") as log:
        environment = os.environ | {f"LOGINWATCH_{name.upper()}": value for name, value in env.items()}
        command = [sys.executable, "-m", "streams.cli", "worker"]
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        eventually(
            lambda: run("account", "show", "user@example.org", "--wait", "5").code == 0, 90, what="a worker answers"
        )
        put_logins(kafka_settings, 4)
        eventually(lambda: run("incidents", "list", "--json").json, 30, what="an incident")
        shown = run("account", "show", "user@example.org", "--json").json
        unblocked = run("account", "unblock", "user@example.org")
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)

    [incident] = run("incidents", "list", "--json").json
    assert (created.code, told.code) == (0, 0)
    assert (incident["account"], incident["count"], incident["limit"]) == ("user@example.org", 4, 3)
    assert shown["blocked_until"] == incident["blocked_until"]
    assert unblocked.out == "user@example.org is not blocked.\n"
    assert code == 0, (tmp_path / "worker.log").read_text()


def put_logins(settings: Settings, number: int) -> None:
    """Logins of one account from so many networks, as JSON."""
    from streams.cli.store import Store

    store = Store(settings)
    for network in range(number):
        value = {
            "time": now_ms(),
            "account": "user@example.org",
            "ip": f"192.0.2.{network}",
            "success": True,
            "service": "imap",
        }
        store.write_raw("logins", "user@example.org", orjson.dumps(value))


def test_enforcement_without_anybody_to_tell_does_not_start(loginwatch: Loginwatch) -> None:
    """It says which settings name the receivers."""
    answer = loginwatch("enforcement")

    assert answer.code == 2
    assert "enforcement_doveadm_urls" in answer.err
