"""A panel for tests, and browsers that visit it: cookies, forms with their tokens, and people of every role."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from typing import Any

import httpx
from argon2.profiles import RFC_9106_LOW_MEMORY

from streams.panel.app import make_app
from streams.panel.panel import Panel
from streams.panel.people.passwords import Passwords
from streams.panel.rights import Role
from streams.panel.store import people

HOST = "http://127.0.0.1:8080"
PASSWORD = "correct horse battery staple"
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')


class Browser:
    """What a browser does: keeps cookies, follows nothing by itself, sends forms with the token of the page they are on."""

    def __init__(self, app: Any, **headers: str) -> None:
        transport = httpx.ASGITransport(app=app, client=("198.51.100.7", 4711))
        self._client = httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers)

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._client.get(path, headers=headers)

    async def post(self, path: str, fields: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Send fields as they are, without a token unless they have one."""
        return await self._client.post(path, data=dict(fields or {}), headers=headers)

    async def send(self, page: str, fields: Mapping[str, Any] | None = None, *, to: str = "") -> httpx.Response:
        """Open a page and send its form."""
        shown = await self.get(page)
        return await self.post(to or page, {"csrf": token_of(shown.text), **(fields or {})})

    async def sign_in(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.send("/sign-in", {"name": name, "password": password, **more})

    async def is_signed_in(self) -> bool:
        return (await self.get("/profile")).status_code == 200


def token_of(page: str) -> str:
    """The token of the forms on a page; empty when it has none."""
    found = TOKEN.search(page)
    return found[1] if found else ""


def text_of(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def quick_passwords() -> Passwords:
    """Argon2id with the least that it can cost, for tests that sign in all the time."""
    return Passwords(replace(RFC_9106_LOW_MEMORY, time_cost=1, memory_cost=8, parallelism=1))


class Site:
    """A panel with its app, whose clock is moved by hand."""

    def __init__(self, panel: Panel, clock: "Clock") -> None:
        self.panel = panel
        self.clock = clock
        self.app = make_app(panel)
        self._hash = panel.passwords.hash(PASSWORD)

    def add(self, name: str, role: Role | str, *scopes: str, **values: Any) -> int:
        """A person who signs in with PASSWORD."""
        with self.panel.store.writing() as connection:
            return people.create(
                connection,
                name=name,
                role=str(role),
                scopes=scopes,
                now_ms=self.panel.now_ms(),
                **{"password_hash": self._hash, **values},
            )

    def browser(self, **headers: str) -> Browser:
        return Browser(self.app, **headers)

    async def signed_in(self, name: str, role: Role | str, *scopes: str, **values: Any) -> Browser:
        """A browser in which a new person is signed in."""
        self.add(name, role, *scopes, **values)
        browser = self.browser()
        assert (await browser.sign_in(name)).status_code == 303
        return browser


class Clock:
    """The panel's clock."""

    def __init__(self) -> None:
        self.now_ms = 1_770_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def pass_s(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
