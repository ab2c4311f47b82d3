"""
Tables as CSV for a spreadsheet.

Decision: a cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP "CSV Injection"): user
names, senders and places are chosen by strangers, and whoever opens the file is an administrator. Bytes begin with a
byte order mark, without which Excel reads UTF-8 as something else.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import StringIO

from starlette.responses import StreamingResponse

FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a cell a formula when it comes first; the last four are the full-width forms that Excel takes alike."""
BYTE_ORDER_MARK = "\ufeff"
ROWS_AT_ONCE = 200

Cell = str | int | float | None


def cell(value: Cell) -> str:
    """
    A value as a cell that no spreadsheet computes.

    >>> cell("=1+1"), cell(-3), cell("ann@example.org")
    ("'=1+1", '-3', 'ann@example.org')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = "".join(character for character in value if character >= " " or character in "\t\n")
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def moment(time_ms: int | None) -> str:
    """A time as cells have it: RFC 3339 in UTC; empty for none."""
    return "" if time_ms is None else f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The text of a table in parts, with its heading; lines end as RFC 4180 has it."""
    yield BYTE_ORDER_MARK
    part = StringIO()
    writer = csv.writer(part)
    writer.writerow([cell(column) for column in columns])
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % ROWS_AT_ONCE == 0:
            yield part.getvalue()
            part.seek(0)
            part.truncate()
    yield part.getvalue()


def csv_download(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingResponse:
    """A table to be saved as `name`, which is one of ours and plain ASCII."""
    return StreamingResponse(
        (part.encode() for part in csv_lines(columns, rows)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
