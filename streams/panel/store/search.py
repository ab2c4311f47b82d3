"""
How a page of incidents, or of blocks, is found among a million without looking at all of them.

Decision: two ways, chosen by how many incidents a filter leaves. Few (at most `FEW`): they are collected through that
filter's index, then filtered and sorted. Many: the index of the wanted order is walked and each incident looked at;
every n-th fits, so a page is full soon. Where the two mislead (a rare combination of common filters), the walk stops
after `FURTHEST` incidents and the page says how far it came. So no page costs more than some ten thousand incidents on
either database, whatever its planner guesses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select

from streams.panel.store.cursors import Columns, Cursor, Order, Page, page_of
from streams.panel.store.engine import is_sqlite

FEW = 5_000
FURTHEST = 7_000
FEW_ENOUGH = 200
"""With as few as that, no other condition is tried."""
Condition = Callable[[Columns], ColumnElement[bool]]
"""A condition on rows, wherever their columns come from."""


@dataclass
class Search:
    """
    What was asked for, as conditions.

    `along` are those after which an index is still sorted as wanted (equality, or bounds of the order's first column);
    `filters` are the others; `few` is the one through which all can be collected, if any leaves few enough. `nothing`:
    no row fits.
    """

    table: Table
    """A table with the key `id`."""
    along: list[Condition] = field(default_factory=list)
    filters: list[Condition] = field(default_factory=list)
    leading: bool = False
    """Whether `along` has an equality already: an index has only one column before the time."""
    few: Condition | None = None
    size: int = FEW + 1
    nothing: bool = False

    def lead(self, condition: Condition) -> None:
        """Walk along the index that begins with the column of this equality, if no other one leads."""
        (self.filters if self.leading else self.along).append(condition)
        self.leading = True

    def offer(self, condition: Condition, size: int) -> None:
        """Consider collecting through a condition that this many rows fit; `FEW + 1` = too many."""
        if size == 0:
            self.nothing = True
        if size <= FEW and size < self.size:
            self.few, self.size = condition, size

    def count(self, connection: Connection, condition: Condition) -> None:
        """Offer a condition that has an index of its own."""
        if self.size <= FEW_ENOUGH:
            return
        some = select(self.table.c.id).where(condition(self.table.c)).limit(FEW + 1).subquery()
        self.offer(condition, connection.execute(select(func.count()).select_from(some)).scalar_one())


def find(connection: Connection, search: Search, order: Order, cursor: Cursor | None, size: int) -> Page[Any]:
    """One page of rows."""
    if search.nothing:
        return page_of((), order, cursor, size)
    if search.few is not None:
        return page_of(_collect(connection, search, order, cursor, size), order, cursor, size)
    found = _walk(connection, search, order, cursor, size)
    stopped = None
    if search.filters and len(found) <= size:
        stopped = _furthest(connection, search, order, cursor)
    return page_of(found, order, cursor, size, stopped)


def _collect(connection: Connection, search: Search, order: Order, cursor: Cursor | None, size: int) -> Sequence[Any]:
    assert search.few is not None
    # the limit keeps both databases from looking for the few in another way than through their own index
    few = select(search.table).where(search.few(search.table.c)).limit(FEW + 1).subquery("few")
    fits = select(few).where(*(condition(few.c) for condition in (*search.along, *search.filters)))
    return connection.execute(order.sort(fits, few.c, cursor).limit(size + 1)).all()


def _walk(connection: Connection, search: Search, order: Order, cursor: Cursor | None, size: int) -> Sequence[Any]:
    columns = search.table.c
    along = select(search.table).where(*(condition(columns) for condition in search.along))
    walk = order.sort(along, columns, cursor)
    if not search.filters:
        return connection.execute(walk.limit(size + 1)).all()
    seen = walk.limit(FURTHEST).subquery("seen")
    fits = select(seen).where(*(condition(seen.c) for condition in search.filters))
    if not is_sqlite(connection):
        # PostgreSQL may join in any order; where it does not, it knows that this sorts nothing. SQLite keeps the order,
        # and would read all that is to be seen before the first row
        fits = order.sort(fits, seen.c, cursor)
    return connection.execute(fits.limit(size + 1)).all()


def _furthest(connection: Connection, search: Search, order: Order, cursor: Cursor | None) -> tuple[Any, ...] | None:
    """The sort values of the last row that the walk looked at; None when it came to the end."""
    columns = search.table.c
    keys = select(*(columns[name] for name in order.columns))
    along = keys.where(*(condition(columns) for condition in search.along))
    last = connection.execute(order.sort(along, columns, cursor).offset(FURTHEST - 1).limit(1)).first()
    return None if last is None else tuple(last)
