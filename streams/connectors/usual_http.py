"""
The usual request of a mail server, read by hand, and the connection over which nothing else comes.

Decision: aiohttp takes 70 of the 100 microseconds of an `allow`, most of them for what a mail server never sends. So a
request that has exactly the form below is answered here. At the first one that has not, the connection becomes aiohttp's
and stays so: it alone knows where that request ends, and what is refused, and how, is decided in one place. The answers
of both are the same bytes.
"""

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import Any, NamedTuple

END_OF_HEAD = b"\r\n\r\n"
LONGEST_HEAD = 4096
MOST_DIGITS = 7
PRINTABLE = bytes(range(0x20, 0x7F))
LINE_END = b"\r\n"
KNOWN = {
    name.lower().encode(): name
    for name in ("Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", "Date", "Host",
                 "User-Agent", "X-API-Key")
}  # fmt: skip
"""The fields of usual requests. None but Connection and Content-Length says where a request ends or what follows it."""
Command = Callable[[bytes, str], tuple[int, bytes]]
"""From a request's body and the peer's address to status and body of the answer, at once."""


class Usual(NamedTuple):
    """What a usual request says: its command, its header fields by their names in `KNOWN`, its body."""

    command: Command
    headers: Mapping[str, str]
    body: bytes


class UsualReader:
    """Knows the commands by their paths. Pure."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = {f"POST {path} HTTP/1.1".encode(): command for path, command in commands.items()}

    def read(self, data: bytes) -> Usual | None:
        """
        The request that `data` is, if it is exactly one and a usual one; else None.

        Usual: POST for a command, HTTP/1.1, known fields each at most once and in printable ASCII, a connection that is
        kept, a body of the announced length.
        """
        head, end, body = data.partition(END_OF_HEAD)
        first, *lines = head.split(LINE_END)
        command = self._commands.get(first)
        if command is None or not end or len(head) > LONGEST_HEAD:
            return None
        if head.translate(None, PRINTABLE) != LINE_END * len(lines):
            return None
        headers: dict[str, str] = {}
        for line in lines:
            field, _, value = line.partition(b":")
            name = KNOWN.get(field.lower())
            if name is None or name in headers:
                return None
            headers[name] = value.decode("ascii").strip(" ")
        length = headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > MOST_DIGITS or int(length) != len(body):
            return None
        if headers.get("Connection", "keep-alive").lower() != "keep-alive":
            return None
        return Usual(command, headers, body)


class Answers:
    """Answers in the bytes in which aiohttp writes them."""

    def __init__(self) -> None:
        self._heads: dict[int, bytes] = {}
        self._second = 0
        self._date = b""

    def of(self, status: int, body: bytes) -> bytes:
        """A whole answer: JSON, over a connection that is kept."""
        head = self._heads.get(status)
        if head is None:
            head = self._heads[status] = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                "Content-Type: application/json\r\nServer: loginwatch\r\nContent-Length: "
            ).encode()
        now = int(time())
        if now != self._second:
            self._second, self._date = now, f"\r\nDate: {formatdate(now, usegmt=True)}\r\n\r\n".encode()
        return head + b"%d" % len(body) + self._date + body


class UsualConnection(asyncio.Protocol):
    """
    One connection, until it ends or `unusual` makes the protocol that it goes on with.

    `answer` is given the bytes that came and the peer's address; None means that they are for the other protocol.
    `opened` may refuse the connection; `left` is told whether it was closed (or else handed over). A connection that says
    nothing for `keep_alive_s` is closed.
    """

    def __init__(
        self,
        answer: Callable[[bytes, str], bytes | None],
        unusual: Callable[[], asyncio.Protocol],
        opened: Callable[["UsualConnection"], bool],
        left: Callable[["UsualConnection", bool], None],
        keep_alive_s: float,
    ) -> None:
        self._answer = answer
        self._unusual = unusual
        self._opened = opened
        self._left = left
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._peer = ""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        self._transport = transport
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) else ""
        if not self._opened(self):
            self._transport.abort()
            return
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_later(self._keep_alive_s, self._look)

    def data_received(self, data: bytes) -> None:
        """From asyncio: answered at once, or handed over."""
        # who has not taken the last answer asks unusually; the other protocol knows how to wait for that
        answer = None if self._transport.get_write_buffer_size() else self._answer(data, self._peer)
        if answer is None:
            self._hand_over(data)
            return
        self._transport.write(answer)
        self._heard_s = self._loop.time()

    def connection_lost(self, _: Exception | None) -> None:
        """From asyncio, unless it was handed over."""
        self._end(closed=True)

    def close(self) -> None:
        """End it; it is idle, since every answer is given at once."""
        self._transport.close()

    def _hand_over(self, data: bytes) -> None:
        self._end(closed=False)
        protocol = self._unusual()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def _look(self) -> None:
        """One timer for all requests: it looks when the last was, and waits for the rest of the time."""
        rest = self._heard_s + self._keep_alive_s - self._loop.time()
        if rest <= 0:
            self.close()
            return
        self._timer = self._loop.call_later(rest, self._look)

    def _end(self, *, closed: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._left(self, closed)
