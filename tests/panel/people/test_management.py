"""Inviting, changing and disabling people; API tokens; the audit."""

import asyncio
from collections.abc import Callable

import pytest

from streams.panel.people.deeds import details
from streams.panel.rights import Role
from streams.panel.store import people, sign_in
from streams.panel.store.audit import Deed
from streams.panel.templating import DASH
from streams.panel.tokens import hash_of
from streams.panel.words import words_of
from tests.panel.visitors import PASSWORD, Site, text_of, token_of

OWNER = "owner@example.org"
CAROL = {"name": "carol@example.org", "role": "help_desk", "scopes": "example.org"}


async def test_somebody_is_invited_with_role_and_scopes(site: Site) -> None:
    """The link is shown once; the list of people shows the invitation without it, and it can be withdrawn."""
    browser = await site.signed_in(OWNER, Role.OWNER)

    shown = await browser.send("/people/invite", {**CAROL, "scopes": "example.org\nshops/berlin"})
    path = "/welcome/" + shown.text.split("/welcome/")[1].split("<")[0]
    listed = await browser.get("/people")

    assert shown.status_code == 200
    assert "carol@example.org" in listed.text
    assert path not in listed.text
    assert "shops/berlin" in listed.text
    assert (await site.browser().get(path)).status_code == 200

    withdrawn = listed.text.split("/people/invitations/")[1].split("/withdraw")[0]
    await browser.send("/people", to=f"/people/invitations/{withdrawn}/withdraw")
    assert (await site.browser().get(path)).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "owner"}, "role"),
        ({"role": "king"}, "role"),
        ({"scopes": "everything"}, "scopes"),
        ({"everything": "1"}, "scopes"),
        ({"scopes": "other.example"}, "scopes"),
        ({"scopes": "group:reseller-ab"}, "scopes"),
        ({"scopes": "not a scope:x"}, "scopes"),
        ({"scopes": ""}, "scopes"),
        ({"name": "no address"}, "name"),
        ({"name": "admin@example.org"}, "name"),
    ],
)
async def test_nobody_gives_more_than_they_have(site: Site, change: dict[str, str], field: str) -> None:
    """Roles up to one's own, scopes within one's own; each sentence stands beside its field and what was typed stays."""
    browser = await site.signed_in("admin@example.org", Role.ADMINISTRATOR, "domain:example.org", "group:reseller-a")

    answer = await browser.send("/people/invite", {**CAROL, **change})

    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text
    with site.panel.store.reading() as connection:
        assert sign_in.invitations(connection, now_ms=site.clock.now_ms) == ()


@pytest.mark.parametrize(
    "scopes_and_role",
    [
        (Role.OWNER, "everything"),
        (Role.ADMINISTRATOR, "everything"),
        (Role.READER, "domain:other.example"),
        (Role.READER, "domain:example.org", "domain:other.example"),
    ],
)
async def test_only_people_within_ones_own_scopes_are_seen(site: Site, scopes_and_role: tuple[str, ...]) -> None:
    """Others are neither listed nor opened nor changed, also those whose scopes lie only partly within."""
    role, *scopes = scopes_and_role
    other = site.add("other@elsewhere.example", role, *scopes)
    browser = await site.signed_in("admin@example.org", Role.ADMINISTRATOR, "domain:example.org")

    assert "elsewhere" not in (await browser.get("/people")).text
    assert (await browser.get(f"/people/{other}")).status_code == 404
    for step in ("", "/disable", "/remove", "/new-password", "/reset-second-factor", "/sign-out", "/enable"):
        fields = {"role": "reader", "scopes": "example.org"}
        assert (await browser.send("/people", fields, to=f"/people/{other}{step}")).status_code == 404


async def test_role_and_scopes_are_changed(site: Site) -> None:
    """The change holds, and the audit has before and after."""
    bert = site.add("bert@example.org", Role.READER, "domain:example.org")
    browser = await site.signed_in(OWNER, Role.OWNER)

    answer = await browser.send(f"/people/{bert}", {"role": "help_desk", "scopes": "domain:example.org\ngroup:a/b"})

    assert answer.status_code == 303
    assert "Saved." in (await browser.get(f"/people/{bert}")).text
    assert "Saved." not in (await browser.get(f"/people/{bert}")).text  # a message is shown once
    with site.panel.store.reading() as connection:
        person = people.by_id(connection, bert)
    assert person is not None
    assert (person.role, person.scopes) == ("help_desk", ("domain:example.org", "group:a/b"))
    assert "changed role or scopes" in (await browser.get("/audit")).text


async def test_nobody_changes_their_own_rights(site: Site) -> None:
    """Not even an owner."""
    browser = await site.signed_in(OWNER, Role.OWNER)
    with site.panel.store.reading() as connection:
        own = people.by_name(connection, OWNER)
    assert own is not None

    for step in ("", "/disable", "/remove"):
        answer = await browser.send("/people", {"role": "reader", "scopes": "a.example"}, to=f"/people/{own.id}{step}")
        assert answer.status_code == 403


async def test_the_last_owner_stays(site: Site) -> None:
    """An owner who comes by a token's rights, or a race, cannot leave the panel without one."""
    first = site.add("first@example.org", Role.OWNER)
    browser = await site.signed_in(OWNER, Role.OWNER)
    assert (await browser.send("/people", to=f"/people/{first}/disable")).status_code == 303

    with site.panel.store.writing() as connection:
        people.change(connection, first, disabled=False)
        people.change(connection, people.by_name(connection, OWNER).id, role="administrator")  # type: ignore[union-attr]
        people.set_scopes(connection, people.by_name(connection, OWNER).id, ["everything"])  # type: ignore[union-attr]

    assert (await browser.send("/people", to=f"/people/{first}/remove")).status_code == 404


async def test_owners_who_go_at_the_same_time_leave_one(make_site: Callable[..., Site], database: str) -> None:
    """Whoever comes second finds that there is no other owner any more, also with several panels."""
    site = make_site(panel_database=database)
    browser = await site.signed_in(OWNER, Role.OWNER)
    other = site.add("other@example.org", Role.OWNER)
    token = token_of((await browser.get("/people")).text)

    with site.panel.store.writing() as connection:
        people.change(connection, people.by_name(connection, OWNER).id, disabled=True)  # type: ignore[union-attr]
        sent = asyncio.ensure_future(browser.post(f"/people/{other}/disable", {"csrf": token}))
        assert not (await asyncio.wait([sent], timeout=0.3))[0]

    assert (await sent).status_code == 403
    with site.panel.store.reading() as connection:
        assert people.count(connection, role="owner") == 1


async def test_a_disabled_person_is_out_at_once(site: Site) -> None:
    """Sessions end, and the password opens nothing until they are let in again."""
    bert = await site.signed_in("bert@example.org", Role.READER, "domain:example.org")
    browser = await site.signed_in(OWNER, Role.OWNER)
    with site.panel.store.reading() as connection:
        number = people.by_name(connection, "bert@example.org").id  # type: ignore[union-attr]

    await browser.send("/people", to=f"/people/{number}/disable")

    assert not await bert.is_signed_in()
    assert (await bert.sign_in("bert@example.org")).status_code == 422
    await browser.send("/people", to=f"/people/{number}/enable")
    assert (await bert.sign_in("bert@example.org")).status_code == 303


async def test_a_token_is_shown_once_and_never_more_than_its_maker(site: Site) -> None:
    """It has a role and scopes of its own, within those of who makes it; the password is asked for."""
    browser = await site.signed_in("admin@example.org", Role.ADMINISTRATOR, "domain:example.org")
    fields = {"name": "export", "role": "reader", "scopes": "example.org", "days": "30", "current": PASSWORD}

    too_high = await browser.send("/profile/tokens/new", {**fields, "role": "owner"})
    too_wide = await browser.send("/profile/tokens/new", {**fields, "scopes": "other.example"})
    unproven = await browser.send("/profile/tokens/new", {**fields, "current": "no"})
    made = await browser.send("/profile/tokens/new", fields)
    token = made.text.split('id="token">')[1].split("<")[0]

    assert [answer.status_code for answer in (too_high, too_wide, unproven, made)] == [422, 422, 422, 200]
    assert token.startswith("lw_")
    assert token not in (await browser.get("/profile")).text
    with site.panel.store.reading() as connection:
        found = sign_in.token(connection, hash_of(token), now_ms=site.clock.now_ms)
    assert found is not None
    assert (found.role, found.scopes) == ("reader", ("domain:example.org",))


async def test_a_token_of_an_owner_has_no_smaller_scope(site: Site) -> None:
    """It would open everything none the less: whoever makes it is told so."""
    browser = await site.signed_in("owner@example.org", Role.OWNER, "everything")
    fields = {"name": "dashboard", "role": "owner", "scopes": "example.org", "days": "30", "current": PASSWORD}

    narrow = await browser.send("/profile/tokens/new", fields)
    whole = await browser.send("/profile/tokens/new", {**fields, "scopes": "", "everything": "1"})
    lower = await browser.send("/profile/tokens/new", {**fields, "role": "administrator"})

    assert [answer.status_code for answer in (narrow, whole, lower)] == [422, 200, 200]
    assert "An owner sees everything: choose everything, or a lower role." in narrow.text


async def test_the_audit_shows_only_ones_own_scope(site: Site) -> None:
    """What concerns people of other scopes is not listed."""
    await site.signed_in("bert@other.example", Role.READER, "domain:other.example")
    browser = await site.signed_in("admin@example.org", Role.ADMINISTRATOR, "domain:example.org")

    shown = text_of((await browser.get("/audit")).text)

    assert "admin@example.org" in shown
    assert "bert@other.example" not in shown


async def test_the_audit_is_filtered(site: Site) -> None:
    """By who, what and when; nonsense in a filter is no error."""
    browser = await site.signed_in(OWNER, Role.OWNER)
    await browser.send("/people/invite", CAROL)

    assert "carol@example.org" in (await browser.get("/audit?actor=owner@example.org&action=panel.")).text
    assert "carol@example.org" not in (await browser.get("/audit?action=policy.")).text
    assert (await browser.get("/audit?since=yesterday&until=9999-12-31&action=x")).status_code == 200
    assert (await browser.get("/audit?from=nonsense")).status_code == 404


def test_an_expiry_is_told_as_a_time() -> None:
    """Nobody reads milliseconds."""
    told = ({"expires": None}, {"expires": 1_767_225_600_000})
    deed = Deed("1", 0, "anna", "safe.add", "everyone", "", "192.0.2.0/24", "", *told, "")

    assert details(words_of("en"), deed) == [("expires", f"{DASH} → 2026-01-01 00:00 GMT")]
