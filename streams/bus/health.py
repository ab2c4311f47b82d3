"""
The small HTTP server of a process without one: /metrics, /health/live and /health/ready.

Decision: the standard library's threaded server. It answers a scraper and a supervisor a few times a minute, must
answer while the process is busy, and must not need an event loop of its own. Only GET and HEAD, short requests, short
waits.
"""

import errno
import ipaddress
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from time import monotonic
from types import TracebackType
from typing import Any, Self

import structlog

from streams.errors import ConfigurationError, ListenError
from streams.metrics import Metrics

log = structlog.get_logger(__name__)

Reasons = Callable[[], list[str]]
"""Why the process is not ready now, a sentence each; empty = ready."""

REQUEST_TIMEOUT_S = 5.0
MOST_CONNECTIONS = 32
MOST_HEADER_BYTES = 8_192
HIGHEST_PORT = 65_535
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"
PASSING = {
    errno.EADDRINUSE: "it is in use. Stop what uses it or choose another address",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address now. Bring it up or choose another address",
    socket.EAI_AGAIN: "its name cannot be looked up now. See to the name server, or write an address",
}
"""What may be over at the next attempt: taken for a wrong setting, it would leave a mail server without its door."""


def parse_listen(text: str, setting: str = "listen address") -> tuple[str, int]:
    """
    Host and port of a listen address; port 0 is any free one.

    Raises ConfigurationError that names the setting.

    >>> parse_listen("127.0.0.1:9101")
    ('127.0.0.1', 9101)
    >>> parse_listen("[::1]:0")
    ('::1', 0)
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise ConfigurationError(f"setting {setting}: {text[:80]!r} is not host:port, for instance 127.0.0.1:9101")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise ConfigurationError(f"setting {setting}: {host[:80]!r} in brackets is not an IPv6 address")
    elif ":" in host:
        raise ConfigurationError(f"setting {setting}: write an IPv6 address in brackets, for instance [::1]:9101")
    if not (port.isascii() and port.isdecimal() and int(port[:6]) <= HIGHEST_PORT):
        raise ConfigurationError(f"setting {setting}: {port[:20]!r} is not a port number from 0 to {HIGHEST_PORT}")
    return host, int(port)


def reachable(host: str) -> str:
    """
    The address to ask, as in a URL, where a process of this machine listens on `host`, which may stand for all of them.

    >>> reachable("0.0.0.0"), reachable("::"), reachable("::1")
    ('127.0.0.1', '[::1]', '[::1]')
    """
    if host in ("0.0.0.0", "*"):  # noqa: S104 - it is only compared
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def cannot_listen(listen: str, setting: str, error: OSError | UnicodeError) -> ConfigurationError | ListenError:
    """The error that says why: a ListenError for what may pass, a ConfigurationError for what only another setting mends."""
    start = f"setting {setting}: cannot listen on {listen}"
    code = getattr(error, "errno", None)
    if code is None and "could not bind on any address" in str(error):  # so asyncio of newer Pythons says it
        code = errno.EADDRNOTAVAIL
    if code in PASSING:
        return ListenError(f"{start}: {PASSING[code]}")
    text = getattr(error, "strerror", None) or str(error)
    return ConfigurationError(f"{start}: {text}. Choose another address")


class HealthServer:
    """
    Serves the metrics and health of this process until `stop`.

    `listen` is `host:port`. `ready` answers /health/ready (503 with its reasons); `live` likewise /health/live, which a
    supervisor takes as a reason to restart. `remarks` are shown beside the reasons of `ready` and change no status: what
    an operator should know of a process that does its work. `address` is where it really listens.
    """

    def __init__(
        self,
        listen: str,
        *,
        metrics: Metrics,
        ready: Reasons,
        live: Reasons | None = None,
        remarks: Reasons = list,
        setting: str = "listen address",
    ) -> None:
        host, port = parse_listen(listen, setting)
        pages = {"/metrics": _metrics_page(metrics), "/health/ready": _health_page("ready", ready, remarks)}
        pages["/health/live"] = _health_page("live", live or (list))
        try:
            self._server = _Server((host, port), pages)
        except (OSError, UnicodeError) as error:
            raise cannot_listen(listen, setting, error) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Host and port in use, as in a URL."""
        host = str(self._server.server_address[0])
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._thread.start()
        log.debug("health listens", address=self.address)

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


Page = Callable[[], tuple[HTTPStatus, str, bytes]]


def _metrics_page(metrics: Metrics) -> Page:
    return lambda: (HTTPStatus.OK, PROMETHEUS, metrics.page())


def _health_page(word: str, reasons: Reasons, remarks: Reasons = list) -> Page:
    def page() -> tuple[HTTPStatus, str, bytes]:
        found = reasons()
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return status, JSON, dumps({word: not found, "reasons": found + remarks()}).encode()

    return page


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], pages: dict[str, Page]) -> None:
        self.address_family = socket.AF_INET6 if _is_ipv6(address[0]) else socket.AF_INET
        self.pages = pages
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread, unless too many are open already."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is no event; a page that fails is logged where it fails."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_TIMEOUT_S
    server_version = "loginwatch"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def handle_one_request(self) -> None:
        """One request with a bounded head; a longer one ends the connection."""
        self.rfile = _Bounded(self.rfile, self.connection)  # type: ignore[assignment]
        super().handle_one_request()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Requests are not logged."""

    def _answer(self, *, with_body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        try:
            status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, JSON, b'{"error": "not found"}')
        except Exception:
            log.exception("health page failed", path=self.path.partition("?")[0])
            status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, JSON, b'{"error": "see the log"}'
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(body)


class _Bounded:
    """A request stream that breaks off after `MOST_HEADER_BYTES`, and after `REQUEST_TIMEOUT_S`, however it trickles."""

    def __init__(self, stream: Any, connection: socket.socket) -> None:
        self._stream = stream
        self._connection = connection
        self._left = MOST_HEADER_BYTES
        self._until = monotonic() + REQUEST_TIMEOUT_S

    def readline(self, limit: int = -1) -> bytes:
        """The next line, as far as the bounds allow."""
        if self._left <= 0:
            raise ConnectionAbortedError("the head of the request is too long")
        most = self._left if limit < 0 else min(limit, self._left)
        line = b""
        while len(line) < most and not line.endswith(b"\n"):
            self._connection.settimeout(max(self._until - monotonic(), 0.001))
            there = len(self._stream.peek(1))  # receives once at most, where a whole line is received until it is there
            if not there:
                break
            line += self._stream.readline(min(most - len(line), there))
        self._left -= len(line)
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self._stream.closed)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
