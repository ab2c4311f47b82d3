"""Stores for tests: on SQLite always, on a real PostgreSQL where it is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.panel.store import Store
from tests.panel.store.postgres_server import PostgresServer, binaries
from tests.tools import skip_or_fail


def require_postgres() -> None:
    """Skip where PostgreSQL is not installed; fail instead where CI says that it must be."""
    if binaries() is not None:
        return
    skip_or_fail("a real PostgreSQL needs initdb and pg_ctl: apt-get install postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL shared by the tests of this process, each in a database of its own."""
    require_postgres()
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, as the setting `panel_database` names it; once on each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "panel.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty store, once on each kind of database."""
    with Store(database) as opened:
        yield opened


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite, for what does not depend on the database."""
    with Store(str(tmp_path / "panel.sqlite")) as opened:
        yield opened
