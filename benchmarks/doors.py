"""
The gateway's `allow`: latency at a stated rate with a million blocks in its view, while blocks change.

Open loop: requests are due at fixed times, whatever became of earlier ones, and their latency counts from when they were
due, so a stall is seen by every request that it delays. The gateway is a process of its own; the load generator
another, on the same machine. `sent` is the same without what the generator itself was late.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import random
import resource
import threading
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors.blocks_view import BlocksView
from streams.connectors.gateway import Gateway, serve
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

KEY = "a secret for the benchmark"
PLACEHOLDER = b"user0000000"
CHANGES_PER_S = 200
CONNECTIONS = 64
WARM_UP_S = 2.0
PAUSE_S = 50e-6
CHUNK = 5_000
HOUR_MS = 3_600_000
SHARE_BLOCKED = 0.2


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Load the view, ask at the rate, and say how long answers took, in milliseconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    gateway = context.Process(target=_gateway, args=(theirs, options.blocks), daemon=True)
    gateway.start()
    try:
        loaded = ours.recv()
        due, sent, answers = uvloop.run(
            _ask(loaded["port"], options.rate, options.seconds, options.blocks, options.seed)
        )
        ours.send("stop")
        used = ours.recv()
    finally:
        gateway.join(10)
        gateway.kill()
    return {
        "blocks": options.blocks,
        "view_loaded_per_second": f"{loaded['per_second']:,.0f}",
        "rate": options.rate,
        "requests": len(due),
        "denied": answers["denied"],
        "wrong": answers["wrong"],
        "unanswered": answers["unanswered"],
        "ms_p50_p99_p999_max": _quantiles(due),
        "ms_sent_p50_p99_p999_max": _quantiles(sent),
        "cores_used": round(used["cpu_s"] / used["wall_s"], 2),
        "resident_mib": used["rss_mib"],
        "block_changes_meanwhile": used["changes"],
    }


def _gateway(pipe: Connection, blocks: int) -> None:
    """The process of the gateway: an empty topic, a view filled directly, and changes that come by Kafka."""
    with EmbeddedBroker(Settings(partitions=8)) as broker:
        settings = broker.settings.model_copy(
            update={"gateway_listen": "127.0.0.1:0", "gateway_api_key": SecretStr(KEY)}
        )
        gateway = Gateway(settings)
        view: BlocksView = gateway._blocks  # noqa: SLF001 - filled past Kafka, whose stand-in keeps no million records
        per_second = _fill(view, blocks)
        used: dict[str, Any] = {}

        def measure() -> None:
            start, cpu = time.monotonic(), time.process_time()
            changes = _change(settings, pipe, blocks)
            used.update(cpu_s=time.process_time() - cpu, wall_s=time.monotonic() - start, changes=changes)
            gateway.request_stop()

        def ready(_: Gateway) -> None:
            pipe.send({"port": gateway.port, "per_second": per_second})
            threading.Thread(target=measure).start()

        serve(settings, gateway=gateway, ready=ready)
        pipe.send({**used, "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10})


def _fill(view: BlocksView, blocks: int) -> float:
    """Blocks per second of the view's own work, as it would read them from Kafka."""
    raw, seconds = _block(), 0.0
    for first in range(0, blocks, CHUNK):
        chunk = [(_name(n) + b"@example.org", raw.replace(PLACEHOLDER, _name(n))) for n in range(first, first + CHUNK)]
        start = time.perf_counter()
        view.apply(chunk)
        seconds += time.perf_counter() - start
    return blocks / seconds


def _change(settings: Settings, pipe: Connection, blocks: int) -> int:
    """Renew blocks at a steady rate until told to stop: how many."""
    producer, raw, changes, start = Producer(settings), _block(), 0, time.monotonic()
    while not pipe.poll(1 / CHANGES_PER_S):
        while changes < (time.monotonic() - start) * CHANGES_PER_S:
            name = _name(changes % blocks)
            producer.send(BLOCKS.name, raw.replace(PLACEHOLDER, name), key=name + b"@example.org")
            changes += 1
        producer.poll()
    producer.close()
    return changes


def _block() -> bytes:
    """One Block in force, as the worker writes it; the account is to be replaced."""
    now = time.time_ns() // 1_000_000
    return Codec().encode(
        "Block",
        {"id": "00000000-0000-5000-8000-000000000000", "account": f"{PLACEHOLDER.decode()}@example.org",
         "state": "blocked", "from": now, "until": now + HOUR_MS, "reason": "6 networks > 5",
         "incident": "00000000-0000-5000-8000-000000000001", "actor": "loginwatch", "except_networks": []},
    )  # fmt: skip


def _name(number: int) -> bytes:
    return b"user%07d" % number


class _Client(asyncio.Protocol):
    """One connection, one request at a time, as a mail server has."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._got = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if separator and body.endswith(b"}"):
            self._got = b""
            self._load.answered(self, head, body)


class _Load:
    """Requests waiting for a connection, and what became of those sent."""

    def __init__(self) -> None:
        self.idle: deque[_Client] = deque()
        self.waiting: deque[tuple[float, bytes, bool]] = deque()
        self.open: dict[_Client, tuple[float, float, bool]] = {}
        self.due: list[float] = []
        self.sent: list[float] = []
        self.counts = {"denied": 0, "wrong": 0}

    def send(self) -> None:
        while self.waiting and self.idle:
            due, request, blocked = self.waiting.popleft()
            client = self.idle.popleft()
            self.open[client] = (due, time.perf_counter(), blocked)
            client.transport.write(request)

    def answered(self, client: _Client, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        due, sent, blocked = self.open.pop(client)
        self.idle.append(client)
        self.due.append(now - due)
        self.sent.append(now - sent)
        denied = body.startswith(b'{"status":-1')
        self.counts["denied"] += denied
        self.counts["wrong"] += denied is not blocked or not head.startswith(b"HTTP/1.1 200")
        self.send()


async def _ask(
    port: int, rate: int, seconds: float, blocks: int, seed: int
) -> tuple[list[float], list[float], dict[str, int]]:
    """Latencies in seconds, from when a request was due and from when it was sent, after the warm-up."""
    loop, load = asyncio.get_running_loop(), _Load()
    gc.disable()  # a pause of the generator would be taken for one of the gateway
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: _Client(load), "127.0.0.1", port)
        load.idle.append(client)
    requests = _requests(blocks, random.Random(seed))
    start, number, total, warm = time.perf_counter() + 0.1, 0, int(rate * (WARM_UP_S + seconds)), int(rate * WARM_UP_S)
    while number < total:
        now = time.perf_counter()
        while number < total and start + number / rate <= now:
            load.waiting.append((start + number / rate, *next(requests)))
            number += 1
            if number == warm:
                load.due, load.sent = [], []
        load.send()
        time.sleep(PAUSE_S)  # noqa: ASYNC251 - the loop's timers are coarser than the gaps between requests
        await asyncio.sleep(0)
    deadline = time.perf_counter() + 5
    while (load.open or load.waiting) and time.perf_counter() < deadline:  # noqa: ASYNC110 - two conditions, a deadline
        await asyncio.sleep(0.01)
    return load.due, load.sent, {**load.counts, "unanswered": len(load.open) + len(load.waiting)}


def _requests(blocks: int, chance: random.Random) -> Iterator[tuple[bytes, bool]]:
    """Dovecot's question, with its headers, and whether the account is blocked."""
    while True:
        blocked = chance.random() < SHARE_BLOCKED
        login = f"{'user' if blocked else 'free'}{chance.randrange(blocks):07d}@example.org"
        fields = {"device_id": "", "login": login, "protocol": "imap", "pwhash": "0ea9",
                  "remote": f"192.0.2.{chance.randrange(256)}", "session_id": "AD3usNVg/tJ/AAAB", "tls": False}  # fmt: skip
        body = json.dumps(fields, separators=(",", ":")).encode()
        head = (
            "POST /?command=allow HTTP/1.1\r\nHost: 127.0.0.1\r\nDate: Sun, 22 Nov 2026 04:12:52 GMT\r\n"
            f"User-Agent: dovecot/auth-policy-client\r\nContent-Length: {len(body)}\r\nConnection: Keep-Alive\r\n"
            f"Content-Type: application/json\r\nX-API-Key: {KEY}\r\n\r\n"
        )
        yield head.encode() + body, blocked


def _quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    places = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99, 0.999)]
    return " / ".join(f"{1000 * value:.2f}" for value in [*places, ordered[-1]])
