"""A second factor that is there is nobody's to replace who has only the password."""

import asyncio
from collections.abc import Callable, Coroutine

import httpx
import pyotp
import pytest

from streams.panel.rights import Role
from streams.panel.store import people, sign_in
from tests.panel.visitors import PASSWORD, Browser, Site, token_of

ANNA = "anna@example.org"
FORM = "/sign-in/second-factor"


@pytest.fixture
def strict(make_site: Callable[..., Site]) -> Site:
    """A panel that demands a second factor, and Anna, who has none yet."""
    site = make_site(panel_second_factor="required")
    site.add(ANNA, Role.READER, "everything")
    return site


async def half_way(site: Site) -> Browser:
    """A browser in which Anna's password was given, and a second factor has to be set up."""
    browser = site.browser()
    assert (await browser.sign_in(ANNA)).headers["location"] == FORM
    return browser


def secret_of(page: httpx.Response) -> str:
    return page.text.split('name="secret" value="')[1].split('"')[0]


async def enrol(site: Site, browser: Browser, page: httpx.Response, form: str = FORM) -> httpx.Response:
    """Send the form of a page that was opened before."""
    secret = secret_of(page)
    code = pyotp.TOTP(secret).at(site.clock.now_ms // 1000)
    fields = {"csrf": token_of(page.text), "secret": secret, "code": code, "current": PASSWORD}
    return await browser.post(form, fields)


def stored_secret(site: Site) -> str | None:
    with site.panel.store.reading() as connection:
        anna = people.by_name(connection, ANNA)
    assert anna is not None
    return site.panel.sealer.unseal(anna.totp_secret)


async def test_who_stopped_half_way_cannot_replace_a_second_factor(strict: Site) -> None:
    """A thief with the password waits before setting one up; Anna sets hers up; the thief's is refused, and is out."""
    thief, anna = await half_way(strict), await half_way(strict)
    prepared, page = await thief.get(FORM), await anna.get(FORM)
    assert (await enrol(strict, anna, page)).status_code == 200
    strict.clock.pass_s(60)

    answer = await enrol(strict, thief, prepared)

    assert answer.status_code == 401
    assert not await thief.is_signed_in()
    assert (await thief.get(FORM)).status_code == 401
    assert await anna.is_signed_in()
    assert stored_secret(strict) == secret_of(page)


async def test_setting_one_up_ends_the_sessions_that_were_half_way(strict: Site) -> None:
    """The one that was set up stays, all others sign in anew and are asked for the code."""
    other, anna = await half_way(strict), await half_way(strict)
    await enrol(strict, anna, await anna.get(FORM))

    with strict.panel.store.reading() as connection:
        owner = people.by_name(connection, ANNA)
        assert owner is not None
        assert len(sign_in.sessions(connection, owner.id, now_ms=strict.clock.now_ms)) == 1
    assert (await other.get(FORM)).status_code == 401
    assert (await strict.browser().sign_in(ANNA)).headers["location"] == "/sign-in/code"


@pytest.mark.parametrize("demanded", ["required", "optional"])
async def test_a_second_factor_that_comes_at_the_same_time_stays(
    make_site: Callable[..., Site], database: str, demanded: str
) -> None:
    """Anna's is written while the thief's form is on its way, who was signed in when it arrived."""
    site = make_site(panel_database=database, panel_second_factor=demanded)
    number = site.add(ANNA, Role.READER, "everything")
    thief = site.browser()
    await thief.sign_in(ANNA)
    form = FORM if demanded == "required" else "/profile/second-factor"
    page = await thief.get(form)

    answer = await beside(site, number, enrol(site, thief, page, form))

    assert answer.status_code == 401
    assert stored_secret(site) == "ANNAS"


async def test_a_password_does_not_sign_in_alone_where_a_second_factor_comes_meanwhile(
    make_site: Callable[..., Site], database: str
) -> None:
    """It was right before Anna's second factor was there, and its session begins after."""
    site = make_site(panel_database=database)
    number = site.add(ANNA, Role.READER, "everything")
    thief = site.browser()

    answer = await beside(site, number, thief.sign_in(ANNA))

    assert answer.headers["location"] == "/sign-in/code"
    assert not await thief.is_signed_in()


async def beside(site: Site, number: int, request: Coroutine[None, None, httpx.Response]) -> httpx.Response:
    """The answer to a request that comes while Anna's own is just being written: it has to wait for that."""
    with site.panel.store.writing() as connection:
        people.change(connection, number, totp_secret="ANNAS")
        sign_in.end_sessions(connection, number)
        sent = asyncio.ensure_future(request)
        assert not (await asyncio.wait([sent], timeout=0.3))[0]
    return await sent
