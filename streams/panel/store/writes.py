"""
Writing many rows at once, the same way on both databases.

Decision: SQLite runs one prepared statement per row, in the process. PostgreSQL gets one statement for all, with an array
per column: parsed, planned and answered once, which is ten times faster there than a statement per row.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

from streams.panel.store.engine import is_sqlite

Rows = Sequence[Mapping[str, Any]]


def insert(connection: Connection, table: Table) -> PostgresInsert | SqliteInsert:
    """An INSERT that can say what happens to rows that are there already."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def upsert(connection: Connection, table: Table, rows: Rows, *, keep: Collection[str] = ()) -> None:
    """
    Insert rows, or replace those with the same primary key, except for the columns in `keep`.

    Every row has every column of the first; no two have the same key.
    """
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys and name not in keep}
    _run(connection, statement.on_conflict_do_update(index_elements=keys, set_=values), table, rows)


def insert_new(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert the rows whose primary key is not there yet."""
    if rows:
        _run(connection, insert(connection, table).on_conflict_do_nothing(), table, rows)


def add(connection: Connection, table: Table, rows: Rows, *, numbers: Collection[str]) -> None:
    """Add these columns to those of the rows with the same primary key, or insert the rows as they are."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    sums = {name: table.c[name] + statement.excluded[name] for name in numbers}
    _run(connection, statement.on_conflict_do_update(index_elements=keys, set_=sums), table, rows)


def _run(connection: Connection, statement: PostgresInsert | SqliteInsert, table: Table, rows: Rows) -> None:
    if is_sqlite(connection):
        connection.execute(statement, rows)
        return
    names = list(rows[0])
    arrays = [bindparam(name, type_=_array(table.c[name])) for name in names]
    together = func.unnest(*arrays).table_valued(*names).render_derived()
    every = select(*(together.c[name] for name in names))
    connection.execute(statement.from_select(names, every), {name: [row[name] for row in rows] for name in names})


def _array(of: Column[Any]) -> postgresql.ARRAY[Any]:
    # the type of an array takes no collation
    return postgresql.ARRAY(Text() if isinstance(of.type, Text) else of.type)


AT_ONCE = 500
"""Values of one IN list."""


def matching(
    connection: Connection, query: Select[Any], column: ColumnElement[Any], values: Iterable[Any]
) -> Iterator[Row[Any]]:
    """The rows of a query whose column has one of any number of values."""
    for some in batched(sorted(values), AT_ONCE):
        yield from connection.execute(query.where(column.in_(some)))


def batched(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))
