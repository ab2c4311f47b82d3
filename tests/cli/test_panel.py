"""`loginwatch panel`: what its operator does on the command line."""

from pathlib import Path

from streams.panel.store import Store, people
from tests.cli.conftest import Loginwatch


def test_the_first_owner_gets_a_link(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """Nothing but the link lets anybody in, and it is for the address that browsers use."""
    env = {"panel_database": str(tmp_path / "panel.sqlite"), "panel_url": "https://panel.example.org"}

    answer = loginwatch("panel", "create-owner", "Owner@example.org", "--json", env=env)

    assert answer.code == 0
    assert answer.json["link"].startswith("https://panel.example.org/welcome/")
    with Store(env["panel_database"]) as store, store.reading() as connection:
        assert people.everybody(connection) == ()


def test_a_sign_in_link_needs_an_owner(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """The sentence says how to make one."""
    answer = loginwatch("panel", "sign-in-link", env={"panel_database": str(tmp_path / "panel.sqlite")})

    assert answer.code == 4
    assert "create-owner" in answer.err


def test_a_rebuild_is_asked_for_and_keeps_people(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """What came from topics goes, people stay; no answer changes nothing."""
    env = {"panel_database": str(tmp_path / "panel.sqlite")}
    with Store(env["panel_database"]) as store, store.writing() as connection:
        people.create(connection, name="owner@example.org", role="owner", scopes=["everything"], now_ms=1)

    assert loginwatch("panel", "rebuild", env=env, stdin="n\n").code == 1
    assert loginwatch("panel", "rebuild", "--yes", env=env).code == 0
    with Store(env["panel_database"]) as store, store.reading() as connection:
        assert people.count(connection) == 1


def test_a_database_that_is_none_is_a_sentence(loginwatch: Loginwatch) -> None:
    """With the name of the setting, and without what is in it: it may hold a password."""
    answer = loginwatch("panel", "rebuild", "--yes", env={"panel_database": "mysql://user:secret@host/name"})

    assert answer.code == 2
    assert "panel_database" in answer.err
    assert "secret" not in answer.err


def test_a_lost_second_factor_is_taken_away(loginwatch: Loginwatch, tmp_path: Path) -> None:
    """For the last owner, whom nobody else could help."""
    env = {"panel_database": str(tmp_path / "panel.sqlite")}
    with Store(env["panel_database"]) as store, store.writing() as connection:
        number = people.create(connection, name="owner@example.org", role="owner", scopes=["everything"], now_ms=1)
        people.change(connection, number, totp_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")

    assert loginwatch("panel", "reset-second-factor", "nobody@example.org", env=env).code == 4
    assert loginwatch("panel", "reset-second-factor", "Owner@example.org", env=env).code == 0
    with Store(env["panel_database"]) as store, store.reading() as connection:
        [owner] = people.everybody(connection)
        assert owner.totp_secret is None
