"""
What the commands print: tables for people, JSON for programs, remarks on standard error.

Decision: text from topics (descriptions, client names, dead letters) is foreign; whatever is not printable is shown as an
escape, so that no record can steer the terminal of the operator who looks at it. A pipe gets full lines, never a table cut
to 80 columns.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 1000
"""Width of a table that nobody's terminal folds."""


def iso(time_ms: int | None) -> str:
    """
    A time in UTC as people and programs read it; nothing for None.

    >>> iso(1_700_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    if time_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"


def plain(value: Any) -> str:
    r"""
    A value of a record as text: lists with commas, switches as yes and no, what is not printable as an escape.

    >>> plain(["DE", True, None, "\x1b[2J"])
    'DE, yes, , \\x1b[2J'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(value))


@dataclass
class Output:
    """Where a command puts its answer; `json` decides the form of everything on standard output."""

    json: bool = False

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], records: Any, empty: str) -> None:
        """Show rows to people, or their records as one JSON document to programs; `empty` says what it means that there are none."""
        if self.json:
            self._document(records)
            return
        listed = list(rows)
        if not listed:
            self.note(empty)
            return
        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for column in table.columns:
            column.overflow = "fold"
        for row in listed:
            table.add_row(*(Text(plain(cell)) for cell in row))
        self._console().print(table)

    def facts(self, pairs: Iterable[tuple[str, Any]], record: Any) -> None:
        """Show one thing, a line per field, or its record as JSON."""
        if self.json:
            self._document(record)
            return
        grid = Table.grid(padding=(0, 2))
        for name, value in pairs:
            grid.add_row(Text(name, style="bold"), Text(plain(value), overflow="fold"))
        self._console().print(grid)

    def done(self, sentence: str, record: Any) -> None:
        """Say what was done."""
        if self.json:
            self._document(record)
        else:
            typer.echo(plain(sentence))

    def line(self, text: str, record: Any) -> None:
        """One line of a stream that may never end, seen at once by whoever reads the pipe."""
        typer.echo(json.dumps(record) if self.json else plain(text))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """A remark for people, on standard error."""
        typer.echo(plain(text), err=True)

    def _document(self, value: Any) -> None:
        typer.echo(json.dumps(value, indent=2))

    def _console(self) -> Console:
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        return Console(file=sys.stdout, width=width, highlight=False)
