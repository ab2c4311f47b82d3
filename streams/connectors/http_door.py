"""
The HTTP listener under a door: addresses, TLS, secrets, limits, keep-alive and a stop that loses no request.

Decision: what a door answers is a plain function from body to status and body; everything that a network can do wrong is
dealt with here, once, by aiohttp. In front of it stands a reader of the one form in which mail servers ask
(`usual_http.py`). A mail server keeps one connection per concurrent request and closes idle ones after about 10 s
(Dovecot): we wait longer, or a request would meet a closing connection and the login would pass unasked.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import ERROR

from streams.bus.health import cannot_listen, parse_listen
from streams.connectors.usual_http import Answers, Command, UsualConnection, UsualReader
from streams.errors import ConfigurationError

LOG = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""Also how long a connection may take over its first request."""
BODY_TIMEOUT_S = 5
LINGER_S = 2
LONGEST_LINE = 4096
LONGEST_HEADER = 4096
MOST_HEADERS = 64
BACKLOG = 1024
KEY_HEADER = "X-API-Key"
LONGEST_SECRET = 4096
JSON = "application/json"


@dataclass(frozen=True)
class Call:
    """
    A command that may wait: `run` makes status and body of the answer from a request's body and the peer's address.

    An empty `method` takes any.
    """

    method: str
    run: Callable[[bytes, str], Awaitable[tuple[int, bytes]]]


Page = Callable[[], tuple[int, str, bytes]]
"""Status, content type and body of a page for GET, served without a secret."""


@dataclass(frozen=True)
class DoorOptions:
    """How to listen. An empty `secret` lets everybody ask; `setting` names the setting of `listen` for error texts."""

    listen: str
    setting: str
    secret: str
    max_request_bytes: int
    max_connections: int
    tls_cert_file: str = ""
    tls_key_file: str = ""


class HttpDoor:
    """
    One listener: commands by POST and calls by their own method (`/?command=X` and `/command/X`), pages by GET.

    `on_refused` is told a short reason for each request that no command saw: unauthorized, too-large, method, unknown,
    slow, broken, fault, connections.
    """

    def __init__(
        self,
        options: DoorOptions,
        commands: Mapping[str, Command],
        pages: Mapping[str, Page],
        on_refused: Callable[[str], None],
        calls: Mapping[str, Call] | None = None,
    ) -> None:
        self._options = options
        self._commands = {path: command for name, command in commands.items() for path in _paths(name)}
        self._calls = {path: call for name, call in (calls or {}).items() for path in _paths(name)}
        self._pages = pages
        self._on_refused = on_refused
        self._address = parse_listen(options.listen, options.setting)
        self._tls = _tls_context(options)
        self._server: _Aiohttp | None = None
        self._listener: asyncio.Server | None = None
        self._reader = UsualReader(self._commands)
        self._answers = Answers()
        self._usual: set[UsualConnection] = set()
        self._open = 0

    @property
    def port(self) -> int:
        """The port listened on (of interest when the setting says 0); 0 while there is none."""
        sockets = self._listener.sockets if self._listener is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    @property
    def connections(self) -> int:
        """Open connections."""
        return self._open

    @property
    def usual_connections(self) -> int:
        """Those of them over which nothing but usual requests came so far."""
        return len(self._usual)

    async def start(self) -> None:
        """Listen. Raises ListenError when the address cannot be had now, ConfigurationError when it never can be."""
        self._server = _Aiohttp(self._handle, self._options, self._gone, self._on_refused)
        host, port = self._address
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._connection, host, port, ssl=self._tls, backlog=BACKLOG
            )
        except (OSError, UnicodeError) as error:
            raise cannot_listen(self._options.listen, self._options.setting, error) from error

    async def stop(self, timeout_s: float) -> None:
        """Accept no more, end idle connections, wait for open requests at most `timeout_s`."""
        if self._listener is not None:
            self._listener.close()
        for connection in self._usual:
            connection.close()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(timeout_s)

    def _connection(self) -> UsualConnection:
        assert self._server is not None
        return UsualConnection(self._answer, self._server, self._opened, self._left, KEEP_ALIVE_S)

    def _opened(self, connection: UsualConnection) -> bool:
        """Connections over the bound are closed at once."""
        self._open += 1
        self._usual.add(connection)
        if self._open <= self._options.max_connections:
            return True
        self._on_refused("connections")
        return False

    def _left(self, connection: UsualConnection, closed: bool) -> None:
        self._usual.discard(connection)
        if closed:
            self._gone()

    def _gone(self) -> None:
        self._open -= 1

    def _answer(self, data: bytes, peer: str) -> bytes | None:
        """The answer to a usual request of somebody who may ask; None for aiohttp's part."""
        usual = self._reader.read(data)
        if usual is None or len(usual.body) > self._options.max_request_bytes:
            return None
        if self._options.secret and not is_authorised(usual.headers, self._options.secret):
            return None
        return self._answers.of(*usual.command(usual.body, peer))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        command = self._commands.get(request.raw_path) or self._commands.get(_command_path(request.raw_path))
        if command is not None:
            body = await self._body(request, "POST")
            if not isinstance(body, bytes):
                return body
            status, answer = command(body, request.remote or "")
            return _response(status, answer, JSON)
        call = self._calls.get(request.raw_path) or self._calls.get(_command_path(request.raw_path))
        if call is not None:
            return await self._call(call, request)
        page = self._pages.get(request.raw_path.partition("?")[0])
        if page is None:
            return self._refuse(404, "unknown", "No such command: use for instance /?command=allow or /command/ping")
        if request.method not in ("GET", "HEAD"):
            return self._refuse(405, "method", "Use GET", Allow="GET, HEAD")
        status, content_type, body = page()
        return _response(status, body, content_type)

    async def _call(self, call: Call, request: web.BaseRequest) -> web.Response:
        body = await self._body(request, call.method)
        if not isinstance(body, bytes):
            return body
        status, answer = await call.run(body, request.remote or "")
        return _response(status, answer, JSON)

    async def _body(self, request: web.BaseRequest, method: str) -> bytes | web.Response:
        """The body of a request that may be answered, or the refusal of one that may not."""
        if method and request.method != method:
            return self._refuse(405, "method", f"Use {method}", Allow=method)
        if self._options.secret and not is_authorised(request.headers, self._options.secret):
            return self._refuse(401, "unauthorized", "Unauthorized", **{"WWW-Authenticate": 'Basic realm="wforce"'})
        if (request.content_length or 0) > self._options.max_request_bytes:
            return self._refuse(413, "too-large", f"Over {self._options.max_request_bytes} bytes", Connection="close")
        try:
            if request.content.is_eof():  # it came with the headers, as nearly always: nothing to wait for
                return await request.read()
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, "too-large", f"Over {self._options.max_request_bytes} bytes", Connection="close")
        except TimeoutError:
            return self._refuse(408, "slow", f"The body took over {BODY_TIMEOUT_S} seconds", Connection="close")
        except web.RequestPayloadError:
            return self._refuse(400, "broken", "The body is not what the headers announce", Connection="close")

    def _refuse(self, status: int, reason: str, sentence: str, **headers: str) -> web.Response:
        """The form of weakforced's failures: `status` is a word, which no client takes for a verdict."""
        self._on_refused(reason)
        body = orjson.dumps({"status": "failure", "reason": sentence})
        return _response(status, body, JSON, **headers)


class _Aiohttp(web.Server):
    """
    aiohttp's low-level server with our limits, for connections that are handed to it. `gone` is told when one ends.

    What is no HTTP it answers 400 by itself; `on_refused` is told then.
    """

    def __init__(
        self, handler: Any, options: DoorOptions, gone: Callable[[], None], on_refused: Callable[[str], None]
    ) -> None:
        super().__init__(
            handler,
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
            auto_decompress=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        self._options = options
        self._gone = gone
        self._on_refused = on_refused

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        if message is ERROR:  # the handler will not see it
            self._on_refused("broken")
        limit = self._options.max_request_bytes
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=limit)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._gone()


def _hide_broken(record: logging.LogRecord) -> bool:
    """Whether aiohttp may log this: not what is no HTTP, since it quotes the line, which may hold the secret."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


logging.getLogger("aiohttp.server").addFilter(_hide_broken)


def is_authorised(headers: Mapping[str, str], secret: str) -> bool:
    """Is the secret in the key header, or the password of basic authentication (any user name)? In constant time."""
    expected = secret.encode()
    given = headers.get(KEY_HEADER)
    if given is not None:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic" or len(token) > LONGEST_SECRET:
        return False
    try:
        password = base64.b64decode(token.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(password, expected)


def _paths(name: str) -> tuple[str, str]:
    return f"/?command={name}", f"/command/{name}"


def _command_path(raw_path: str) -> str:
    """The usual form of a path whose command stands between other parameters; "" if there is none."""
    try:
        parts = urlsplit(raw_path)
        commands = parse_qs(parts.query).get("command", [])
    except ValueError:
        return ""
    if parts.path == "/" and len(commands) == 1:
        return f"/command/{commands[0]}"
    return parts.path if not commands else ""


def _response(status: int, body: bytes, content_type: str, **headers: str) -> web.Response:
    return web.Response(
        status=status, body=body, headers={"Content-Type": content_type, "Server": "loginwatch", **headers}
    )


def _tls_context(options: DoorOptions) -> ssl.SSLContext | None:
    if not options.tls_cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert_file, options.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"cannot use the certificate {options.tls_cert_file} with the key "
            f"{options.tls_key_file or '(the same file)'}: {error}"
        ) from error
    return context
