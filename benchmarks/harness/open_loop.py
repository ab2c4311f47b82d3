"""
A load generator in open loop: requests are due at fixed times, whatever became of earlier ones.

Latency counts from when a request was due, so a stall is seen by every request that it delays, and, apart from that, from when it
was sent: the difference is what the generator itself was late, or had no connection free for. It takes about a
seventh of a core at 5,000 requests a second: raw sockets, requests made before the start, no collector, waits of
microseconds (`select` on the epoll; asyncio's timers and time.sleep are coarser than the gaps between requests).
"""

import ctypes
import gc
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CONNECTIONS = 64
"""As many as a mail server asks at once; one request at a time on each."""
PATIENCE_S = 5.0
ANSWER_BYTES = 65_536
SET_TIMERSLACK = 29
"""prctl(2): by default the kernel adds 50 microseconds to a wait, to wake fewer times."""


class Request(NamedTuple):
    """What is sent, and whether it should be denied."""

    raw: bytes
    denied: bool


class Wire(NamedTuple):
    """How answers look: how they begin and end, and what is only in those that deny."""

    begin: bytes
    end: bytes
    denied: bytes


@dataclass
class Found:
    """Latencies in seconds in the order of the answers, from when due and from when sent, and what the answers were."""

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    denied: int = 0
    wrong: int = 0
    unanswered: int = 0


def ask(port: int, wire: Wire, requests: Sequence[Request], rate: float, warm_up: int = 0) -> Found:
    """Send all at the rate, in turn over the connections; latencies of the first `warm_up` do not count."""
    ctypes.CDLL(None).prctl(SET_TIMERSLACK, 1)
    gc.collect()
    gc.freeze()
    gc.disable()
    run = _Run(port, wire, rate)
    try:
        return run.run(requests, warm_up)
    finally:
        run.close()
        gc.enable()
        gc.unfreeze()


class _Run:
    def __init__(self, port: int, wire: Wire, rate: float) -> None:
        self._wire, self._rate = wire, rate
        self._found = Found()
        self._epoll = select.epoll()
        self._clients = {client.fileno(): client for client in (_connected(port) for _ in range(CONNECTIONS))}
        self._idle = deque(self._clients.values())
        self._open: dict[int, tuple[float, float, bool]] = {}
        self._parts: dict[int, bytes] = {}
        for number in self._clients:
            self._epoll.register(number, select.EPOLLIN)

    def run(self, requests: Sequence[Request], warm_up: int) -> Found:
        clock, found, number, total = time.perf_counter, self._found, 0, len(requests)
        start = clock() + 0.01
        end = start + total / self._rate + PATIENCE_S
        while number < total or self._open:
            now = clock()
            if now > end:
                break
            while number < total and self._idle and (due := start + number / self._rate) <= now:
                self._send(requests[number], due)
                number += 1
                if number == warm_up:
                    found.due, found.sent = [], []
                now = clock()
            wait = start + number / self._rate - now if number < total and self._idle else PATIENCE_S
            select.select([self._epoll], [], [], max(0.0, wait))
            for client, _ in self._epoll.poll(0):
                self._receive(client)
        found.unanswered = total - number + len(self._open)
        return found

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._epoll.close()

    def _send(self, request: Request, due: float) -> None:
        client = self._idle.popleft()
        self._open[client.fileno()] = due, time.perf_counter(), request.denied
        client.sendall(request.raw)

    def _receive(self, number: int) -> None:
        client = self._clients[number]
        part = client.recv(ANSWER_BYTES)
        now = time.perf_counter()
        if not part:
            raise ConnectionError("the door has closed a connection under load")
        answer = self._parts.pop(number, b"") + part
        if not answer.endswith(self._wire.end):
            self._parts[number] = answer
            return
        due, sent, expected = self._open.pop(number)
        found, denied = self._found, self._wire.denied in answer
        found.due.append(now - due)
        found.sent.append(now - sent)
        found.denied += denied
        found.wrong += denied is not expected or not answer.startswith(self._wire.begin)
        self._idle.append(client)


def _connected(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setblocking(False)
    return client
