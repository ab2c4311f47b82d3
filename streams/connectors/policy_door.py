"""
The listener under the Postfix door: TCP and a unix socket, persistent connections, limits, and a stop that lets begun requests end.

Decision: what is answered is a plain function from request to bytes; everything that a connection can do wrong is dealt
with here. Postfix keeps a connection idle for 300 s and uses it for 1000 s (`smtpd_policy_service_max_idle`, `..._max_ttl`);
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

import structlog

from streams.bus.health import parse_listen
from streams.connectors.policy_protocol import PASS, Request, RequestReader
from streams.core.refusal import Refused
from streams.errors import ConfigurationError

LOG = structlog.get_logger(__name__)

IDLE_S = 1200
REQUEST_S = 20
"""For the rest of a request that has begun, and for a client to take its answers."""
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
        self._answer = answer
        self._on_refused = on_refused
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], RequestReader] = {}
        self._stopping = False
        self._socket_inode = 0
        self.port = 0
        """The port listened on (of interest when the setting says 0); 0 while there is none."""

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when an address cannot be had; then none is listened on."""
        try:
            if self._address is not None:
                await self._start_tcp(*self._address)
            if self._options.socket_path:
                await self._start_unix(Path(self._options.socket_path))
        except ConfigurationError:
            await self.stop(0)
            raise

    async def stop(self, timeout_s: float) -> None:
        """Accept no more, end idle connections, let begun requests end for at most `timeout_s`."""
        self._stopping = True
        for server in self._servers:
            server.close()
        self._remove_socket()
        for task, reader in self._connections.items():
            if not reader.halfway:
                task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)
        for task in (left := list(self._connections)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _start_tcp(self, host: str, port: int) -> None:
        try:
            server = await asyncio.start_server(self._connected, host, port, limit=PART_BYTES, backlog=BACKLOG)
        except OSError as error:
            raise _cannot_listen(self._options.listen, "postfix_listen", error) from error
        self._servers.append(server)
        self.port = int(server.sockets[0].getsockname()[1])

    async def _start_unix(self, path: Path) -> None:
        try:
            listener, self._socket_inode = _bind(path, int(self._options.socket_mode, 8))
            self._servers.append(
                await asyncio.start_unix_server(self._connected, sock=listener, limit=PART_BYTES, backlog=BACKLOG)
            )
        except OSError as error:
            raise _cannot_listen(str(path), "postfix_socket", error) from error

    def _remove_socket(self) -> None:
        path = Path(self._options.socket_path)
        with suppress(OSError):
            if self._socket_inode and path.stat().st_ino == self._socket_inode:
                path.unlink()

    async def _connected(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._stopping or len(self._connections) >= self._options.max_connections:
            self._on_refused("stopping" if self._stopping else "connections")
            writer.transport.abort()
            return
        reader = RequestReader(self._options.max_request_bytes)
        self._connections[task] = reader
        try:
            await self._converse(stream, writer, reader)
        except TimeoutError:
            if reader.halfway or writer.transport.get_write_buffer_size():
                self._on_refused("slow")
                writer.transport.abort()
        except OSError:
            self._on_refused("broken")
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            del self._connections[task]
            writer.close()

    async def _converse(
        self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter, reader: RequestReader
    ) -> None:
        """Answer until the client ends, falls silent, or a stop finds it between two requests."""
        while not self._stopping or reader.halfway:
            async with asyncio.timeout(REQUEST_S if reader.halfway else IDLE_S):
                part = await stream.read(PART_BYTES)
            if not part:
                if reader.halfway:
                    self._on_refused("broken")
                return
            for request in reader.feed(part):
                writer.write(self._answer(request))
            if reader.hopeless:
                self._on_refused("too-large")
                writer.write(PASS)
                return
            if writer.transport.get_write_buffer_size():
                async with asyncio.timeout(REQUEST_S):
                    await writer.drain()


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
    """Remove the socket of a process that is gone. Raises ConfigurationError when it is not gone, or no socket."""
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
    raise ConfigurationError(f"setting postfix_socket: another process serves {path}; stop it or choose another path")


def _cannot_listen(where: str, name: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {where}: {error.strerror or error}; stop what uses it, or change the setting {name}"
    )
