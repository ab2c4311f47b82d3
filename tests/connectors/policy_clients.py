"""What the tests of the Postfix door share: a running policy service, a client that speaks as Postfix does, policies."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from streams.bus.producer import Producer
from streams.connectors.postfix import Postfix, serve
from streams.settings import Settings
from streams.topology import DOMAINS, POLICIES
from tests.connectors.doors import CODEC, now_ms, wait_for
from tests.connectors.postfix_samples import request

DUNNO = "DUNNO"
UNSET = {
    "time_window": None, "allowed_ips": None, "allowed_countries": None, "ignored_countries": None, "block_time": None,
    "notify": None, "notify_sender": None, "match_username": None, "match_domain": None, "familiar_days": None,
    "ipv4_prefix": None, "ipv6_prefix": None, "mode": None,
}  # fmt: skip


def postfix_settings(base: Settings, **changes: Any) -> Settings:
    """Settings of a policy service on free ports of the loopback interface."""
    values = {"postfix_listen": "127.0.0.1:0", "postfix_health_listen": "127.0.0.1:0", **changes}
    return Settings.model_validate({**base.model_dump(), **values})


class Client:
    """One connection, as an smtpd keeps it."""

    def __init__(self, address: int | str) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(20)
        try:
            self.socket.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rb")

    def ask(self, raw: bytes | None = None, **fields: Any) -> str:
        """One request (the sample with other values, unless given whole): its action."""
        self.socket.sendall(request(**fields) if raw is None else raw)
        return self.read()

    def read(self) -> str:
        """The action of the next answer."""
        action, end = self._file.readline(), self._file.readline()
        assert (action[:7], action[-1:], end) == (b"action=", b"\n", b"\n"), (action, end)
        return action[7:-1].decode()

    def rest(self) -> bytes:
        """All that comes until the service ends the connection."""
        try:
            return self._file.read()
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class Service:
    """A policy service served by a thread."""

    def __init__(self, settings: Settings) -> None:
        self.postfix = Postfix(settings)
        self.ready = threading.Event()
        self.exit_code: int | None = None
        self.error: BaseException | None = None
        self._settings = settings
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._clients: list[Client] = []

    def _serve(self) -> None:
        try:
            self.exit_code = serve(self._settings, postfix=self.postfix, ready=lambda _: self.ready.set())
        except BaseException as error:  # noqa: BLE001 - `start` shows it
            self.error = error

    def start(self, *, ready: bool = True) -> None:
        self._thread.start()
        good = self.ready.is_set if ready else lambda: self.postfix.health_address and self.postfix.port
        wait_for(lambda: good() or not self._thread.is_alive(), "the policy service")
        assert self._thread.is_alive(), self.error

    def stop(self) -> None:
        self.postfix.request_stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def client(self, address: str | None = None) -> Client:
        client = Client(address or self.postfix.port)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if self._thread.is_alive():
            self.stop()
        assert self.error is None, self.error

    def count(self, sample: str, **labels: str) -> float:
        """A metric's value, 0 if it was never touched."""
        return self.postfix.metrics.registry.get_sample_value(sample, labels) or 0.0

    def answers(self, kind: str) -> float:
        return self.count("loginwatch_postfix_answers_total", answer=kind)

    def delivered(self, number: int) -> None:
        """Wait until Kafka has acknowledged so many reports."""
        wait_for(lambda: self.count("loginwatch_reports_total", outcome="delivered") >= number, f"{number} deliveries")

    def health(self, page: str = "ready") -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://{self.postfix.health_address}/health/{page}", timeout=20) as response:
                return response.status, orjson.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, orjson.loads(error.read())


@contextmanager
def open_service(settings: Settings, *, ready: bool = True) -> Iterator[Service]:
    """A policy service that is ready, stopped at the end."""
    service = Service(settings)
    service.start(ready=ready)
    try:
        yield service
    finally:
        service.close()


def write_policy(settings: Settings, scope: str, **fields: Any) -> None:
    """Put a policy on its topic, acknowledged; without fields the scope sets nothing any more."""
    record = {"scope": scope, **UNSET, **fields, "actor": "test", "time": now_ms()}
    _write(settings, POLICIES.name, scope, CODEC.encode("Policy", record) if fields else None)


def write_domain(settings: Settings, domain: str, group: str) -> None:
    """Put a domain into a group."""
    _write(settings, DOMAINS.name, domain, CODEC.encode("Domain", {"domain": domain, "group": group}))


def _write(settings: Settings, topic: str, key: str, value: bytes | None) -> None:
    producer = Producer(settings)
    producer.send(topic, value, key=key)
    producer.close(20)
