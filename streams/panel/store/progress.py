"""How far the database is: the numbers that open pages wait for, and the offsets at which reading goes on."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from streams.bus.partitions import Place
from streams.panel.store.changes import ANY
from streams.panel.store.tables import OFFSET, PROGRESS
from streams.panel.store.writes import upsert


def numbers(connection: Connection) -> dict[str, int]:
    """The change numbers by kind; kinds that never changed are left out."""
    return {row.name: row.value for row in connection.execute(select(PROGRESS.c.name, PROGRESS.c.value))}


def raise_numbers(connection: Connection, kinds: Iterable[str]) -> dict[str, int]:
    """Give these kinds the next change number, and return what all numbers are then."""
    known = numbers(connection)
    following = known.get(ANY, 0) + 1
    raised = dict.fromkeys((ANY, *kinds), following)
    upsert(connection, PROGRESS, [{"name": name, "value": value} for name, value in raised.items()])
    return {**known, **raised}


def offsets(connection: Connection, *, lock: bool = False) -> dict[Place, int]:
    """The next offset to read of every partition that was ever read; with `lock` nobody else moves them meanwhile."""
    query = select(OFFSET.c.topic, OFFSET.c.partition, OFFSET.c.next)
    # SQLite has no locks of rows: there the whole transaction is one
    rows = connection.execute(query.with_for_update() if lock else query)
    return {(topic, partition): following for topic, partition, following in rows}


def set_offsets(connection: Connection, following: Mapping[Place, int]) -> None:
    """Remember where to go on."""
    upsert(
        connection,
        OFFSET,
        [{"topic": topic, "partition": partition, "next": value} for (topic, partition), value in following.items()],
    )
