"""
Keyset pagination: a page, and the opaque cursors to the pages beside it.

Decision: a cursor holds the sort values of the row at a page's edge, never a number of rows to skip, so page 10,000 costs
what page 1 costs, and rows that come in meanwhile move nothing. It is not signed: it only says where to begin, and every
query applies what the reader may see anew.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import ColumnCollection, Select, tuple_

from streams.errors import UsageError

Row = TypeVar("Row")
Shown = TypeVar("Shown")
Value = int | str
Columns = ColumnCollection[str, Any]
LONGEST = 2_000
PAGE = 50
"""Rows of a page unless asked otherwise."""
MOST = 500
BEYOND_ALL = "\U0010ffff"
"""Sorts behind every id."""
LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """
    Some rows of a list, in its order; `next` and `previous` are cursors, None where nothing more is.

    `partial`: the search was broken off, so that no page is slow; there may be fewer rows than asked for, even none, and
    `next` (or `previous`) goes on.
    """

    rows: tuple[Row, ...]
    next: str | None = None
    previous: str | None = None
    partial: bool = False

    def each(self, shown: "Callable[[Row], Shown]") -> "Page[Shown]":
        """The same page of what each row is shown as."""
        return Page(tuple(shown(row) for row in self.rows), self.next, self.previous, self.partial)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after (or, backwards, before) the row with these sort values."""

    sort: str
    values: tuple[Value, ...]
    backwards: bool = False

    def text(self) -> str:
        """As it stands in an address."""
        raw = orjson.dumps([self.sort, self.backwards, *self.values])
        return urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse_cursor(text: str | None, sort: str, kinds: Sequence[type]) -> Cursor | None:
    """
    The cursor of a list sorted so; None for none. Raises UsageError for one of another list, or for anything else.

    >>> parse_cursor(Cursor("newest", (5, "a")).text(), "newest", (int, str))
    Cursor(sort='newest', values=(5, 'a'), backwards=False)
    """
    if not text:
        return None
    try:
        if len(text) > LONGEST:
            raise ValueError
        found = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        name, backwards, *values = found
        fits = len(values) == len(kinds) and all(type(value) is kind for value, kind in zip(values, kinds, strict=True))
        if name != sort or not isinstance(backwards, bool) or not fits:
            raise ValueError
        if any(isinstance(value, int) and abs(value) > LARGEST for value in values):
            raise ValueError
        if any(isinstance(value, str) and "\0" in value for value in values):  # which PostgreSQL takes in no text
            raise ValueError
    except (ValueError, TypeError) as error:
        raise UsageError(
            "This address of a page is not complete, or of another list: begin with the first page"
        ) from error
    return Cursor(sort, tuple(values), backwards)


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: its name, and its columns, the last one unique; all falling, or all rising."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[type, ...]
    falling: bool = True

    def parse(self, text: str | None) -> Cursor | None:
        """A cursor of this list. Raises UsageError."""
        return parse_cursor(text, self.name, self.kinds)

    def key(self, row: Any) -> tuple[Value, ...]:
        """The sort values of a row that has these attributes."""
        return tuple(getattr(row, name) for name in self.columns)

    def sort(self, query: Select[Any], source: Columns, cursor: Cursor | None) -> Select[Any]:
        """The query in this order (the other way round for a cursor that goes backwards), from the cursor on."""
        columns = [source[name] for name in self.columns]
        falling = self.falling != (cursor is not None and cursor.backwards)
        if cursor is not None:
            here, there = tuple_(*columns), tuple_(*cursor.values)
            query = query.where(here < there if falling else here > there)
        return query.order_by(*(column.desc() if falling else column.asc() for column in columns))


def page_of(
    found: Sequence[Row], order: Order, cursor: Cursor | None, size: int, broken_off: tuple[Value, ...] | None = None
) -> Page[Row]:
    """
    The page of rows read in the cursor's direction, one more than `size` where there are more.

    `broken_off`: the sort values at which the search stopped before the page was full.
    """
    more, kept = len(found) > size or broken_off is not None, list(found[:size])
    backwards = cursor is not None and cursor.backwards
    edge = broken_off if broken_off is not None else order.key(kept[-1]) if kept else None
    onward = Cursor(order.name, edge, backwards).text() if more and edge is not None else None
    start = order.key(kept[0]) if kept else None if cursor is None else _at(order, cursor)
    back = Cursor(order.name, start, not backwards).text() if cursor is not None and start is not None else None
    if backwards:
        kept.reverse()
        return Page(tuple(kept), back, onward, broken_off is not None)
    return Page(tuple(kept), onward, back, broken_off is not None)


def _at(order: Order, cursor: Cursor) -> tuple[Value, ...]:
    """Where an empty page turns back: so that the row at its cursor, which the page before it showed, comes again."""
    last: tuple[Value, Value] = ("", BEYOND_ALL) if order.kinds[-1] is str else (-LARGEST, LARGEST)
    return (*cursor.values[:-1], last[cursor.backwards == order.falling])


def page_in(rows: Iterable[Row], order: Order, cursor: str | None, size: int) -> Page[Row]:
    """
    One page of a list that is short, and of which code and no query says who sees what. Raises UsageError.

    >>> page_in([1, 3, 2], Order("greatest", ("numerator",), (int,)), None, 2).rows
    (3, 2)
    """
    found = order.parse(cursor)
    falling = order.falling != (found is not None and found.backwards)
    ordered = sorted(rows, key=order.key, reverse=falling)
    if found is not None:
        ordered = [
            row for row in ordered if order.key(row) != found.values and (order.key(row) < found.values) == falling
        ]
    return page_of(ordered, order, found, min(size, MOST))


def whole(page: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
    """All rows of a list, given how to read the page at a cursor."""
    cursor: str | None = None
    while True:
        found = page(cursor)
        yield from found.rows
        cursor = found.next
        if cursor is None:
            return
