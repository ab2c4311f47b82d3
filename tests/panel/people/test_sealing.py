"""Secrets of second factors in the database: encrypted, and brought to the first key at start."""

from collections.abc import Callable

import pyotp
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from streams.errors import ConfigurationError, NotFoundError
from streams.panel.people import owners
from streams.panel.people.sealing import SEALED, Sealer, reseal
from streams.panel.rights import Role
from streams.panel.store import Store, people
from tests.panel.visitors import PASSWORD, Site, token_of

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def sealer(*keys: str) -> Sealer:
    return Sealer(SecretStr(",".join(keys)))


def add(store: Store, name: str, stored: str | None) -> None:
    with store.writing() as connection:
        person = people.create(connection, name=name, role="owner", scopes=("everything",), now_ms=1)
        people.change(connection, person, totp_secret=stored)


def stored_of(store: Store, name: str) -> str:
    with store.reading() as connection:
        person = people.by_name(connection, name)
    assert person is not None
    return person.totp_secret or ""


def test_a_sealed_secret_is_opened_by_its_key_alone() -> None:
    """Two sealings differ, none shows the secret, and another key opens neither."""
    one, two = sealer(NEW).seal(SECRET), sealer(NEW).seal(SECRET)

    assert one != two
    assert SECRET not in one
    assert sealer(OLD, NEW).unseal(one) == SECRET
    assert sealer(OLD).unseal(one) is None
    assert sealer(NEW).unseal(f"{one[:-4]}AAAA") is None
    assert sealer().unseal(None) is None


def test_a_start_brings_every_secret_to_the_first_key(site: Site) -> None:
    """Those that were stored as they are, and those of an older key; who has none keeps none."""
    add(site.panel.store, "plain@example.org", SECRET)
    add(site.panel.store, "old@example.org", sealer(OLD).seal(SECRET))
    add(site.panel.store, "none@example.org", None)

    reseal(site.panel.store, sealer(NEW, OLD))
    kept = {name: stored_of(site.panel.store, name) for name in ("plain@example.org", "old@example.org")}
    reseal(site.panel.store, sealer(NEW))

    assert all(stored.startswith(SEALED) for stored in kept.values())
    assert all(sealer(NEW).unseal(stored) == SECRET for stored in kept.values())
    assert {name: stored_of(site.panel.store, name) for name in kept} == kept  # nothing was left to do
    assert stored_of(site.panel.store, "none@example.org") == ""


def test_a_start_without_the_key_is_refused_and_changes_nothing(site: Site) -> None:
    """A lost key is said at start, with the person's name, and not at the next sign-in."""
    add(site.panel.store, "plain@example.org", SECRET)
    add(site.panel.store, "sealed@example.org", sealer(OLD).seal(SECRET))

    for wrong in (sealer(), sealer(NEW)):
        with pytest.raises(ConfigurationError, match=r"panel_secret_keys.*sealed@example\.org"):
            reseal(site.panel.store, wrong)
    assert stored_of(site.panel.store, "plain@example.org") == SECRET
    assert owners.reset_second_factor(site.panel.store, "Sealed@example.org", actor="root") == "sealed@example.org"
    reseal(site.panel.store, sealer(NEW))
    assert stored_of(site.panel.store, "sealed@example.org") == ""
    with pytest.raises(NotFoundError, match="nobody"):
        owners.reset_second_factor(site.panel.store, "nobody@example.org", actor="root")


def test_what_is_no_key_is_said_without_showing_it() -> None:
    """The sentence names the setting and how to make one."""
    with pytest.raises(ConfigurationError, match="basenc") as raised:
        sealer("hunter2")

    assert "hunter2" not in str(raised.value)


def test_without_a_key_secrets_are_stored_as_they_are(site: Site) -> None:
    """An installation without the setting goes on working."""
    add(site.panel.store, "plain@example.org", sealer().seal(SECRET))

    reseal(site.panel.store, sealer())

    assert stored_of(site.panel.store, "plain@example.org") == SECRET


async def test_what_the_pages_set_up_is_sealed_and_signs_in(make_site: Callable[..., Site]) -> None:
    """The database does not have the secret that the app has; its codes are right all the same."""
    site = make_site(panel_secret_keys=NEW)
    browser = await site.signed_in("anna@example.org", Role.READER, "everything")
    page = (await browser.get("/profile/second-factor")).text
    secret = page.split('name="secret" value="')[1].split('"')[0]

    def code() -> str:
        return pyotp.TOTP(secret).at(site.clock.now_ms // 1000)

    fields = {"csrf": token_of(page), "secret": secret, "code": code(), "current": PASSWORD}
    assert (await browser.post("/profile/second-factor", fields)).status_code == 200
    stored = stored_of(site.panel.store, "anna@example.org")
    site.clock.pass_s(60)
    other = site.browser()
    await other.sign_in("anna@example.org")

    assert stored.startswith(SEALED)
    assert secret not in stored
    assert (await other.send("/sign-in/code", {"code": code()})).status_code == 303
    assert await other.is_signed_in()
