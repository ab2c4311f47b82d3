"""What the tests of doors share: a running gateway, blocks to write, logins to read, waiting with a deadline."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from streams.bus.producer import Producer
from streams.connectors.gateway import Gateway, serve
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS, BY_NAME

KEY = "a secret for tests"
CODEC = Codec()
GOOD = {"device_id": "", "login": "alice@example.org", "protocol": "imap", "pwhash": "0ea9", "remote": "192.0.2.10",
        "session_id": "AD3usNVg/tJ/AAAB", "tls": False}  # fmt: skip
MINUTE_MS = 60_000
_numbers = itertools.count()


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true answer of `condition`; a failure that says what was waited for."""
    tick, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        tick.wait(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def gateway_settings(base: Settings, **changes: Any) -> Settings:
    """Settings of a gateway on a free port of the loopback interface, with the tests' secret."""
    values = {"gateway_listen": "127.0.0.1:0", "gateway_api_key": KEY, **changes}
    return Settings.model_validate({**base.model_dump(), **values})


class Door:
    """A gateway served by a thread, as the demo serves it, and one client connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.gateway: Gateway | None = None
        self.ready = False
        self.exit_code: int | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._client: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Serve, and wait until all blocks are loaded."""
        self.start_unready()
        wait_for(lambda: self.ready or not self._thread.is_alive(), "the gateway to be ready")
        assert self.ready, self.error

    def start_unready(self, *, fails: bool = False) -> None:
        """Serve, and wait until it listens (or, if it is to fail, until it ended)."""
        self._thread.start()
        wait_for(lambda: self.listening or not self._thread.is_alive(), "the gateway to listen")
        assert fails or self.listening, self.error

    @property
    def listening(self) -> bool:
        return self.gateway is not None and self.gateway.port != 0

    def _serve(self) -> None:
        def ready(gateway: Gateway) -> None:
            self.ready = True

        try:
            self.gateway = Gateway(self._settings)
            self.exit_code = serve(self._settings, gateway=self.gateway, ready=ready)
        except BaseException as error:  # noqa: BLE001 - `start` shows it
            self.error = error

    def stop(self) -> int | None:
        if self._client is not None:
            self._client.close()
            self._client = None
        assert self.gateway is not None
        self.gateway.request_stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.exit_code

    @property
    def port(self) -> int:
        assert self.gateway is not None
        return self.gateway.port

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """One request on the kept connection: status, body, headers."""
        if self._client is None:
            self._client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self._client.request(method, path, body, {"X-API-Key": KEY} if headers is None else headers)
        response = self._client.getresponse()
        return response.status, response.read(), dict(response.getheaders())

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """A well-formed request; the answer as JSON."""
        status, body, _ = self.request("POST", f"/?command={command}", json.dumps({**GOOD, **fields}).encode())
        assert status == 200
        return json.loads(body)

    def count(self, sample: str, **labels: str) -> float:
        """A metric's value, 0 if it was never touched."""
        assert self.gateway is not None
        return self.gateway.metrics.registry.get_sample_value(sample, labels) or 0.0


@contextmanager
def open_door(settings: Settings) -> Iterator[Door]:
    """A gateway that is ready, stopped at the end."""
    door = Door(settings)
    door.start()
    try:
        yield door
    finally:
        if door.exit_code is None:
            door.stop()


def block(account: str = "alice@example.org", **fields: Any) -> dict[str, Any]:
    """A Block in force for half an hour, unless the fields say otherwise."""
    now = now_ms()
    return {
        "id": f"00000000-0000-5000-8000-{next(_numbers):012d}", "account": account, "state": "blocked", "from": now,
        "until": now + 30 * MINUTE_MS, "reason": "4 networks > 3", "incident": None, "actor": "loginwatch",
        "except_networks": [], **fields,
    }  # fmt: skip


def write_blocks(settings: Settings, *blocks: dict[str, Any]) -> None:
    """Put Blocks on their topic, acknowledged."""
    producer = Producer(settings)
    for record in blocks:
        producer.send(BLOCKS.name, CODEC.encode("Block", record), key=record["account"])
    producer.close(20)


def read_all(settings: Settings, topic: str) -> list[tuple[bytes | None, dict[str, Any]]]:
    """Every record of a topic now: key and value."""
    declared = BY_NAME[topic]
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": "tests", "log_level": 0})
    try:
        places = [TopicPartition(topic, number, 0) for number in range(declared.partitions(settings))]
        left = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
        consumer.assign(places)
        found = []
        while len(found) < left:
            messages = consumer.consume(left - len(found), timeout=20)
            assert messages, f"{topic} does not give what it holds"
            found += [(message.key(), CODEC.decode(declared.record, message.value())) for message in messages]
        return found
    finally:
        consumer.close()
