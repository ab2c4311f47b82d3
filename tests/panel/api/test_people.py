"""People by the API: the same rules as on the pages, and nothing that they sign in with."""

import pytest

from streams.panel.rights import Role
from streams.panel.store import people, sign_in
from tests.panel.api.callers import Program, token
from tests.panel.visitors import Site

NEW_PASSWORD = {"password": "a heap of unrelated words", "again": "a heap of unrelated words"}


def program(site: Site, role: Role = Role.OWNER, *scopes: str) -> Program:
    return Program(site, token(site, role, *scopes))


async def test_somebody_is_invited_joins_is_changed_and_removed(site: Site) -> None:
    """From the link to the last trace but the audit, which says who did it and by which address."""
    call = program(site)
    sent = {"name": "Carol@example.org", "role": "help_desk", "scopes": ["domain:Example.org"]}

    made = await call("POST", "/invitations", sent)
    [invited] = (await call("GET", "/invitations")).json()["items"]
    browser = site.browser()
    path = made.json()["link"].removeprefix(site.panel.address)
    assert (await browser.send(path, NEW_PASSWORD)).status_code == 303
    everybody = (await call("GET", "/people")).json()["items"]
    carol = next(person for person in everybody if person["name"] == "carol@example.org")
    changed = await call(
        "PUT", f"/people/{carol['id']}", {"role": "reader", "scopes": ["group:a/b", "domain:x.example"]}
    )
    whole = (await call("GET", f"/people/{carol['id']}")).json()

    assert (made.status_code, changed.status_code) == (201, 204)
    assert (invited["name"], invited["scopes"]) == ("carol@example.org", ["domain:example.org"])
    assert (carol["role"], carol["has_password"], carol["has_second_factor"]) == ("help_desk", True, False)
    assert (whole["person"]["role"], whole["person"]["scopes"]) == ("reader", ["domain:x.example", "group:a/b"])
    assert len(whole["sessions"]) == 1
    assert "hash" not in str(whole)

    assert (await call("POST", f"/people/{carol['id']}/end-sessions")).status_code == 204
    assert not await browser.is_signed_in()
    assert (await call("DELETE", f"/people/{carol['id']}")).status_code == 204
    assert (await call("GET", f"/people/{carol['id']}")).status_code == 404
    deeds = (await call("GET", "/audit", action="panel.")).json()["items"]
    assert {"panel.invited", "panel.person_changed", "panel.sessions_ended", "panel.person_removed"} <= {
        deed["action"] for deed in deeds
    }
    assert {deed["address"] for deed in deeds} == {"198.51.100.7"}


async def test_who_is_disabled_is_kept_out_until_enabled(site: Site) -> None:
    """Sessions end with it; a new password comes by a link that works once, and without the second factor that was lost."""
    call = program(site)
    browser = await site.signed_in("carol@example.org", Role.READER, "domain:example.org")
    number = site.add("dora@example.org", Role.READER, "domain:example.org")
    carol = number - 1

    assert (await call("POST", f"/people/{carol}/disable")).status_code == 204
    assert not await browser.is_signed_in()
    assert (await call("POST", f"/people/{carol}/enable")).status_code == 204
    with site.panel.store.writing() as connection:
        people.change(connection, carol, totp_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    assert (await call("POST", f"/people/{carol}/reset-second-factor")).status_code == 204
    made = await call("POST", f"/people/{carol}/new-password")
    path = made.json()["link"].removeprefix(site.panel.address)

    assert (await site.browser().send(path, NEW_PASSWORD)).headers["location"] == "/"
    assert (await site.browser().send(path, NEW_PASSWORD)).status_code in (403, 404)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"role": "owner"}, "offered"),
        ({"role": "king"}, "role"),
        ({"scopes": ["everything"]}, "within your own"),
        ({"scopes": ["domain:other.example"]}, "within your own"),
        ({"scopes": []}, "at least one"),
        ({"scopes": ["nowhere"]}, "no scope of a person"),
        ({"name": "no address"}, "mail address"),
        ({"name": "maker@own.example"}, "already"),
        ({"display": "x"}, "display"),
    ],
)
async def test_nobody_gives_more_than_the_token_has(site: Site, changed: dict[str, object], word: str) -> None:
    """Roles up to its own, scopes within its own; the sentence says what is wrong, and nobody is invited."""
    call = program(site, Role.ADMINISTRATOR, "domain:example.org")
    good = {"name": "carol@example.org", "role": "reader", "scopes": ["domain:example.org"]}

    answer = await call("POST", "/invitations", {**good, **changed})

    assert answer.status_code == 422
    assert word in answer.json()["detail"]
    with site.panel.store.reading() as connection:
        assert sign_in.invitations(connection, now_ms=site.clock.now_ms) == ()


async def test_nobody_changes_themselves_and_the_last_owner_stays(site: Site) -> None:
    """The maker of the token is who calls; and who is above the token, or elsewhere, is not there."""
    call = program(site)
    number = site.add("second@example.org", Role.OWNER)
    maker = number - 1
    with site.panel.store.writing() as connection:
        people.change(connection, number, disabled=True)
    small = program(site, Role.ADMINISTRATOR, "domain:example.org")
    elsewhere = site.add("far@other.example", Role.READER, "domain:other.example")

    assert (await call("DELETE", f"/people/{maker}")).status_code == 403
    assert (await call("PUT", f"/people/{maker}", {"role": "reader", "scopes": ["domain:a.b"]})).status_code == 403
    assert (await call("DELETE", f"/people/{number}")).status_code == 204
    for person in (maker, elsewhere, 4711):
        assert (await small("DELETE", f"/people/{person}")).status_code == 404
        assert (await small("GET", f"/people/{person}")).status_code == 404
    assert (await small("GET", "/people")).json()["items"] == []
