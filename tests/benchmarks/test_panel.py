"""The panel's benchmark measures what it says: a database as the follower leaves it, and pages that answer."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from benchmarks import panel
from benchmarks.panel_fill import DAYS, RARE_TEXT, fill
from streams.panel.store import EVERYTHING, Store, incidents
from streams.panel.store.tables import ACCOUNT, BLOCK, DOMAIN, HOURLY, INCIDENT, METADATA, SUMMARY
from tests.panel.store.population import Population


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Where a small one is filled."""
    return str(tmp_path / "panel.sqlite")


async def test_every_page_is_answered_and_has_a_line_in_the_table(database: str) -> None:
    """A page that moved, or that refuses its address, would be measured as one that answers quickly."""
    population = Population(1, domains=12, accounts=60, days=DAYS)
    with Store(database) as store:
        fill(store, population, 400)
        histories = panel.history(store, population, 1)

    pages = await panel.asked(database, population, 1)

    everything = {what for what, by_reader in pages.items() if by_reader["everything"]}
    assert everything == set(pages)
    taken_in = [{"wall": 1, "cpu": 1}]
    text = panel.table({"SQLite": {"incidents": 400, "taken_in": taken_in, "pages": pages, **histories}})
    assert all(f"| {what} |" in text for what in pages)


def test_what_is_filled_in_has_the_counts_and_indexes_of_what_is_read(database: str) -> None:
    """Filters choose their way by these counts: wrong ones would be measured as another panel."""
    with Store(database) as store:
        before = _schema(store)
        fill(store, Population(1, domains=12, accounts=60, days=DAYS), 400)

        assert _schema(store) == before
        with store.reading() as connection:
            counted = connection.execute(
                select(INCIDENT.c.account, func.count()).group_by(INCIDENT.c.account).order_by(INCIDENT.c.account)
            ).all()
            blocks = connection.execute(select(func.count()).select_from(BLOCK)).scalar_one()
            by_account = select(ACCOUNT.c.account, ACCOUNT.c.incidents).order_by(ACCOUNT.c.account)
            assert connection.execute(by_account).all() == counted
            assert connection.execute(select(func.sum(ACCOUNT.c.blocks))).scalar_one() == blocks
            assert connection.execute(select(func.sum(DOMAIN.c.incidents))).scalar_one() == 400
            assert connection.execute(select(func.sum(HOURLY.c.incidents))).scalar_one() == 800
            unreviewed = select(func.count()).select_from(INCIDENT).where(INCIDENT.c.verdict == "")
            assert incidents.unreviewed(connection, EVERYTHING) == connection.execute(unreviewed).scalar_one()
            assert any(RARE_TEXT in sentence for sentence in connection.execute(select(SUMMARY.c.summary)).scalars())


def _schema(store: Store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT type, name FROM sqlite_master").all()
    assert {table.name for table in METADATA.sorted_tables} <= {name for _, name in rows}
    return sorted((kind, name) for kind, name in rows)
