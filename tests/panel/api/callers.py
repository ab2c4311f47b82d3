"""Programs that call the API of a panel: tokens of every role, by the store as the page makes them."""

from typing import Any

import httpx

from streams.panel.people.api_tokens import PREFIX as TOKEN_PREFIX
from streams.panel.rights import Role
from streams.panel.store import people, sign_in
from streams.panel.tokens import hash_of, new_token
from tests.panel.visitors import HOST, Site

MAKER = "maker@own.example"


def token(site: Site, role: Role, *scopes: str, maker: Role = Role.OWNER, expires_ms: int | None = None) -> str:
    """A new token of a person who has at least its role, and everything as scope; an owner's has that too, if none is named."""
    made = TOKEN_PREFIX + new_token()
    now_ms = site.panel.now_ms()
    with site.panel.store.writing() as connection:
        person = people.by_name(connection, MAKER)
        number = (
            people.create(connection, name=MAKER, role=maker.value, scopes=("everything",), now_ms=now_ms)
            if person is None
            else person.id
        )
        sign_in.add_token(
            connection,
            token_hash=hash_of(made),
            name="test",
            person_id=number,
            role=role.value,
            scopes=scopes or (("everything",) if role is Role.OWNER else ()),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
    return made


class Program:
    """Calls with a token; an empty one is none."""

    def __init__(self, site: Site, with_token: str) -> None:
        headers = {"Authorization": f"Bearer {with_token}"} if with_token else {}
        transport = httpx.ASGITransport(app=site.app, client=("198.51.100.7", 4711))
        self._client = httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers)

    async def __call__(self, method: str, path: str, sent: Any = None, **asked: Any) -> httpx.Response:
        """One call under /api/v1."""
        return await self._client.request(method, f"/api/v1{path}", json=sent, params=asked or None)

    async def send_text(self, method: str, path: str, text: str, kind: str) -> httpx.Response:
        """One call with a body that is no JSON."""
        return await self._client.request(method, f"/api/v1{path}", content=text, headers={"Content-Type": kind})
