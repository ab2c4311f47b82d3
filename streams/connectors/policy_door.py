"""
The listener under the Postfix door: TCP and a unix socket, persistent connections, limits, and a stop that lets begun requests end.

Decision: what is answered is a plain function from request to bytes; everything that a connection can do wrong is dealt
with here. A connection is a protocol without a task or a timeout of its own for every request: those cost more than the
answer. Postfix keeps a connection idle for 300 s and uses it for 1000 s (`smtpd_policy_service_max_idle`, `..._max_ttl`);
we wait longer, so that it is always Postfix who ends one.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from streams.bus.health import cannot_listen, parse_listen
from streams.connectors.policy_protocol import PASS, Request, RequestReader
from streams.core.refusal import Refused
from streams.errors import ConfigurationError, ListenError

LOG = structlog.get_logger(__name__)

IDLE_S = 1200
REQUEST_S = 20
"""For the rest of a request that has begun, and for a client to take its answers."""
FINISH_S = 1.0
"""For connections to end once they are aborted."""
PART_BYTES = 16_384
"""Read at once: also bounds how long one connection holds up the others."""
BACKLOG = 1024

Answerer = Callable[[Request | Refused], bytes]


@dataclass(frozen=True)
class PolicyDoorOptions:
    """How to listen: `listen` is host:port or "", `socket_path` a path or "", `socket_mode` its rights in octal."""

    listen: str
    socket_path: str
    socket_mode: str
    max_request_bytes: int
    max_connections: int


class PolicyDoor:
    """
    Serves policy requests with `answer`.

    `on_refused` is told a short reason for each connection that is ended early: connections, too-large, slow, broken.
    """

    def __init__(self, options: PolicyDoorOptions, answer: Answerer, on_refused: Callable[[str], None]) -> None:
        if not options.listen and not options.socket_path:
            raise ConfigurationError("nothing to listen on: set postfix_listen, postfix_socket or both")
        self._address = parse_listen(options.listen, "postfix_listen") if options.listen else None
        self._options = options
        self.answer = answer
        self.on_refused = on_refused
        self.most_bytes = options.max_request_bytes
        self.stopping = False
        """Begun requests are still answered; between two requests a connection ends."""
        self.part = bytearray(PART_BYTES)
        """What is read goes here first. One for all connections: it is used up before the next one is read."""
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Conversation] = set()
        self._all_ended = asyncio.Event()
        self._socket_inode = 0
        self.port = 0
        """The port listened on (of interest when the setting says 0); 0 while there is none."""

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises ListenError when an address cannot be had now, else ConfigurationError; then none is listened on."""
        try:
            if self._address is not None:
                await self._start_tcp(*self._address)
            if self._options.socket_path:
                await self._start_unix(Path(self._options.socket_path))
        except (ConfigurationError, ListenError):
            await self.stop(0)
            raise

    async def stop(self, timeout_s: float) -> None:
        """Accept no more, end idle connections, let begun requests end for at most `timeout_s`."""
        self.stopping = True
        for server in self._servers:
            server.close()
        self._remove_socket()
        for connection in self._connections:
            connection.finish()
        await self._until_all_ended(timeout_s)
        for connection in self._connections:
            connection.abort()
        await self._until_all_ended(FINISH_S)

    def opened(self, connection: "_Conversation") -> bool:
        """Count a connection; whether it may stay."""
        full = len(self._connections) >= self._options.max_connections
        if self.stopping or full:
            self.on_refused("connections" if full else "stopping")
            return False
        self._connections.add(connection)
        return True

    def ended(self, connection: "_Conversation") -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_ended.set()

    async def _until_all_ended(self, timeout_s: float) -> None:
        if self._connections:
            self._all_ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_ended.wait(), timeout_s)

    async def _start_tcp(self, host: str, port: int) -> None:
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: _Conversation(self), host, port, backlog=BACKLOG
            )
        except (OSError, UnicodeError) as error:
            raise cannot_listen(self._options.listen, "postfix_listen", error) from error
        self._servers.append(server)
        self.port = int(server.sockets[0].getsockname()[1])

    async def _start_unix(self, path: Path) -> None:
        try:
            listener, self._socket_inode = _bind(path, int(self._options.socket_mode, 8))
            self._servers.append(
                await asyncio.get_running_loop().create_unix_server(
                    lambda: _Conversation(self), sock=listener, backlog=BACKLOG
                )
            )
        except OSError as error:
            raise cannot_listen(str(path), "postfix_socket", error) from error

    def _remove_socket(self) -> None:
        path = Path(self._options.socket_path)
        with suppress(OSError):
            if self._socket_inode and path.stat().st_ino == self._socket_inode:
                path.unlink()


class _Conversation(asyncio.BufferedProtocol):
    """One connection: requests are answered in their order until the client ends, falls silent, or a stop finds it idle."""

    def __init__(self, door: PolicyDoor) -> None:
        self._door = door
        self._reader = RequestReader(door.most_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._heard_s = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._hurry: asyncio.TimerHandle | None = None
        self._full = False
        """The client does not take its answers: it is not read any more."""
        self._over = False
        """Its end is decided, and counted where it is one to be counted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if not self._door.opened(self):
            self.abort()
            return
        self._heard_s = self._loop.time()
        self._idle = self._loop.call_later(IDLE_S, self._look)

    def get_buffer(self, _: int) -> bytearray:
        return self._door.part

    def buffer_updated(self, size: int) -> None:
        self._heard_s = self._loop.time()
        answer = self._door.answer
        answers = [answer(request) for request in self._reader.feed(bytes(memoryview(self._door.part)[:size]))]
        if answers:
            self._transport.write(b"".join(answers))
        if self._reader.hopeless:
            self._transport.write(PASS)
            self._end("too-large")
        elif self._door.stopping:
            self.finish()
        elif size == PART_BYTES and not self._full:  # there may be more: others get their turn first
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)
        self._hurry_if_needed(anew=bool(answers))

    def eof_received(self) -> None:
        self._end("broken" if self._reader.halfway else "")

    def connection_lost(self, error: Exception | None) -> None:
        self._end("broken" if error is not None else "")
        for timer in (self._idle, self._hurry):
            if timer is not None:
                timer.cancel()
        self._door.ended(self)

    def pause_writing(self) -> None:
        self._full = True
        self._transport.pause_reading()
        self._hurry_if_needed()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()
        self._hurry_if_needed()

    def finish(self) -> None:
        """End it, unless a request has begun; then at its end."""
        if not self._reader.halfway:
            self._end("")

    def abort(self) -> None:
        """End it now."""
        self._over = True
        self._transport.abort()

    def _go_on(self) -> None:
        if not self._full and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self, why: str) -> None:
        """Close it after what was written is taken; `why` is for `on_refused`, "" for an end that is none of its faults."""
        if self._over:
            return
        self._over = True
        if why:
            self._door.on_refused(why)
        self._transport.close()

    def _hurry_if_needed(self, *, anew: bool = False) -> None:
        """Whoever has begun a request, or does not take answers, has not long. As a rule neither is so, and no timer runs."""
        needed = self._full or self._reader.halfway
        if self._hurry is not None and (anew or not needed):
            self._hurry.cancel()
            self._hurry = None
        if needed and self._hurry is None:
            self._hurry = self._loop.call_later(REQUEST_S, self._too_slow)

    def _too_slow(self) -> None:
        if not self._over:
            self._door.on_refused("slow")
        self.abort()

    def _look(self) -> None:
        """One timer for all requests: it looks when the last was, and waits for the rest of the time."""
        rest = self._heard_s + IDLE_S - self._loop.time()
        if rest <= 0 and self._transport.get_write_buffer_size():
            self._too_slow()
        elif rest <= 0:
            self._end("")
        else:
            self._idle = self._loop.call_later(rest, self._look)


def _bind(path: Path, mode: int) -> tuple[socket.socket, int]:
    """A unix socket and its inode. Smtpd runs as another user: until the rights are those of `mode`, there are none."""
    _clear_the_way(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        path.chmod(mode)
        return listener, path.stat().st_ino
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)


def _clear_the_way(path: Path) -> None:
    """Remove the socket of a process that is gone. Raises ListenError when it is not, ConfigurationError when it is no socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigurationError(f"setting postfix_socket: {path} exists and is no socket; choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise ListenError(f"setting postfix_socket: another process serves {path}; stop it or choose another path")
