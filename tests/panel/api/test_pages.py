"""Lists of the API come in pages, each list the same way."""

from collections.abc import Iterator

import pytest

from streams.panel.rights import Role
from streams.panel.store import sign_in
from tests.panel.api.callers import MAKER, Program, token
from tests.panel.store.feeding import Told, fill
from tests.panel.store.population import Population
from tests.panel.visitors import Site

LONG = f"account:{'x' * 250}@{'y' * 60}.example"
"""A name as long as an account may have: a cursor that has it is longer than a name."""
KEYS = {"/policies": "scope", "/domains": "domain", "/people": "name", "/invitations": "name"}
LISTS = (*KEYS, "/incidents", "/blocks", "/safe-networks", "/audit")
SORTED = {
    "/policies": ["everyone", "group:a", "domain:one.example", "account:a@one.example", LONG],
    "/domains": [f"d{number}.example" for number in range(5)],
    "/people": [*sorted(f"p{number}@one.example" for number in range(4)), MAKER],
    "/invitations": [f"i{number}@one.example" for number in reversed(range(5))],
}
SORTED["/people"].sort()


def told() -> Iterator[Told]:
    """Policies and domains, not in their order."""
    population = Population(3)
    yield from (("policies", scope, population.policy(scope)) for scope in reversed(SORTED["/policies"]))
    yield from (("domains", name, {"domain": name, "group": "a"}) for name in reversed(SORTED["/domains"]))


@pytest.fixture
def program(site: Site) -> Program:
    """Somebody who sees everything of a panel that has five of each."""
    fill(site.panel.store, told())
    for name in reversed(SORTED["/people"]):
        if name != MAKER:
            site.add(name, Role.READER, "domain:one.example")
    now_ms = site.clock.now_ms
    with site.panel.store.writing() as connection:
        for at, name in enumerate(reversed(SORTED["/invitations"])):
            sign_in.invite(
                connection,
                token_hash=name,
                purpose="invite",
                actor="a",
                now_ms=now_ms + at // 2,  # some at the same time
                expires_ms=now_ms + 1000,
                name=name,
                role="reader",
                scopes=["domain:one.example"],
            )
    return Program(site, token(site, Role.OWNER))


@pytest.mark.parametrize("path", list(KEYS))
async def test_a_list_is_read_page_by_page_and_back(program: Program, path: str) -> None:
    """Every row once, in the order of the list; `previous` leads to the page before."""

    async def page(cursor: str | None) -> dict[str, object]:
        answer = await program("GET", path, size=2, **({} if cursor is None else {"cursor": cursor}))
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    pages = [await page(None)]
    while (cursor := pages[-1]["next"]) is not None:
        pages.append(await page(str(cursor)))
    back = await page(str(pages[2]["previous"]))

    assert [names(found, path) for found in pages] == [SORTED[path][at : at + 2] for at in (0, 2, 4)]
    assert [found["partial"] for found in pages] == [False] * 3
    assert back["items"] == pages[1]["items"]
    assert pages[0]["previous"] is None


def names(page: dict[str, object], path: str) -> list[str]:
    items = page["items"]
    assert isinstance(items, list)
    return [item[KEYS[path]] for item in items]


@pytest.mark.parametrize("path", LISTS)
async def test_pages_of_all_lists_are_asked_for_alike(program: Program, path: str) -> None:
    """The same form, the same bounds, and the same refusals."""
    answer = await program("GET", path)

    assert answer.json().keys() == {"items", "next", "previous", "partial"}
    assert [(await program("GET", path, size=size)).status_code for size in (0, 500, 501)] == [422, 200, 422]
    assert (await program("GET", path, cursor="x")).status_code == 400
    assert (await program("GET", path, cursor="")).status_code == 200


async def test_a_page_of_invitations_that_are_over_leads_back(site: Site, program: Program) -> None:
    """Those behind the cursor were taken back meanwhile."""
    first = (await program("GET", "/invitations", size=4)).json()
    last = (await program("GET", "/invitations", cursor=first["next"])).json()["items"]
    await program("DELETE", f"/invitations/{last[0]['id']}")

    behind = (await program("GET", "/invitations", cursor=first["next"])).json()
    back = (await program("GET", "/invitations", size=4, cursor=behind["previous"])).json()

    assert (behind["items"], behind["next"]) == ([], None)
    assert back["items"] == first["items"]


async def test_a_page_has_fifty_rows_unless_asked_otherwise(site: Site, program: Program) -> None:
    """Domains and policies too, however many there are; a part of the name narrows them."""
    more = [f"more{number:03}.example" for number in range(60)]
    population = Population(4)
    fill(site.panel.store, [("domains", name, {"domain": name, "group": "b"}) for name in more], first_offset=50)
    scopes = [f"account:a@{name}" for name in more]
    fill(site.panel.store, [("policies", scope, population.policy(scope)) for scope in scopes], first_offset=500)

    assert len((await program("GET", "/policies")).json()["items"]) == 50
    assert len((await program("GET", "/domains")).json()["items"]) == 50
    some = (await program("GET", "/domains", text="MORE", size=5)).json()
    others = (await program("GET", "/domains", text="MORE", cursor=some["next"], size=500)).json()
    assert [row["domain"] for row in (*some["items"], *others["items"])] == more
