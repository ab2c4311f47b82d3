"""The deployed worker against a Kafka that asks for TLS, passwords and client certificates."""

import secrets
import subprocess
import sys

import pytest

from streams.demo.processes import environment
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from tests.eventually import eventually
from tests.guarded_kafka import GuardedKafka
from tests.worker.harness import DEPLOYED, WorkerProcess, everything, send, until_done
from tests.worker.records import CODEC, login, policy

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

WRONG = "not-the-password"


def topics_create(settings: Settings) -> "subprocess.Popen[str]":
    """As an operator runs it; the caller waits for it."""
    command = [sys.executable, "-m", "streams.cli", "topics", "create"]
    return subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("by", ["PLAIN", "SCRAM-SHA-512", "certificate"])
def test_topics_are_made_and_a_thief_is_found_over_tls(guarded_kafka: GuardedKafka, by: str) -> None:
    """From an empty Kafka to the block of an account, with a password or a client certificate everywhere."""
    guarded_kafka.wipe()
    settings = guarded_kafka.by_certificate() if by == "certificate" else guarded_kafka.by_password(by)
    settings = settings.model_copy(update={"app": f"test-{secrets.token_hex(4)}"})

    with topics_create(settings) as made:
        _, said = made.communicate(timeout=60)
    assert (made.returncode, said) == (0, "")
    send(settings, [policy(allowed_ips=3)])
    send(settings, [login("a@example.org", f"198.51.{number}.1") for number in range(4)])
    with WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        until_done(settings, worker)
        assert worker.terminate() == 0

    [block] = everything(settings, "blocks")
    assert CODEC.decode("Block", block.value or b"")["account"] == "a@example.org"


def test_a_wrong_password_is_said_and_waited_with(guarded_kafka: GuardedKafka) -> None:
    """The command ends with the code of a Kafka that is away; the worker says why it waits, and stops when told to."""
    settings = guarded_kafka.by_password("SCRAM-SHA-512", WRONG)

    with topics_create(settings) as refused, WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        eventually(lambda: "uthentication failed" in worker.page("/health/ready")[1], 60, what="health says why")
        eventually(lambda: "waiting for Kafka" in worker.log, 60, what="the log says that it waits")
        status, _ = worker.page("/health/ready")
        said = worker.log
        assert worker.terminate() == 0
        _, command_said = refused.communicate(timeout=60)

    assert status == 503
    assert "uthentication failed" in said
    assert "uthentication failed" in command_said
    assert refused.returncode == BrokerUnavailableError.exit_code
    assert WRONG not in said + command_said
