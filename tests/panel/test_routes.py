"""Every route as every role and for a foreign scope: a new route is covered by itself."""

import re
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from streams.panel.app import routes
from streams.panel.rights import ROLE_RIGHTS, Open, Right, Role
from streams.panel.web import Page
from tests.panel.store.feeding import fill
from tests.panel.store.population import Population
from tests.panel.visitors import Browser, Site, token_of

OWN = "own.example"
OPERATORS = {"/metrics", "/health/live", "/health/ready"}
ROUTES = list(routes())
GUARDED = [page for page in ROUTES if isinstance(page.demands, Right)]
PERSONAL = [page for page in ROUTES if page.demands is Open.SIGNED_IN]


def address(page: Page, **values: str) -> str:
    """The page's path, its parameters filled."""
    return re.sub(r"\{(\w+)(?::path)?\}", lambda found: quote(values.get(found[1], "1"), safe="@"), page.path)


def named(page: Page) -> str:
    return f"{page.method} {page.path}"


async def visit(browser: Browser, page: Page, path: str, fields: dict[str, str] | None = None) -> int:
    """Open a page, or send a form with a right token and these fields."""
    if page.method == "GET":
        return (await browser.get(path)).status_code
    token = token_of((await browser.get("/profile")).text)
    return (await browser.post(path, {"csrf": token, **(fields or {})})).status_code


def test_every_route_of_the_app_is_a_page_with_a_right(site: Site) -> None:
    """Nothing is served beside the list that the other tests walk over, but files, health and metrics."""
    pages = {(page.method, page.path) for page in ROUTES}
    for route in site.app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
        elif isinstance(route, APIRoute):
            assert route.path.startswith("/api/")
        elif isinstance(route, Route) and route.path not in OPERATORS and not route.path.startswith("/api/"):
            methods = (route.methods or set()) - {"HEAD"}
            assert {(method, route.path) for method in methods} <= pages


async def test_an_address_with_a_nul_is_not_there(site: Site) -> None:
    """PostgreSQL takes no text with one: it is refused before anything is asked, in the path and in the query."""
    browser = await site.signed_in("owner@own.example", Role.OWNER)
    read = [page for page in ROUTES if page.method == "GET"]
    asked = [f"{address(page)}?q=a%00b" for page in read]
    named_so = [re.sub(r"\{\w+(?::path)?\}", "a%00b", page.path) for page in read if "{" in page.path]

    assert [path for path in (*asked, *named_so) if (await browser.get(path)).status_code != 404] == []


def test_no_route_is_written_twice() -> None:
    """The second one would never be reached."""
    names = [named(page) for page in ROUTES]

    assert sorted(set(names)) == sorted(names)


async def test_who_is_not_signed_in_sees_no_page(site: Site) -> None:
    """Pages send to the sign-in page, forms are refused."""
    for page in (*GUARDED, *PERSONAL):
        path = address(page)
        browser = site.browser()
        status = (await browser.get(path) if page.method == "GET" else await browser.post(path, {})).status_code

        assert status == (303 if page.method == "GET" else 401), named(page)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_opens_exactly_what_it_has_the_right_to(site: Site, role: Role) -> None:
    """403 without the right; with it, anything but 401, 403 without a reason of its own, and 500."""
    browser = await site.signed_in("somebody@own.example", role, f"domain:{OWN}")
    for page in GUARDED:
        allowed = page.demands in ROLE_RIGHTS[role]
        if allowed and page.method == "POST":
            continue  # the next test sends forms that are allowed
        status = await visit(browser, page, address(page))

        assert (status == 403) is not allowed, f"{named(page)} as {role}: {status}"
        assert status < 500, named(page)


async def test_a_foreign_scope_is_closed_to_every_role(site: Site) -> None:
    """No page shows, and no form changes, what lies outside of one's scopes; it is answered as if it were not there."""
    population = Population(1, domains=1, accounts=3)
    told = list(population.story(6))
    fill(site.panel.store, told)
    incident, account = next(
        (value["id"], value["account"]) for topic, _, value in told if topic == "incidents" and value
    )
    domain = account.rpartition("@")[2]
    stranger = site.add(f"boss@{domain}", Role.READER, f"domain:{domain}")
    values = {"incident": incident, "account": account, "person": str(stranger), "domain": domain}
    fields = {
        **values,
        "scope": f"domain:{domain}",
        "network": "192.0.2.0/24",
        "range": "24",
        "address": "192.0.2.1",
        "description": "hotel",
        "group": "some/group",
        "domains": f"{domain},some/group",
        "csv": f"domain,group\n{domain},some/group\n",
        "verdict": "travelling",
        "reason": "because",
        "role": "reader",
        "scopes": f"domain:{domain}",
        "name": "new@own.example",
    }
    owner = await site.signed_in("owner@own.example", Role.OWNER)
    [change] = [page for page in GUARDED if named(page) == "POST /people/{person}"]
    assert account in (await owner.get("/incidents")).text  # so that the rest proves something
    assert await visit(owner, change, address(change, **values), fields) == 303

    for role in (Role.READER, Role.HELP_DESK, Role.ADMINISTRATOR):
        browser = await site.signed_in(f"{role}@own.example", role, f"domain:{OWN}")
        for page in GUARDED:
            if page.demands not in ROLE_RIGHTS[role]:
                continue
            path = address(page, **values)
            status = await visit(
                browser, page, f"{path}?scope=domain:{domain}&account={account}&network=192.0.2.0/24", fields
            )
            if page.method == "POST" or "{" in page.path:
                assert status in (403, 404, 422), f"{named(page)} as {role}: {status}"
            if page.method == "GET":
                shown = (await browser.get(path)).text.replace(f"{quote(account)}", "")
                assert account not in shown, f"{named(page)} as {role}"
