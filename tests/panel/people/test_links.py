"""Links that work once, and the owners that the command line makes."""

import pytest

from streams.errors import NotFoundError, UsageError
from streams.panel.people import owners
from streams.panel.people.links import INVITE, SIGN_IN, make_link
from streams.panel.rights import Role
from streams.panel.store import people
from tests.panel.visitors import Site, token_of

NEW = {"password": "a heap of unrelated words", "again": "a heap of unrelated words"}


def link(site: Site, purpose: str = INVITE, **values: object) -> str:
    given = {"name": "carol@example.org", "role": "help_desk", "scopes": ("domain:example.org",)} | values
    with site.panel.store.writing() as connection:
        return make_link(connection, purpose, actor="boss", now_ms=site.clock.now_ms, lifetime_ms=3_600_000, **given)  # type: ignore[arg-type]


async def test_an_invitation_makes_its_person_once(site: Site) -> None:
    """Name, role and scopes are those of the inviter's choice; the same link opens nothing a second time."""
    path = link(site)
    browser = site.browser()

    shown = await browser.get(path)
    done = await browser.send(path, {**NEW, "role": "owner", "name": "mallory@example.org"})
    again = await site.browser().get(path)

    assert "carol@example.org" in shown.text
    assert done.status_code == 303
    assert again.status_code == 404
    assert await browser.is_signed_in()
    with site.panel.store.reading() as connection:
        carol = people.by_name(connection, "carol@example.org")
    assert carol is not None
    assert (carol.role, carol.scopes) == ("help_desk", ("domain:example.org",))


async def test_opening_a_link_uses_nothing_up(site: Site) -> None:
    """Mail scanners open links; what a link is for happens when its form is sent."""
    path = link(site)
    for _ in range(3):
        assert (await site.browser().get(path)).status_code == 200

    assert (await site.browser().send(path, NEW)).status_code == 303


async def test_a_link_ends_with_its_time(site: Site) -> None:
    """An old invitation is nothing."""
    path = link(site)
    browser = site.browser()
    await browser.get(path)
    site.clock.pass_s(3601)

    assert (await browser.send("/sign-in", NEW, to=path)).status_code == 404


async def test_a_weak_password_does_not_use_the_link_up(site: Site) -> None:
    """The sentence stands beside the field, and the link still works."""
    path = link(site)
    browser = site.browser()

    short = await browser.send(path, {"password": "short", "again": "short"})
    other = await browser.send(path, {"password": NEW["password"], "again": "something else entirely"})

    assert (short.status_code, other.status_code) == (422, 422)
    assert "12" in short.text
    assert (await browser.send(path, NEW)).status_code == 303


async def test_a_sign_in_link_asks_for_the_second_factor_too(site: Site) -> None:
    """A link replaces the password, not the app."""
    person = site.add("owner@example.org", Role.OWNER)
    with site.panel.store.writing() as connection:
        people.change(connection, person, totp_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    browser = site.browser()

    answer = await browser.send(link(site, SIGN_IN, person_id=person))

    assert answer.headers["location"] == "/sign-in/code"
    assert not await browser.is_signed_in()


async def test_the_first_owner_comes_from_the_command_line(site: Site) -> None:
    """There is no default password: the link is all, and it sets one."""
    now = owners.create_owner(site.panel.store, site.panel.settings, "Owner@Example.org", actor="root")
    site.clock.now_ms = owners._now_ms()
    path = now.removeprefix(site.panel.address)
    browser = site.browser()

    assert now.startswith("http://127.0.0.1:8080/welcome/")
    assert (await browser.send(path, NEW)).status_code == 303
    assert (await browser.get("/people")).status_code == 200
    assert (await site.browser().sign_in("owner@example.org", NEW["password"])).status_code == 303


async def test_an_owner_who_lost_the_password_gets_a_new_one(site: Site) -> None:
    """The same command for somebody who is there: sessions end, and a disabled owner is let in again."""
    person = site.add("owner@example.org", Role.OWNER)
    with site.panel.store.writing() as connection:
        people.change(connection, person, disabled=True)
    found = owners.create_owner(site.panel.store, site.panel.settings, "owner@example.org", actor="root")
    site.clock.now_ms = owners._now_ms()

    answer = await site.browser().send(found.removeprefix(site.panel.address), NEW)

    assert answer.status_code == 303
    assert (await site.browser().sign_in("owner@example.org", NEW["password"])).status_code == 303


def test_what_the_command_line_refuses(site: Site) -> None:
    """Somebody who is no owner is not made one in passing; a link needs an owner, and one who is meant."""
    store, settings = site.panel.store, site.panel.settings
    site.add("reader@example.org", Role.READER)

    with pytest.raises(UsageError, match="is reader"):
        owners.create_owner(store, settings, "reader@example.org", actor="root")
    with pytest.raises(UsageError, match="cannot be a sign-in name"):
        owners.create_owner(store, settings, "two words", actor="root")
    with pytest.raises(NotFoundError, match="create-owner"):
        owners.sign_in_link(store, settings, None, actor="root")
    site.add("a@example.org", Role.OWNER)
    site.add("b@example.org", Role.OWNER)
    with pytest.raises(UsageError, match="several owners"):
        owners.sign_in_link(store, settings, None, actor="root")


ADMINISTRATOR = "admin@example.org"


async def made_by_administrator(site: Site, **person: str) -> str:
    """The path of an invitation by an administrator of example.org; or, with a person, of their link for a new password."""
    browser = await site.signed_in(ADMINISTRATOR, Role.ADMINISTRATOR, "domain:example.org")
    fields = {"name": "ghost@example.org", "role": "reader", "scopes": "example.org"}
    page = "/people/invite"
    if person:
        number = site.add(person["name"], Role.READER, "domain:example.org")
        fields, page = {}, f"/people/{number}/new-password"
    shown = await browser.send("/people", fields, to=page)
    return "/welcome/" + shown.text.split("/welcome/")[1].split("<")[0]


def number_of(site: Site, name: str) -> int:
    with site.panel.store.reading() as connection:
        return people.by_name(connection, name).id  # type: ignore[union-attr]


@pytest.mark.parametrize("person", [{}, {"name": "bert@example.org"}])
@pytest.mark.parametrize(
    ("step", "fields"),
    [
        ("/remove", {}),
        ("/disable", {}),
        ("", {"role": "reader", "scopes": "domain:example.org"}),
        ("", {"role": "administrator", "scopes": "domain:other.example"}),
    ],
)
async def test_a_link_is_worth_no_more_than_its_maker(
    site: Site, step: str, fields: dict[str, str], person: dict[str, str]
) -> None:
    """Who was removed, disabled or given less brings nobody in afterwards, not even where the page was opened before."""
    path = await made_by_administrator(site, **person)
    early = site.browser()
    page = await early.get(path)
    owner = await site.signed_in("owner@example.org", Role.OWNER)
    number = number_of(site, ADMINISTRATOR)
    assert (await owner.send("/people", fields, to=f"/people/{number}{step}")).status_code == 303

    assert page.status_code == 200
    assert (await site.browser().get(path)).status_code == 404
    assert (await early.post(path, {"csrf": token_of(page.text), **NEW})).status_code == 404
    assert not await early.is_signed_in()


@pytest.mark.parametrize("person", [{}, {"name": "bert@example.org"}])
async def test_a_link_works_as_long_as_its_maker_may(site: Site, person: dict[str, str]) -> None:
    """Another change of theirs ends nothing."""
    path = await made_by_administrator(site, **person)
    owner = await site.signed_in("owner@example.org", Role.OWNER)
    change = {"role": "administrator", "scopes": "domain:example.org\ndomain:other.example"}
    await owner.send("/people", change, to=f"/people/{number_of(site, ADMINISTRATOR)}")

    assert (await site.browser().send(path, NEW)).status_code == 303


async def test_a_link_for_a_password_ends_where_its_person_rises_above_its_maker(site: Site) -> None:
    """An administrator who gave somebody a link before they became an owner does not become one by it."""
    path = await made_by_administrator(site, name="bert@example.org")
    with site.panel.store.writing() as connection:
        people.change(connection, people.by_name(connection, "bert@example.org").id, role="owner")  # type: ignore[union-attr]

    assert (await site.browser().get(path)).status_code == 404
