"""Guessing with many tries at once, on every database."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable

import httpx
import pytest

from streams.panel.people import throttle
from streams.panel.rights import Role
from streams.panel.store import Store, people, sign_in
from tests.panel.visitors import PASSWORD, Browser, Site, token_of

ANNA = "anna@example.org"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
AT_ONCE = 30
NOW_MS = 1_790_000_000_000
HERE = throttle.keys(ANNA, "198.51.100.7")


@pytest.fixture
def any_site(make_site: Callable[..., Site], database: str) -> Site:
    """A panel on each kind of database, with Anna."""
    site = make_site(panel_database=database)
    site.add(ANNA, Role.READER, "everything")
    return site


async def judged(answers: Iterable[Awaitable[httpx.Response]]) -> int:
    """How many of these tries were not told to wait."""
    return sum("Too many tries" not in answer.text for answer in await asyncio.gather(*answers))


async def together(browser: Browser, page: str, to: str, fields: Iterable[dict[str, str]]) -> int:
    """Open a page, send its form in many ways at once, and say how many were judged."""
    token = token_of((await browser.get(page)).text)
    return await judged([browser.post(to, {"csrf": token, **one}) for one in fields])


async def test_passwords_that_are_tried_at_once_are_judged_like_one_after_another(any_site: Site) -> None:
    """Five are free, however many come before the first is judged."""
    fields = [{"name": ANNA, "password": f"guess {number}"} for number in range(AT_ONCE)]

    assert await together(any_site.browser(), "/sign-in", "/sign-in", fields) == throttle.NAME.free


async def test_codes_that_are_tried_at_once_are_judged_like_one_after_another(any_site: Site) -> None:
    """Or whoever has the password would guess six digits soon."""
    with any_site.panel.store.writing() as connection:
        anna = people.by_name(connection, ANNA)
        assert anna is not None
        people.change(connection, anna.id, totp_secret=SECRET)
    browser = any_site.browser()
    await browser.sign_in(ANNA)

    fields = [{"code": f"{number:06}"} for number in range(AT_ONCE)]

    assert await together(browser, "/sign-in/code", "/sign-in/code", fields) == throttle.NAME.free


async def test_passwords_are_not_guessed_on_a_stolen_session_either(any_site: Site) -> None:
    """What asks for the password once more counts the same way."""
    browser = any_site.browser()
    await browser.sign_in(ANNA)
    fields = [{"current": f"guess {number}"} for number in range(AT_ONCE)]

    assert await together(browser, "/profile", "/profile/password", fields) == throttle.NAME.free


async def test_many_names_from_one_address_are_slowed_down_at_once_too(any_site: Site) -> None:
    """The address has a count of its own."""
    fields = [{"name": f"guess-{number}@example.org", "password": "password"} for number in range(AT_ONCE)]

    assert await together(any_site.browser(), "/sign-in", "/sign-in", fields) == throttle.ADDRESS.free


async def test_a_right_password_that_is_sent_twice_costs_nothing(any_site: Site) -> None:
    """Somebody who clicks twice, and then again, is let in, and no failure stays behind, of the name or of the address."""
    for _ in range(12):
        browser = any_site.browser()
        token = token_of((await browser.get("/sign-in")).text)
        fields = {"csrf": token, "name": ANNA, "password": PASSWORD}
        assert await judged([browser.post("/sign-in", fields) for _ in range(2)]) == 2
        assert await browser.is_signed_in()

    with any_site.panel.store.reading() as connection:
        assert [sign_in.attempts(connection, key).failures for key in HERE] == [0, 0]


async def test_the_wait_of_others_at_an_address_does_not_grow_by_who_signs_in(any_site: Site) -> None:
    """A right try leaves count and time of the failures before it."""
    await any_site.browser().sign_in("nobody@example.org", "password")
    _, address = HERE
    with any_site.panel.store.reading() as connection:
        before = sign_in.attempts(connection, address)
    any_site.clock.pass_s(60)

    assert (await any_site.browser().sign_in(ANNA)).status_code == 303

    with any_site.panel.store.reading() as connection:
        assert sign_in.attempts(connection, address) == before
    assert before.failures == 1


def failed(store: Store, now_ms: int) -> throttle.Try:
    with store.writing() as connection:
        return throttle.begin(connection, HERE, now_ms)


def test_panels_that_count_at_the_same_time_wait_for_each_other(database: str) -> None:
    """Two panels on one database do not both find the last free try."""
    with Store(database) as one, Store(database) as other:
        for number in range(throttle.NAME.free - 1):
            failed(one, NOW_MS + number)
        outcomes: list[object] = []

        def tried() -> None:
            try:
                outcomes.append(failed(other, NOW_MS + 5))
            except throttle.TooSoonError as error:
                outcomes.append(error)

        with one.writing() as connection:
            throttle.begin(connection, HERE, NOW_MS + 5)
            beside = threading.Thread(target=tried)
            beside.start()
            beside.join(0.2)
            assert outcomes == []
        beside.join(10)

        assert [type(outcome) for outcome in outcomes] == [throttle.TooSoonError]


def test_what_was_forgotten_is_not_taken_back_from_what_came_later(store: Store) -> None:
    """A success in between begins anew: the failures after it are all counted, whatever was still being judged before it."""
    slow = failed(store, NOW_MS)
    quick = failed(store, NOW_MS + 1)
    with store.writing() as connection:
        throttle.succeeded(connection, quick)
    failed(store, NOW_MS + 2)

    with store.writing() as connection:
        throttle.take_back(connection, slow)
        assert [sign_in.attempts(connection, key).failures for key in HERE] == [1, 1]


def test_a_try_that_has_to_wait_leaves_nothing(store: Store) -> None:
    """It counts for nothing, under none of its keys."""
    for number in range(throttle.NAME.free):
        failed(store, NOW_MS + number)
    elsewhere = throttle.keys(ANNA, "203.0.113.9")
    name, address = elsewhere

    with pytest.raises(throttle.TooSoonError, match="1 second"), store.writing() as connection:
        throttle.begin(connection, elsewhere, NOW_MS + 10)

    with store.reading() as connection:
        assert sign_in.attempts(connection, address) == sign_in.Attempts(0, 0, 0)
        assert sign_in.attempts(connection, name).failures == throttle.NAME.free


def test_a_wait_begins_with_the_answer(store: Store) -> None:
    """A check that takes long does not use the wait up."""
    for number in range(throttle.NAME.free):
        last = failed(store, NOW_MS + number)
    with store.writing() as connection:
        throttle.failed(connection, last, NOW_MS + 20_000)

    with store.reading() as connection:
        with pytest.raises(throttle.TooSoonError):
            throttle.check(connection, HERE, NOW_MS + 20_999)
        throttle.check(connection, HERE, NOW_MS + 21_000)
