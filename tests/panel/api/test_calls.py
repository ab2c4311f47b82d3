"""Who may call what, and what a call answers that cannot be done."""

import re

import pytest

from streams.panel.api import API
from streams.panel.rights import ROLE_RIGHTS, Right, Role
from streams.panel.store import people
from tests.panel.api.callers import MAKER, Program, token
from tests.panel.store.feeding import fill
from tests.panel.store.population import Population
from tests.panel.visitors import Site

OWN = "own.example"
CALLS = {name: right for calls in API for name, right in calls.rights.items()}


def address(path: str) -> str:
    """The path, its parameters filled."""
    return re.sub(r"\{\w+(?::path)?\}", "domain:other.example", path)


def test_every_call_of_the_app_has_a_right(site: Site) -> None:
    """What the description names is what the list of rights has: nothing is served beside it."""
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in site.app.openapi()["paths"].items()
        for method in methods
    }

    assert described == {(method, re.sub(":path", "", path)) for method, path in CALLS}


async def test_nobody_calls_without_a_valid_token(site: Site) -> None:
    """None, an unknown one, one that is over, and a cookie of somebody who is signed in: 401 everywhere."""
    browser = await site.signed_in("anna@own.example", Role.OWNER)
    for method, path in CALLS:
        for given in ("", "lw_unknown", token(site, Role.OWNER, expires_ms=site.panel.now_ms())):
            answer = await Program(site, given)(method, address(path))
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    assert (await browser.get("/api/v1/incidents")).status_code == 401


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_calls_exactly_what_it_has_the_right_to(site: Site, role: Role) -> None:
    """403 without the right, whatever is sent; with it something else."""
    program = Program(site, token(site, role, f"domain:{OWN}"))
    for (method, path), right in CALLS.items():
        if right in ROLE_RIGHTS[role] and method != "GET":
            continue  # needs Kafka
        answer = await program(method, address(path), None if method == "GET" else {"nonsense": 1})
        assert (answer.status_code == 403) is (right not in ROLE_RIGHTS[role]), (method, path, answer.text)


async def test_a_foreign_scope_is_not_there(site: Site) -> None:
    """Lists are empty of it, and what is named is not found."""
    fill(site.panel.store, Population(5, domains=3, accounts=4).story(20))
    everything = Program(site, token(site, Role.OWNER))
    program = Program(site, token(site, Role.ADMINISTRATOR, f"domain:{OWN}"))
    seen = (await everything("GET", "/incidents")).json()["items"]

    assert len(seen) > 0
    assert (await program("GET", "/incidents")).json()["items"] == []
    assert (await program("GET", f"/incidents/{seen[0]['id']}")).status_code == 404
    assert (await everything("GET", f"/incidents/{seen[0]['id']}")).json()["line"] == seen[0]
    for method, path, body in (
        ("GET", "/accounts/a@other.example/policy", None),
        ("GET", "/policies/domain:other.example", None),
        ("PUT", "/policies/everyone", {"fields": {"allowed_ips": 1}}),
        ("DELETE", "/policies/domain:other.example", None),
        ("POST", "/accounts/a@other.example/block", {}),
        ("PUT", "/domains/other.example", {"group": None}),
        ("POST", f"/incidents/{seen[0]['id']}/review", {"verdict": "other"}),
    ):
        assert (await program(method, path, body)).status_code == 404, path


@pytest.mark.parametrize("role", [Role.READER, Role.HELP_DESK, Role.ADMINISTRATOR])
async def test_every_call_is_closed_to_a_foreign_scope(site: Site, role: Role) -> None:
    """Whatever is named of another domain is not found or refused, and no list has it: for every call that there is."""
    fill(site.panel.store, Population(5, domains=1, accounts=3).story(20))
    found = (await Program(site, token(site, Role.OWNER))("GET", "/incidents")).json()["items"][0]
    domain = found["account"].rpartition("@")[2]
    stranger = site.add(f"boss@{domain}", Role.READER, f"domain:{domain}")
    names = {
        "incident": found["id"],
        "account": found["account"],
        "scope": f"domain:{domain}",
        "domain": domain,
        "person": str(stranger),
        "invitation": "1",
    }
    program = Program(site, token(site, role, f"domain:{OWN}"))
    for (method, path), right in CALLS.items():
        if right not in ROLE_RIGHTS[role]:
            continue
        filled = re.sub(r"\{(\w+)(?::path)?\}", lambda name: names[name[1]], path)
        asked = {"scope": names["scope"], "network": "192.0.2.0/24"} if path.startswith("/safe-networks") else {}
        answer = await program(method, filled, bodies(domain).get((method, path)), **asked)

        named = method != "GET" or filled != path
        assert answer.status_code in ((403, 404, 422) if named else (200, 404)), (method, path, answer.text)
        assert answer.status_code != 422 or path == "/invitations", (method, path, answer.text)
        assert found["account"] not in answer.text.replace(filled, ""), (method, path)


def bodies(domain: str) -> dict[tuple[str, str], object]:
    """What each call takes, about a domain; those that take nothing are not named."""
    person = {"role": "reader", "scopes": [f"domain:{OWN}"]}
    return {
        ("POST", "/incidents/{incident}/review"): {"verdict": "other"},
        ("POST", "/accounts/{account:path}/block"): {},
        ("POST", "/accounts/{account:path}/unblock"): {},
        ("POST", "/accounts/{account:path}/reset"): {},
        ("POST", "/safe-networks"): {"scope": f"domain:{domain}", "network": "192.0.2.0/24", "description": "x"},
        ("PUT", "/policies/{scope:path}"): {"fields": {"allowed_ips": 1}},
        ("PUT", "/domains/{domain}"): {"group": None},
        ("POST", "/domains/import"): f"{domain},a/b",
        ("PUT", "/people/{person}"): person,
        ("POST", "/invitations"): {**person, "name": f"new@{domain}", "scopes": [f"domain:{domain}"]},
    }


async def test_a_token_is_never_worth_more_than_its_maker(site: Site) -> None:
    """Once its maker has a lower role, smaller scopes, or is disabled, it is refused."""
    for role, scope in (("reader", "everything"), ("administrator", "domain:a.example")):
        program = Program(site, token(site, Role.ADMINISTRATOR, f"domain:{OWN}"))
        assert (await program("GET", "/incidents")).status_code == 200
        change(site, scope, role=role)
        assert (await program("GET", "/incidents")).status_code == 401
        change(site, "everything", role="owner")
    program = Program(site, token(site, Role.READER, "everything"))
    change(site, "everything", disabled=True)
    assert (await program("GET", "/incidents")).status_code == 401


async def test_a_token_of_an_owner_with_a_smaller_scope_opens_nothing(site: Site) -> None:
    """There are such from before they were refused, and they would open everything."""
    narrow = Program(site, token(site, Role.OWNER, f"domain:{OWN}"))
    whole = Program(site, token(site, Role.OWNER, "everything"))

    assert (await narrow("GET", "/incidents")).status_code == 401
    assert (await whole("GET", "/incidents")).status_code == 200


def change(site: Site, *scopes: str, **values: object) -> None:
    """Change the person whose tokens they are."""
    with site.panel.store.writing() as connection:
        person = people.by_name(connection, MAKER)
        assert person is not None
        people.set_scopes(connection, person.id, scopes)
        people.change(connection, person.id, **values)


async def test_what_is_wrong_is_said(site: Site) -> None:
    """As problem documents with a sentence that names the field or value."""
    program = Program(site, token(site, Role.OWNER))
    for (method, path, body), status, word in (
        (("POST", "/accounts/a@own.example/block", {"minutes": 0}), 422, "minutes"),
        (("POST", "/accounts/a@own.example/block", {"why": "x"}), 422, "why"),
        (("PUT", "/policies/nowhere", {"fields": {}}), 422, "is no scope"),
        (("GET", "/incidents?cursor=x", None), 400, "another list"),
        (("GET", "/incidents?since_ms=yesterday", None), 422, "since_ms"),
        (("GET", "/nothing", None), 404, "nothing here"),
        (("PATCH", "/incidents", None), 405, "nothing here"),
        (("POST", "/accounts/a@own.example/block", {"reason": "x" * 70_000}), 413, ""),
    ):
        answer = await program(method, path, body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        assert answer.json()["status"] == status
        assert word in answer.json()["detail"].lower(), answer.text


async def test_a_browser_that_is_led_to_a_call_shows_nothing(site: Site) -> None:
    """Answers are downloads that nobody keeps, and nothing guesses another type."""
    program = Program(site, token(site, Role.OWNER))
    for path in ("/incidents", "/nothing", "/people", "/incidents?size=x"):
        headers = (await program("GET", path)).headers
        assert headers["content-disposition"] == 'attachment; filename="api.json"'
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_what_changes_something_needs_more_than_reading() -> None:
    """So that a token for a reader is harmless."""
    assert Right.READ not in {right for (method, _), right in CALLS.items() if method != "GET"}
