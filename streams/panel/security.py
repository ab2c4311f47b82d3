"""
What holds for every answer and every request, whatever the page: headers, names of this panel, what a proxy may say.

Decision: one pure ASGI layer around the whole app, so that files, errors and the API have the same headers as pages.
"""

from collections.abc import Iterable
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.bus.health import parse_listen
from streams.errors import ConfigurationError
from streams.metrics import PANEL_REQUESTS, PANEL_SECONDS, Metrics
from streams.panel.gate import PAGE
from streams.settings import Settings

CONTENT_SECURITY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
YEAR_S = 31_536_000
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
STATIC = "/static/"
OPERATORS = ("/metrics", "/health/live", "/health/ready")
"""For supervisors and scrapers that reach the listener itself: any Host, and not through a proxy."""


class Guard:
    """The outermost layer: refuses foreign Host headers, sets headers, counts answers."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], metrics: Metrics) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered = perf_counter(), [500]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered[0] = message["status"]
                _set_headers(scope, MutableHeaders(scope=message))
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, sending)
        self._count(scope, answered[0], perf_counter() - began)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if scope["path"] in OPERATORS:
            forwarded = "x-forwarded-for" in headers or "forwarded" in headers
            return PlainTextResponse("not found\n", 404) if forwarded else None
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(
                "This panel is not called by that name. Its operator can allow it with panel_url or panel_hosts.\n", 421
            )
        return None

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        page = str(scope.get(PAGE) or getattr(scope.get("route"), "path", "other"))
        self._metrics.of(PANEL_REQUESTS, page=page, status=str(status)).inc()
        self._metrics.of(PANEL_SECONDS, page=page).observe(seconds)


def known_hosts(settings: Settings) -> set[str]:
    """
    What the Host header may say: panel_url, panel_hosts, and the listener's own address.

    Raises ConfigurationError for a panel_url that is none.
    """
    hosts = {host.lower() for host in settings.panel_hosts}
    listen, port = parse_listen(settings.panel_listen, "panel_listen")
    names = {f"[{listen}]" if ":" in listen else listen, *LOOPBACK}
    hosts |= {f"{name}:{port}" for name in names} | (names if port in (80, 443) else set())
    if settings.panel_url:
        hosts.add(_url_host(settings.panel_url))
    return hosts


def own_address(settings: Settings) -> str:
    """The address of the listener itself, as a URL."""
    host, port = parse_listen(settings.panel_listen, "panel_listen")
    scheme = "https" if settings.panel_tls_cert_file else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _url_host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise ConfigurationError(f"setting panel_url: {url[:80]!r} is not https://host, without a path")
    return parts.netloc.lower()


def _set_headers(scope: Scope, headers: MutableHeaders) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if scope["path"].startswith(STATIC):
        # a page names a file with a mark of its content: another content has another address
        headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable" if scope["query_string"] else "no-cache"
    else:
        headers.setdefault("Cache-Control", "no-store")
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = f"max-age={YEAR_S}"
