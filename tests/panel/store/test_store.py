"""Opening the database: its address, its file, and what is said when it is away."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from streams.errors import ConfigurationError
from streams.panel.store import Store, people
from streams.panel.store.engine import StoreUnavailableError, database_url, exclusive
from streams.panel.store.people_tables import PERSON
from streams.panel.store.tables import PROGRESS
from streams.panel.store.writes import upsert
from tests.panel.store.conftest import require_postgres
from tests.panel.store.postgres_server import PostgresServer


@pytest.mark.parametrize(
    ("setting", "driver"),
    [
        ("data/panel.sqlite", "sqlite"),
        ("sqlite:////var/lib/loginwatch/panel.sqlite", "sqlite"),
        ("postgresql://panel@db.example/panel", "postgresql+psycopg"),
        ("postgresql+psycopg://panel@db.example/panel", "postgresql+psycopg"),
    ],
)
def test_the_setting_is_a_path_or_an_address(setting: str, driver: str) -> None:
    """A bare path is SQLite's; PostgreSQL's address needs no driver in it."""
    assert database_url(setting).drivername == driver


@pytest.mark.parametrize(
    "setting", ["", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "://", "postgresql+x://h/n"]
)
def test_a_setting_that_cannot_work_is_refused_with_a_sentence(setting: str) -> None:
    """What to write instead, and never the address itself, which may hold a password."""
    with pytest.raises(ConfigurationError, match="panel_database"):
        database_url(setting)


def test_nobody_else_on_the_machine_reads_the_file(tmp_path: Path) -> None:
    """It holds hashes of passwords. Folders that are missing are made, as private."""
    path = tmp_path / "data" / "panel.sqlite"
    with Store(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_path_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "data").touch()

    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Store(str(tmp_path / "data" / "panel.sqlite"))


def make_twice(store: Store) -> None:
    """The same person two times, which one transaction cannot."""
    with store.writing() as connection:
        for _ in range(2):
            people.create(connection, name="ann", role="owner", scopes=[], now_ms=0, password_hash="a secret hash")


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    """All of it or nothing; the database's own refusals reach the caller."""
    with pytest.raises(IntegrityError):
        make_twice(store)

    with store.reading() as connection:
        assert connection.execute(select(PERSON.c.id)).all() == []


def test_a_page_that_only_reads_cannot_write(database: str) -> None:
    """On PostgreSQL; and all queries of a page see the same state on both."""
    with Store(database) as store:
        with store.reading() as page:
            before = page.execute(select(PROGRESS)).all()
            with store.writing() as connection:
                upsert(connection, PROGRESS, [{"name": "change", "value": 7}])
            assert page.execute(select(PROGRESS)).all() == before
        if not database.endswith("sqlite"):
            with pytest.raises(DBAPIError, match="read-only"), store.reading() as connection:
                connection.execute(PROGRESS.delete())


def test_errors_do_not_tell_the_values(store: Store) -> None:
    """They are logged, and values are people's data."""
    with pytest.raises(IntegrityError) as raised:
        make_twice(store)

    assert "a secret hash" not in str(raised.value)


def test_only_one_holds_a_lock(database: str) -> None:
    """Of two panels on one database one follows; when it lets go, the other may."""
    with Store(database) as one, Store(database) as other:
        with exclusive(one.engine, "follower", wait=False) as first:
            with exclusive(other.engine, "follower", wait=False) as second:
                assert (first, second) == (True, False)
            with exclusive(other.engine, "something else", wait=False) as another:
                assert another
        with exclusive(other.engine, "follower", wait=False) as second:
            assert second


def test_connections_that_all_stay_in_use_are_said(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a database that is away: the page is no defect, and the next try may find one free."""
    for name, value in (("POOL", 2), ("MORE", 0), ("FREE_S", 0.1)):
        monkeypatch.setattr(f"streams.panel.store.engine.{name}", value)
    with Store(database) as store:
        with (
            store.reading(),
            store.reading(),
            pytest.raises(StoreUnavailableError, match="are in use"),
            store.reading(),
        ):
            pass
        with store.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.postgres
def test_a_database_that_is_away_is_said_and_comes_back() -> None:
    """The same store works again when the server does."""
    require_postgres()
    with PostgresServer() as server, Store(server.database()) as store:
        server.pause()
        with pytest.raises(StoreUnavailableError, match="does not answer"), store.reading() as connection:
            connection.execute(text("SELECT 1"))

        server.resume()
        with store.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
