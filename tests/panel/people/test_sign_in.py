"""Signing in: password, second factor, sessions, throttling."""

from collections.abc import Callable

import pyotp
import pytest

from streams.panel.rights import Role
from streams.panel.store import people, sign_in
from streams.panel.tokens import hash_of
from tests.panel.visitors import PASSWORD, Browser, Site, text_of, token_of

ANNA = "anna@example.org"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
MINUTE_S = 60
HOUR_S = 3600


async def test_the_right_password_opens_the_panel(site: Site) -> None:
    """Whoever gives name and password is led to where they wanted; case and space around the name do not matter."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()

    answer = await browser.sign_in(" Anna@Example.org ", next="/blocks?status=now")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/blocks?status=now"
    assert await browser.is_signed_in()


@pytest.mark.parametrize(
    ("name", "password"), [(ANNA, "not the password"), ("nobody@example.org", PASSWORD), (ANNA, ""), ("", PASSWORD)]
)
async def test_what_is_wrong_is_not_said_of_either_alone(site: Site, name: str, password: str) -> None:
    """A wrong password and an unknown name are answered alike; what was typed as a name stays, the password does not."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()

    answer = await browser.sign_in(name, password)

    assert answer.status_code == 422
    assert ("do not fit" in answer.text) is (bool(name) and bool(password))
    assert PASSWORD not in answer.text
    assert not await browser.is_signed_in()


@pytest.mark.parametrize("values", [{"disabled": True}, {"password_hash": None}])
async def test_who_may_not_sign_in_by_password_is_refused(site: Site, values: dict[str, object]) -> None:
    """Disabled people, and people without a password, are refused as if the password were wrong."""
    person = site.add(ANNA, Role.READER, "everything")
    with site.panel.store.writing() as connection:
        people.change(connection, person, **values)

    assert (await site.browser().sign_in(ANNA)).status_code == 422


async def test_a_session_that_was_planted_is_worth_nothing(site: Site) -> None:
    """Signing in gives a new token each time: one that somebody else put into the browser stays nobody's."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()
    await browser.get("/sign-in")
    planted = browser.cookies["loginwatch"]

    await browser.sign_in(ANNA)

    assert browser.cookies["loginwatch"] != planted
    thief = site.browser()
    thief.cookies.set("loginwatch", planted)
    assert not await thief.is_signed_in()


async def test_only_a_hash_of_the_token_is_stored(site: Site) -> None:
    """Who reads the database cannot sign in with it."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    token = browser.cookies["loginwatch"]

    with site.panel.store.reading() as connection:
        found = sign_in.session(connection, hash_of(token), now_ms=site.panel.now_ms())

    assert found is not None
    assert token not in repr([getattr(found, name) for name in found.__slots__])


async def test_cookies_are_for_this_host_and_not_for_scripts(make_site: Callable[..., Site]) -> None:
    """HttpOnly and SameSite always; Secure with the prefix __Host- where cookies are for HTTPS."""
    plain = (await make_site().browser().get("/sign-in")).headers["set-cookie"]
    secure = (await make_site(panel_secure_cookies="always").browser().get("/sign-in")).headers["set-cookie"]

    assert "HttpOnly" in plain
    assert "SameSite=lax" in plain
    assert secure.startswith("__Host-loginwatch=")
    assert "Secure" in secure
    assert "Path=/" in secure
    assert "Domain" not in secure


async def test_a_session_ends_when_nobody_is_there(site: Site) -> None:
    """After panel_session_idle minutes without a page; what a page asks for by itself counts for nothing."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    for _ in range(3):
        site.clock.pass_s(29 * MINUTE_S)
        assert await browser.is_signed_in()

    site.clock.pass_s(20 * MINUTE_S)
    await browser.get("/incidents", **{"Sec-Fetch-Dest": "empty"})
    site.clock.pass_s(11 * MINUTE_S)

    assert not await browser.is_signed_in()


async def test_a_session_ends_in_any_case(site: Site) -> None:
    """After panel_session_hours, however busy it is."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    for _ in range(12 * 3 - 1):
        site.clock.pass_s(20 * MINUTE_S)
        assert await browser.is_signed_in()

    site.clock.pass_s(20 * MINUTE_S)

    assert not await browser.is_signed_in()


async def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    """A copy of the cookie opens nothing afterwards."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    copy = site.browser()
    copy.cookies.set("loginwatch", browser.cookies["loginwatch"])

    answer = await browser.send("/profile", to="/sign-out")

    assert answer.headers["location"] == "/sign-in?ended=1"
    assert not await browser.is_signed_in()
    assert not await copy.is_signed_in()


async def test_a_change_of_rights_holds_at_once(site: Site) -> None:
    """Every request asks the database: a demoted or disabled person does not keep what an open session had."""
    browser = await site.signed_in(ANNA, Role.ADMINISTRATOR, "everything")
    assert (await browser.get("/people")).status_code == 200

    with site.panel.store.writing() as connection:
        person = people.by_name(connection, ANNA)
        assert person is not None
        people.change(connection, person.id, role="reader")
    assert (await browser.get("/people")).status_code == 403

    with site.panel.store.writing() as connection:
        people.change(connection, person.id, disabled=True)
    assert not await browser.is_signed_in()


async def test_guessing_gets_slower(site: Site) -> None:
    """After five failures each further try has to wait longer; the right password does not get through before its time."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()
    for _ in range(6):
        await browser.sign_in(ANNA, "not the password")
        site.clock.pass_s(1)

    early = await browser.sign_in(ANNA)
    site.clock.pass_s(61)
    late = await browser.sign_in(ANNA)

    assert early.status_code == 422
    assert "Wait" in early.text
    assert late.status_code == 303


def at(site: Site, address: str) -> Browser:
    """A browser behind the proxy that the panel trusts."""
    return site.browser(**{"X-Forwarded-For": address})


async def flooded(site: Site) -> None:
    """A stranger with many addresses has just taken every turn that Anna's name had."""
    for number in range(6):
        await at(site, f"203.0.113.{number}").sign_in(ANNA, "not the password")


async def test_a_stranger_with_many_addresses_keeps_nobody_from_where_they_sign_in(
    make_site: Callable[..., Site],
) -> None:
    """An address from which somebody was let in lately has turns of its own at their name, and no more of them than the name."""
    site = make_site(panel_trusted_proxies=("198.51.100.7",))
    site.add(ANNA, Role.READER, "everything")
    assert (await at(site, "192.0.2.1").sign_in(ANNA)).status_code == 303
    site.clock.pass_s(29 * 24 * HOUR_S)

    await flooded(site)
    elsewhere = await at(site, "192.0.2.2").sign_in(ANNA)
    there = at(site, "192.0.2.1")
    wrong = [await there.sign_in(ANNA, "not the password") for _ in range(6)]
    site.clock.pass_s(1)

    assert "Too many tries" in elsewhere.text
    assert ["Too many tries" in answer.text for answer in wrong] == [False] * 5 + [True]
    assert (await there.sign_in(ANNA)).status_code == 303


@pytest.mark.parametrize("days", [0, 31])
async def test_an_address_is_known_once_somebody_was_wholly_let_in_and_for_a_month(
    make_site: Callable[..., Site], days: int
) -> None:
    """The password without the second factor is not enough."""
    site = make_site(panel_trusted_proxies=("198.51.100.7",))
    person = site.add(ANNA, Role.READER, "everything")
    with site.panel.store.writing() as connection:
        people.change(connection, person, totp_secret=None if days else SECRET)
    assert (await at(site, "192.0.2.1").sign_in(ANNA)).status_code == 303
    site.clock.pass_s(days * 24 * HOUR_S)

    await flooded(site)

    assert "Too many tries" in (await at(site, "192.0.2.1").sign_in(ANNA)).text


async def test_an_address_that_tries_many_names_is_slowed_down(site: Site) -> None:
    """Failures are counted per address too, and a success of one's own account does not wipe them out."""
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()
    for number in range(21):
        await browser.sign_in(f"guess-{number}@example.org", "password")

    assert "Too many tries" in (await browser.sign_in(ANNA)).text


async def with_second_factor(site: Site) -> Browser:
    """A browser in which Anna has given her password, and is asked for her code."""
    person = site.add(ANNA, Role.READER, "everything")
    with site.panel.store.writing() as connection:
        people.change(connection, person, totp_secret=SECRET)
    browser = site.browser()
    answer = await browser.sign_in(ANNA, next="/blocks")
    assert answer.headers["location"] == "/sign-in/code?next=%2Fblocks"
    return browser


def code_now(site: Site, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(site.clock.now_ms // 1000)


async def test_the_password_alone_opens_nothing_where_there_is_a_second_factor(site: Site) -> None:
    """Half-way in, every page sends back to the beginning."""
    browser = await with_second_factor(site)

    for path in ("/", "/profile", "/incidents"):
        assert (await browser.get(path)).headers["location"].startswith("/sign-in")


async def test_a_code_lets_in_under_a_new_token(site: Site) -> None:
    """The token changes again with the second step."""
    browser = await with_second_factor(site)
    before = browser.cookies["loginwatch"]

    answer = await browser.send("/sign-in/code", {"code": code_now(site), "next": "/blocks"})

    assert answer.headers["location"] == "/blocks"
    assert browser.cookies["loginwatch"] != before
    assert await browser.is_signed_in()


async def test_a_code_works_once(site: Site) -> None:
    """Whoever looked over the shoulder cannot use the same code, not even in the same half minute."""
    browser = await with_second_factor(site)
    code = code_now(site)
    await browser.send("/sign-in/code", {"code": code})

    second = site.browser()
    await second.sign_in(ANNA)
    answer = await second.send("/sign-in/code", {"code": code})

    assert answer.status_code == 422
    assert not await second.is_signed_in()


@pytest.mark.parametrize("code", ["", "000000", "12345", "1234567", "١٢٣٤٥٦", "abcdef"])
async def test_another_code_does_not_let_in(site: Site, code: str) -> None:
    """Six ASCII digits of now, and nothing else."""
    browser = await with_second_factor(site)

    assert (await browser.send("/sign-in/code", {"code": code})).status_code == 422


async def test_guessing_codes_gets_slower(site: Site) -> None:
    """Wrong codes count as failures of the name, which a right password in between does not forget."""
    browser = await with_second_factor(site)
    for _ in range(6):
        await browser.send("/sign-in/code", {"code": "000000"})

    answer = await browser.send("/sign-in/code", {"code": code_now(site)})

    assert answer.status_code == 422
    assert "Wait" in text_of(answer.text)


async def test_a_second_factor_is_set_up_and_its_recovery_codes_work_once(site: Site) -> None:
    """The page gives a secret; a code of it and the password switch it on; each recovery code signs in once."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    page = (await browser.get("/profile/second-factor")).text
    secret = page.split('name="secret" value="')[1].split('"')[0]
    fields = {"csrf": token_of(page), "secret": secret, "code": code_now(site, secret)}

    refused = await browser.post("/profile/second-factor", {**fields, "current": "not it"})
    shown = await browser.post("/profile/second-factor", {**fields, "current": PASSWORD})
    recovery = shown.text.split('id="codes"><li>')[1].split("</li>")[0]

    assert refused.status_code == 422
    assert shown.status_code == 200
    assert await browser.is_signed_in()
    for expected in (303, 422):
        other = site.browser()
        await other.sign_in(ANNA)
        typed = recovery.upper().replace("-", " ")
        assert (await other.send("/sign-in/code", {"code": typed})).status_code == expected


async def test_a_panel_can_demand_a_second_factor(make_site: Callable[..., Site]) -> None:
    """Without one, a right password leads to setting it up, and nowhere else."""
    site = make_site(panel_second_factor="required")
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()

    answer = await browser.sign_in(ANNA)
    page = (await browser.get("/sign-in/second-factor")).text
    secret = page.split('name="secret" value="')[1].split('"')[0]
    before = await browser.is_signed_in()
    done = await browser.send("/sign-in/second-factor", {"secret": secret, "code": code_now(site, secret)})

    assert answer.headers["location"] == "/sign-in/second-factor"
    assert not before
    assert done.status_code == 200
    assert await browser.is_signed_in()


@pytest.mark.parametrize(
    "bad",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil",
    ],
)
async def test_nobody_is_sent_to_another_site(site: Site, bad: str) -> None:
    """Where to go after signing in is a path of this panel, or the home page."""
    site.add(ANNA, Role.READER, "everything")

    answer = await site.browser().sign_in(ANNA, next=bad)

    assert answer.headers["location"] == "/"


async def test_a_new_password_ends_all_other_sessions(site: Site) -> None:
    """The old password is asked for, the new one must not be easy, and elsewhere one is signed out."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    elsewhere = site.browser()
    await elsewhere.sign_in(ANNA)
    new = "a heap of unrelated words"

    wrong = await browser.send("/profile", {"current": "no", "password": new, "again": new}, to="/profile/password")
    easy = await browser.send(
        "/profile", {"current": PASSWORD, "password": "anna1234anna", "again": "anna1234anna"}, to="/profile/password"
    )
    done = await browser.send("/profile", {"current": PASSWORD, "password": new, "again": new}, to="/profile/password")

    assert (wrong.status_code, easy.status_code, done.status_code) == (422, 422, 303)
    assert await browser.is_signed_in()
    assert not await elsewhere.is_signed_in()
    assert (await site.browser().sign_in(ANNA, new)).status_code == 303


async def test_sessions_are_listed_and_ended(site: Site) -> None:
    """One sees where one is signed in, and ends it there; somebody else's session cannot be ended so."""
    browser = await site.signed_in(ANNA, Role.READER, "everything")
    elsewhere = site.browser()
    await elsewhere.sign_in(ANNA)
    other = await site.signed_in("bert@example.org", Role.READER, "everything")
    page = (await browser.get("/profile")).text
    ended = page.split("/profile/sessions/")[2].split("/end")[0]

    foreign = await other.send("/profile", to=f"/profile/sessions/{ended}/end")
    own = await browser.send("/profile", to=f"/profile/sessions/{ended}/end")

    assert foreign.status_code == 404
    assert own.status_code == 303
    assert not await elsewhere.is_signed_in()
    assert await browser.is_signed_in()
