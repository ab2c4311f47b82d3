"""Stores for tests: on SQLite always, on a real PostgreSQL where it is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.panel.store import Store
from tests.panel.store.postgres_server import binaries
from tests.tools import skip_or_fail


def require_postgres() -> None:
    """Skip where PostgreSQL is not installed; fail instead where CI says that it must be."""
    if binaries() is not None:
        return
    skip_or_fail("a real PostgreSQL needs initdb and pg_ctl: apt-get install postgresql")


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store on SQLite, for what does not depend on the database."""
    with Store(str(tmp_path / "panel.sqlite")) as opened:
        yield opened
