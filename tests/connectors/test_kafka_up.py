"""What processes that only read say of Kafka: the alert about a Kafka that is away goes by it."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from streams.bus.embedded import EmbeddedBroker
from tests.eventually import eventually
from tests.ports import free_port

NEEDED: dict[str, dict[str, str]] = {
    "mailer": {"mail_from": "loginwatch@example.org", "smtp_host": "127.0.0.1", "smtp_port": "1", "smtp_tls": "none"},
    "enforcement": {"enforcement_webhooks": "http://127.0.0.1:1/", "enforcement_webhook_secret": "s" * 32},
    "alerts": {},
}
"""A process, and the settings without which it would not start; nobody listens on port 1."""


@contextmanager
def process(name: str, broker: EmbeddedBroker) -> Iterator[str]:
    """The address at which the process shows its metrics."""
    listen = f"127.0.0.1:{free_port()}"
    settings = NEEDED[name] | {
        "bootstrap_servers": broker.bootstrap_servers,
        "partitions": str(broker.settings.partitions),
        f"{name}_health_listen": listen,
    }
    environment = os.environ | {f"LOGINWATCH_{key.upper()}": value for key, value in settings.items()}
    running = subprocess.Popen([sys.executable, "-m", "streams.cli", name], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield listen
    finally:
        running.kill()
        running.wait()


def kafka_up(listen: str) -> str | None:
    """The value shown; None while nothing answers."""
    with suppress(OSError), urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as page:
        for line in page.read().decode().splitlines():
            if line.startswith("loginwatch_kafka_up "):
                return str(line.split()[1])
    return None


@pytest.mark.parametrize("name", NEEDED)
def test_a_process_shows_whether_kafka_answers_it(name: str, embedded: EmbeddedBroker) -> None:
    """Also when Kafka is away before its first answer, and while what the process tells is away."""
    embedded.down()
    with process(name, embedded) as listen:
        eventually(lambda: kafka_up(listen) == "0.0", 60, what="Kafka is away from the start")
        embedded.up()
        eventually(lambda: kafka_up(listen) == "1.0", 30, what="Kafka is there")
        embedded.down()
        eventually(lambda: kafka_up(listen) == "0.0", 30, what="Kafka has gone")
