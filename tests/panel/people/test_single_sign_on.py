"""OpenID Connect against a provider that signs real tokens over HTTP."""

from collections.abc import Callable, Iterator

import pytest
from joserfc.jwk import RSAKey

from streams.errors import ConfigurationError
from streams.panel.people import oidc
from streams.panel.people.oidc import SingleSignOn
from streams.panel.rights import Role
from streams.panel.store import audit, people
from streams.panel.store.visible import EVERYTHING
from streams.settings import Settings
from tests.panel.people.provider import CLIENT, SECRET, Provider
from tests.panel.visitors import Browser, Site

ANNA = "anna@example.org"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def make(provider: Provider, make_site: Callable[..., Site]) -> Callable[..., Site]:
    """A panel that trusts the provider."""

    def made(**values: object) -> Site:
        given = {
            "panel_url": "http://127.0.0.1:8080",
            "panel_oidc_issuer": provider.issuer,
            "panel_oidc_client_id": CLIENT,
            "panel_oidc_client_secret": SECRET,
        }
        return make_site(**{**given, **values})

    return made


async def come_back(browser: Browser, provider: Provider, wanted: str = "/") -> int:
    """Go out to the provider, sign in there and come back; the status."""
    out = await browser.get(f"/sign-in/single?next={wanted}")
    assert out.status_code == 303, out.text
    answer = await browser.get(provider.sign_in(out.headers["location"]))
    return answer.status_code


def person(site: Site, name: str = ANNA) -> people.Person | None:
    with site.panel.store.reading() as connection:
        return people.by_name(connection, name)


async def test_somebody_known_by_a_checked_address_is_let_in(make: Callable[..., Site], provider: Provider) -> None:
    """At the first time by the mail address, from then on by the provider's own name for them."""
    site = make()
    site.add(ANNA, Role.READER, "everything", password_hash=None)
    browser = site.browser()

    assert "Single sign-on" in (await browser.get("/sign-in")).text
    out = await browser.get("/sign-in/single?next=/blocks")
    answer = await browser.get(provider.sign_in(out.headers["location"]))

    assert answer.headers["location"] == "/blocks"
    assert await browser.is_signed_in()
    provider.claims["email"] = "renamed@example.org"
    assert await come_back(site.browser(), provider) == 303
    assert person(site, "renamed@example.org") is None


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "stranger@example.org"},
        {"email_verified": False},
        {"email_verified": None},
        {"email": None},
    ],
)
async def test_a_stranger_is_not_let_in(
    make: Callable[..., Site], provider: Provider, claims: dict[str, object]
) -> None:
    """Nor is an address that the provider has not checked: anybody could write it into a profile."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    provider.claims |= claims
    browser = site.browser()

    assert await come_back(browser, provider) == 403
    assert not await browser.is_signed_in()


async def test_a_name_that_belongs_to_another_subject_is_not_taken_over(
    make: Callable[..., Site], provider: Provider
) -> None:
    """A mail address that was given to somebody else at the provider does not open the account of its former owner."""
    site = make(panel_oidc_default_role="reader")
    site.add(ANNA, Role.OWNER)
    await come_back(site.browser(), provider)
    provider.claims["sub"] = "43"

    assert await come_back(site.browser(), provider) == 403


async def test_strangers_get_the_default_role_where_one_is_set(make: Callable[..., Site], provider: Provider) -> None:
    """They are made at their first sign-in, with the scopes of the settings."""
    site = make(panel_oidc_default_role="reader", panel_oidc_default_scopes=("domain:example.org",))

    assert await come_back(site.browser(), provider) == 303
    made = person(site)
    assert made is not None
    assert (made.role, made.scopes, made.subject) == ("reader", ("domain:example.org",), f"{provider.issuer} 42")


async def test_a_claim_gives_role_and_scopes_at_each_sign_in(make: Callable[..., Site], provider: Provider) -> None:
    """The provider's groups are looked up in the settings; what changes there holds from the next sign-in on."""
    site = make(
        panel_oidc_role_claim="groups",
        panel_oidc_roles=("mail-admins=administrator@everything", "shop=help_desk@domain:shop.example+group:a/b"),
    )
    provider.claims["groups"] = ["staff", "shop"]
    assert await come_back(site.browser(), provider) == 303
    first = person(site)
    provider.claims["groups"] = ["mail-admins"]
    assert await come_back(site.browser(), provider) == 303
    second = person(site)

    assert first is not None
    assert second is not None
    assert (first.role, first.scopes) == ("help_desk", ("domain:shop.example", "group:a/b"))
    assert (second.role, second.scopes) == ("administrator", ("everything",))


def told(site: Site, action: str) -> list[audit.Deed]:
    """What the audit has of one kind."""
    with site.panel.store.reading() as connection:
        return list(audit.listed(connection, EVERYTHING, audit.Wanted(action=action)).rows)


async def test_the_last_owner_stays_one_whatever_the_provider_says(
    make: Callable[..., Site], provider: Provider
) -> None:
    """They are let in as they are; where there is another owner, the provider's word counts."""
    site = make(panel_oidc_role_claim="groups", panel_oidc_roles=("staff=reader@domain:example.org",))
    site.add(ANNA, Role.OWNER, "everything")
    provider.claims["groups"] = ["staff"]

    assert await come_back(site.browser(), provider) == 303
    first = person(site)
    site.add("other@example.org", Role.OWNER, "everything")
    assert await come_back(site.browser(), provider) == 303
    second = person(site)

    assert first is not None
    assert second is not None
    assert (first.role, first.scopes) == ("owner", ("everything",))
    assert (second.role, second.scopes) == ("reader", ("domain:example.org",))
    assert [deed.after for deed in told(site, "panel.person_changed")] == [
        {
            "role": "reader",
            "scopes": ["domain:example.org"],
            "role_before": "owner",
            "scopes_before": ["everything"],
        }
    ]


async def test_the_audit_says_who_became_known_by_single_sign_on(make: Callable[..., Site], provider: Provider) -> None:
    """Once: from then on the provider can open an account that had only a password."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    for _ in range(2):
        assert await come_back(site.browser(), provider) == 303

    [deed] = told(site, "panel.single_sign_on_bound")
    assert (deed.actor, deed.subject, deed.after) == ("single sign-on", ANNA, {"subject": f"{provider.issuer} 42"})


@pytest.mark.parametrize(
    "overrides",
    [
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"aud": "another client"}},
        {"claims": {"exp": 1_000_000}},
        {"claims": {"nonce": "another"}},
        {"issuer": "https://evil.example"},
    ],
)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    make: Callable[..., Site], provider: Provider, overrides: dict[str, object]
) -> None:
    """Issuer, audience, time and nonce are checked, and what the provider says of itself."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()
    out = await browser.get("/sign-in/single")
    provider.overrides |= overrides
    if "issuer" in overrides:  # said before anybody signs in
        fresh = make()
        assert (await fresh.browser().get("/sign-in/single")).status_code == 503
        return

    assert (await browser.get(provider.sign_in(out.headers["location"]))).status_code == 403
    assert not await browser.is_signed_in()


async def test_a_token_of_another_key_is_refused(make: Callable[..., Site], provider: Provider) -> None:
    """Who can make the panel talk to them, but has not the provider's key, signs nobody in."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})

    assert await come_back(site.browser(), provider) == 403


async def test_a_new_key_of_the_provider_is_found(
    make: Callable[..., Site], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys rotate: one that is not known is asked for."""
    monkeypatch.setattr(oidc, "ASK_AGAIN_S", 0.0)
    site = make()
    site.add(ANNA, Role.READER, "everything")
    assert await come_back(site.browser(), provider) == 303
    provider.signing = provider.published = RSAKey.generate_key(2048, {"kid": "two"})

    assert await come_back(site.browser(), provider) == 303


async def test_the_way_back_fits_only_the_browser_that_went_out(make: Callable[..., Site], provider: Provider) -> None:
    """An answer that was caught elsewhere, or that a stranger planted, opens nothing; nor does one a second time."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    browser, other = site.browser(), site.browser()
    back = provider.sign_in((await browser.get("/sign-in/single")).headers["location"])
    await other.get("/sign-in/single")

    assert (await other.get(back)).status_code == 403
    assert (await site.browser().get(back)).status_code == 403
    assert (await browser.get(back)).status_code == 303
    assert (await browser.get(back)).status_code == 403


async def test_where_to_go_cannot_be_changed_on_the_way(make: Callable[..., Site], provider: Provider) -> None:
    """The state is sealed, and names only pages of this panel."""
    site = make()
    site.add(ANNA, Role.READER, "everything")
    browser = site.browser()
    out = await browser.get("/sign-in/single?next=//evil.example/")
    back = provider.sign_in(out.headers["location"])

    assert (await browser.get(back.replace("state=", "state=0"))).status_code == 403
    assert (await browser.get(provider.sign_in(out.headers["location"]))).headers["location"] == "/"


async def test_a_provider_that_is_away_is_a_sentence(make: Callable[..., Site]) -> None:
    """503, and what to do; nothing waits for ever."""
    site = make(panel_oidc_issuer="http://127.0.0.1:1")

    answer = await site.browser().get("/sign-in/single")

    assert answer.status_code == 503
    assert "Try again" in answer.text


async def test_without_settings_there_is_no_single_sign_on(site: Site) -> None:
    """No button, and no page."""
    assert (await site.browser().get("/sign-in/single")).status_code == 404
    assert "/sign-in/single" not in (await site.browser().get("/sign-in")).text


@pytest.mark.parametrize("roles", [("admins",), ("admins=king",), ("admins=reader@planet",), ("=reader",)])
def test_roles_that_cannot_be_read_are_found_at_start(roles: tuple[str, ...]) -> None:
    """Rather than at the first sign-in."""
    settings = Settings.model_validate(
        {
            "panel_url": "http://127.0.0.1:8080",
            "panel_oidc_issuer": "https://login.example.org",
            "panel_oidc_client_id": "panel",
            "panel_oidc_roles": roles,
        }
    )

    with pytest.raises(ConfigurationError, match="panel_oidc_roles"):
        SingleSignOn(settings)
