"""`loginwatch health`, and what `check` says of running processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

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


@contextmanager
def stranger(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that is none of ours and answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<h1>Not Found</h1>"),
        (200, b'{"detail": "hello"}'),
        (200, b'{"ready": true}'),
        (404, b'{"error": "not found"}'),
        (200, b"[]"),
    ],
)
def test_what_another_server_answers_is_told_as_that(loginwatch: Loginwatch, status: int, body: bytes) -> None:
    """It is no answer of the process, and no fault of JSON; `check` says it too."""
    with stranger(status, body) as address:
        asked = loginwatch("health", "panel", "--json", env={"panel_listen": address})
        any_ = loginwatch("health", "panel", "--any", "--json", env={"panel_listen": address})
        checked = loginwatch(
            "check", "panel", "--json", env={"panel_listen": address, "bootstrap_servers": "127.0.0.1:1"}
        )

    sentence = f"it answers HTTP {status}, but not as loginwatch does: does something else listen there?"
    assert (asked.code, any_.code) == (1, 1)
    assert (asked.json[0]["state"], asked.json[0]["reasons"]) == ("no answer", [sentence])
    assert checked.json[-1]["state"] == "remark"
    assert sentence in checked.json[-1]["sentence"]


def test_a_process_whose_page_fails_is_not_ready(loginwatch: Loginwatch) -> None:
    """Its own words for a defect are no stranger's."""

    def broken() -> list[str]:
        raise RuntimeError("a defect")

    with HealthServer("127.0.0.1:0", metrics=Metrics("worker"), ready=broken) as server:
        answer = loginwatch("health", "worker", "--json", env={"worker_health_listen": server.address})

    assert (answer.json[0]["state"], answer.json[0]["reasons"]) == ("not ready", ["it answered 500"])


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
