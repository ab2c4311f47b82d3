"""`loginwatch health`, and what `check` says of running processes."""

from collections.abc import Iterator

import pytest

from streams.bus.health import HealthServer
from streams.metrics import Metrics
from tests.cli.conftest import Loginwatch


class Worker:
    """A process that answers as a worker does, with the reasons of the test."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.server = HealthServer("127.0.0.1:0", metrics=Metrics("worker"), ready=lambda: self.reasons)
        self.settings = {"worker_health_listen": self.server.address}


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    with made.server:
        yield made


def test_a_ready_process_ends_the_command_with_zero(loginwatch: Loginwatch, worker: Worker) -> None:
    """What a container's health check relies on."""
    answer = loginwatch("health", "worker", "--json", env=worker.settings)

    assert answer.code == 0
    assert [(each["process"], each["state"]) for each in answer.json] == [("worker", "ready")]


def test_a_process_that_is_not_ready_says_why_and_ends_it_with_one(loginwatch: Loginwatch, worker: Worker) -> None:
    """Its own reasons are passed on."""
    worker.reasons.append("accounts are being read: 10 records left")

    answer = loginwatch("health", "worker", env=worker.settings)

    assert answer.code == 1
    assert "10 records left" in answer.out


def test_a_process_that_does_not_answer_is_told(loginwatch: Loginwatch, unused_port: int) -> None:
    """Nobody listens there."""
    answer = loginwatch("health", "mailer", "--json", env={"mailer_health_listen": f"127.0.0.1:{unused_port}"})

    assert answer.code == 1
    assert answer.json[0]["state"] == "no answer"


def test_any_is_content_with_those_that_answer(loginwatch: Loginwatch, worker: Worker, unused_port: int) -> None:
    """One image serves all processes, and a container runs one of them."""
    nobody = dict.fromkeys(
        (
            "gateway_listen",
            "postfix_health_listen",
            "mailer_health_listen",
            "enforcement_health_listen",
            "logs_health_listen",
            "alerts_health_listen",
            "canary_health_listen",
            "panel_listen",
        ),
        f"127.0.0.1:{unused_port}",
    )

    assert loginwatch("health", "--any", env=nobody | worker.settings).code == 0
    worker.reasons.append("not yet")
    assert loginwatch("health", "--any", env=nobody | worker.settings).code == 1


def test_a_wildcard_is_asked_on_loopback(loginwatch: Loginwatch, worker: Worker) -> None:
    """A container listens on all addresses."""
    answer = loginwatch("health", "worker", env={"worker_health_listen": f"0.0.0.0:{worker.server.port}"})

    assert answer.code == 0


def test_an_unknown_process_is_refused(loginwatch: Loginwatch) -> None:
    """With the names that there are."""
    answer = loginwatch("health", "wroker")

    assert answer.code == 2
    assert "worker, gateway" in answer.err
