"""Real receivers of webhooks, and a doveadm API that answers as Dovecot 2.4 does, for the tests of enforcement."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.ports import free_port

SECRET = "a secret for webhooks"
KEY = "a key for doveadm"


@dataclass
class Hook:
    """What came, and what is answered: `answers` one after the other, then 200; a gate that is shut answers nobody."""

    answers: list[int] = field(default_factory=list)
    fate: Callable[[dict[str, Any]], int | None] = lambda _body: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    tried: list[dict[str, Any]] = field(default_factory=list)
    """Every request's body."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    """Those that were answered 2xx."""
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: int = 0
    elsewhere: str = "http://127.0.0.1:1/"
    """Where a redirect points to."""

    def __post_init__(self) -> None:
        self.gate.set()

    def told(self, account: str | None = None) -> list[tuple[str, str]]:
        """Account and event, in the order in which they were taken."""
        return [(body["account"], body["event"]) for body in self.taken if account in (None, body["account"])]

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        signature = base64.b64encode(hmac.new(SECRET.encode(), raw, hashlib.sha256).digest()).decode()
        assert hmac.compare_digest(request.headers["X-Loginwatch-Signature"], signature)
        body = json.loads(raw)
        self.tried.append(body)
        self.headers.append(dict(request.headers))
        await self.gate.wait()
        status = self.fate(body) or (self.answers.pop(0) if self.answers else 200)
        if status == 1:
            self.hung_up += 1
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if status < 300:
            self.taken.append(body)
        return web.Response(status=status, headers={"Location": self.elsewhere} if 300 <= status < 400 else {})


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Any], port: int | None = None, certificate: Path | None = None
) -> AsyncIterator[str]:
    """An HTTP server on loopback, or with a certificate and its key (one file) an HTTPS server: its URL."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = port or free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Dovecot24:
    """Answers as captured from 2.4.1: `authCacheFlush` with a user ends the process, which answers nothing more."""

    def __init__(self, sessions: dict[str, list[str]], *, flush: str = "user") -> None:
        self.sessions = sessions
        self.flush = flush
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.panics = 0

    async def handle(self, request: web.Request) -> web.Response:
        expected = f"X-Dovecot-API {base64.b64encode(KEY.encode()).decode()}"
        if request.headers.get("Authorization") != expected:
            return web.Response(status=401, headers={"WWW-Authenticate": "X-Dovecot-API"})
        if request.method == "GET":
            parameters = {"kick": "mask", "who": "mask", "authCacheFlush": self.flush}
            return web.json_response(
                [
                    {"command": name, "parameters": [{"name": given, "type": "array"}]}
                    for name, given in parameters.items()
                ]
            )
        answers = []
        for name, given, tag in await request.json():
            self.commands.append((name, given))
            if name == "authCacheFlush" and "user" in given:
                self.panics += 1
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            answers.append(["doveadmResponse", self._rows(name, given), tag])
        return web.json_response(answers)

    def _rows(self, name: str, given: dict[str, Any]) -> list[dict[str, str]]:
        if name == "authCacheFlush":
            return [{"entries": "1"}]
        account, *network = given["mask"]
        there = self.sessions.get(account, [])
        if name == "who":
            return [{"username": account, "service": "imap", "pid": "7", "ip": ip, "dest_ip": ""} for ip in there]
        gone = [ip for ip in there if not network or network[0].partition("/")[0] == ip]
        if account in self.sessions:
            self.sessions[account] = [ip for ip in there if ip not in gone]
        return [{"count": str(len(gone))}]
