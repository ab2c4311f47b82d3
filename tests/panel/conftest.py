"""A panel on SQLite for one test: without Kafka, or on the embedded broker; and stores, on a real PostgreSQL too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.panel.panel import Panel
from streams.panel.store import Store
from streams.settings import Settings
from tests.panel.store.conftest import require_postgres
from tests.panel.store.postgres_server import PostgresServer
from tests.panel.visitors import Clock, Site, quick_passwords

NOWHERE = "127.0.0.1:1"
"""A port where no Kafka is; pages that only read do not need one."""


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and nothing in them, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("panel") / "new.sqlite"
    with Store(str(path)) as store, store.writing() as connection:
        connection.exec_driver_sql("SELECT 1")
    return path


@pytest.fixture
def make_site(tmp_path: Path, new_database: Path) -> Iterator[Callable[..., Site]]:
    """Make a panel with these settings; it follows nothing."""
    made: list[Panel] = []

    def make(**values: Any) -> Site:
        clock = Clock()
        path = str(copyfile(new_database, tmp_path / f"panel-{len(made)}.sqlite"))
        settings = Settings.model_validate({"bootstrap_servers": NOWHERE, "panel_database": path, **values})
        made.append(Panel(settings, clock_ms=clock, passwords=quick_passwords()))
        made[-1].store.changes.close()  # streams of news end at once, as they do when a panel stops
        return Site(made[-1], clock)

    yield make
    for panel in made:
        panel.store.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A panel as it is without settings."""
    return make_site()


@pytest.fixture
def live_site(embedded: EmbeddedBroker, tmp_path: Path) -> Iterator[Site]:
    """A panel that follows the embedded broker, by the real clock."""
    settings = embedded.settings.model_copy(update={"panel_database": SecretStr(str(tmp_path / "panel.sqlite"))})
    panel = Panel(settings, passwords=quick_passwords())
    panel.start()
    assert panel.follower.caught_up.wait(30)
    yield Site(panel, Clock())
    panel.close()


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
