"""
The processes of the benchmark of doors: a broker where blocks change all the time, and one door, or an echo in its place.

A door's view is filled directly, since the embedded broker keeps no million records; the changes come by Kafka. `start` of
each waits until it is ready, `stop` ends it. Each is a process of its own, and none is that of the load generator.
"""

import asyncio
import time
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors import gateway, postfix
from streams.connectors.blocks_view import BlocksView
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

KEY = "a secret for the benchmark"
DOMAIN = b"@example.org"
PLACEHOLDER = b"user0000000"
CHANGES_PER_S = 200
CHUNK = 500
HOUR_MS = 3_600_000
LOOPBACK = {"gateway_listen": "127.0.0.1:0", "gateway_api_key": SecretStr(KEY), "postfix_listen": "127.0.0.1:0",
            "postfix_health_listen": "127.0.0.1:0"}  # fmt: skip


def broker(pipe: Connection, blocks: int) -> None:
    """An embedded broker; blocks change at a steady rate for as long as it is there. Says its settings."""
    with EmbeddedBroker(Settings(partitions=8)) as embedded:
        producer, begun, changes = Producer(embedded.settings), time.monotonic(), 0
        pipe.send(embedded.settings.model_copy(update=LOOPBACK))
        while True:
            time.sleep(1 / CHANGES_PER_S)
            while changes < (time.monotonic() - begun) * CHANGES_PER_S:
                key, raw = change(changes, blocks)
                producer.send(BLOCKS.name, raw, key=key)
                changes += 1
            producer.poll()


def change(number: int, blocks: int) -> tuple[bytes, bytes]:
    """Key and value: half of the changes renew a block, of the others each blocks a new account or lifts that again."""
    if number % 2 == 0:
        return account(number % blocks), block(number % blocks)
    new = blocks + number // 4
    return account(new), block(new) if number % 4 == 1 else block(new, state="open")


def gateway_door(pipe: Connection, settings: Settings, blocks: int) -> None:
    """The gateway. Says port and blocks loaded per second."""
    door = gateway.Gateway(settings)
    loaded = _fill(door._blocks, blocks)  # noqa: SLF001
    gateway.serve(settings, gateway=door, ready=lambda _: pipe.send((door.port, loaded)))


def postfix_door(pipe: Connection, settings: Settings, blocks: int) -> None:
    """The policy service. Says port and blocks loaded per second."""
    door = postfix.Postfix(settings)
    loaded = _fill(door._blocks, blocks)  # noqa: SLF001
    postfix.serve(settings, postfix=door, ready=lambda _: pipe.send((door.port, loaded)))


def echo(pipe: Connection, answer: bytes) -> None:
    """The least that a process in Python can do: one answer to whatever comes. Says port."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self._write = transport.write

        def data_received(self, _: bytes) -> None:
            self._write(answer)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        pipe.send((server.sockets[0].getsockname()[1], 0.0))
        await server.serve_forever()

    uvloop.run(serve())


def _fill(view: BlocksView, blocks: int) -> float:
    """Blocks per second of the view's own work, as it would read them from Kafka."""
    seconds = 0.0
    for first in range(0, blocks, CHUNK):
        chunk = [(account(number), block(number)) for number in range(first, min(blocks, first + CHUNK))]
        start = time.perf_counter()
        view.apply(chunk)
        seconds += time.perf_counter() - start
    return blocks / seconds


def name(number: int) -> bytes:
    """A user's name; as long as every other."""
    return b"user%07d" % number


def account(number: int) -> bytes:
    """The canonical account, the key of its block."""
    return name(number) + DOMAIN


def block(number: int, state: str = "blocked") -> bytes:
    """A Block, as the worker writes it; in force for an hour."""
    if state not in _BLOCKS:
        _BLOCKS[state] = _block(state)
    return _BLOCKS[state].replace(PLACEHOLDER, name(number))


_BLOCKS: dict[str, bytes] = {}


def _block(state: str) -> bytes:
    now = time.time_ns() // 1_000_000
    return Codec().encode(
        "Block",
        {"id": "00000000-0000-5000-8000-000000000000", "account": (PLACEHOLDER + DOMAIN).decode(), "state": state,
         "from": now, "until": now + HOUR_MS, "reason": "6 networks > 5",
         "incident": "00000000-0000-5000-8000-000000000001", "actor": "loginwatch", "except_networks": []},
    )  # fmt: skip
