"""
`loginwatch replay` and `loginwatch export`: the stream as files, and files as the stream.

A line of a file is `{"topic": ..., "timestamp": ..., "key": ..., "value": {...}}`; export adds `partition` and `offset`,
which a replay passes over. So an operator exports what happened and replays it, with other policies if he likes.
"""

# ruff: noqa: PLC0415 - JSON, Avro and Kafka are slow to import, and not needed for --help

import base64
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, Protocol

import typer

from streams.cli import session
from streams.cli.moments import ago, now_ms
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.bus.record import Record
    from streams.cli.store import Store

STDIN = "-"
ADVANCE_EVERY = 1000
"""Records or lines between two looks at the progress bar."""


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.command("replay", rich_help_panel="Files")(replay)
    root.command("export", rich_help_panel="Files")(export)
    from streams.cli import restore  # it reads files as this module does

    root.command("import", rich_help_panel="Files")(restore.import_)


def replay(
    context: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="JSON lines of the input topics; - is standard input.")
    ],
    geo: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE.mmdb", help="Geo database; can be repeated. Default: the settings'."),
    ] = None,
) -> None:
    """Write what the worker would write for these records. Needs no broker."""
    from streams.geo import open_places
    from streams.replay.replay import replay_lines

    run = session.of(context)
    settings = run.settings.model_copy(update={"geo_databases": tuple(geo)}) if geo else run.settings
    places = open_places(settings)
    with ExitStack() as opened, progress_bar("Replaying", total_bytes(files)) as progress:
        lines = lines_of([open_file(name, opened) for name in files], progress)
        _write(replay_lines(lines, settings, places))


def export(
    context: typer.Context,
    topics: Annotated[
        list[str], typer.Argument(metavar="TOPIC...", help="For instance: logins policies safe-networks domains.")
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="WHEN", help="A duration (24h) or a date, UTC. Tables are always whole."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Up to this time, exclusive.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many records, the first of the file; `accounts` do not count."),
    ] = None,
) -> None:
    """
    Write records of topics as JSON lines, in the order of time: what `replay` reads.

    The tables (policies, safe-networks, domains) are in force whatever their age: they are written from their beginning.
    `accounts` writes what workers keep of the accounts, after those: for `import`, not for `replay`. What workers write
    themselves (blocks, incidents, notifications) then comes last, so that no account is blocked in its state alone.
    """
    from streams.cli import states
    from streams.topology import BY_NAME

    run = session.of(context)
    known = [*BY_NAME, states.NAME]
    if unknown := [topic for topic in topics if topic not in known]:
        raise UsageError(f"there is no topic {unknown[0]!r} to export; the topics are {', '.join(known)}")
    now = now_ms()
    span = ago("--from", from_, now), ago("--until", until, now)
    names, later = _in_turn(topics)
    written = _export_topics(run, names, span, limit)
    if states.NAME in topics:
        _note_waiting(run, states.orders_waiting(run.settings))
        _write(states.exported(run.settings))
    if later and written != limit:
        _export_topics(run, later, span, None if limit is None else limit - written)
    if run.store.unreadable:
        run.out.note(
            f"{run.store.unreadable} record(s) cannot be read; the values are base64 text, which a replay refuses."
        )


def _in_turn(topics: list[str]) -> tuple[list[str], list[str]]:
    """
    The topics that are read before the states of accounts, and those read after them.

    Workers go on while an export runs, and a block that a state knows and `blocks` does not would be in force at no
    door after an import. They write an output before its state: outputs that are read later hold all that states know.
    """
    from streams.cli import states
    from streams.topology import BY_NAME

    names = [name for name in dict.fromkeys(topics) if name != states.NAME]
    outputs = [name for name in names if states.NAME in topics and BY_NAME[name].written_by == "worker"]
    return [name for name in names if name not in outputs], outputs


def _export_topics(
    run: session.Session, names: list[str], span: tuple[int | None, int | None], limit: int | None
) -> int:
    """Write what is on these topics now; how many records that were."""
    history = run.store.history(*names, since_ms=span[0], until_ms=span[1])
    total = history.total if limit is None else min(limit, history.total)
    with progress_bar("Exporting", total) as progress:
        return _write(_exported(run.store, history, limit, progress))


def _note_waiting(run: session.Session, number: int | None) -> None:
    """Say what the states do not know though it may be in the file: an import has them skip it."""
    if number is None:
        run.out.note(
            "Kafka does not say whether orders wait for a worker (it needs DESCRIBE of the workers' group): those that do"
            " are not in the states."
        )
    elif number:
        run.out.note(
            f"{number} record(s) of account-commands wait for a worker and are not in the states: after an import of this"
            " file they are not carried out. Export again when the workers have caught up."
        )


def line_of(store: "Store", record: "Record") -> bytes:
    """One record in the form of a replay. What cannot be read has its bytes as base64 text for a value."""
    import orjson

    from streams.records.json_form import to_json
    from streams.topology import ALERTS, BY_NAME

    row = store.decode(record)
    value: Any = None
    if row is not None:
        value = row if record.topic == ALERTS.name else to_json(BY_NAME[record.topic].record, row)
    elif record.value is not None:
        value = base64.b64encode(record.value).decode()
    line = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "value": value,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class Progress(Protocol):
    """How far a long command is."""

    def __call__(self, amount: int) -> None:
        """Note that so much more is done."""


def _exported(store: "Store", records: Iterable["Record"], limit: int | None, progress: Progress) -> Iterator[bytes]:
    number = 0
    for number, record in enumerate(records, 1):
        yield line_of(store, record)
        if number % ADVANCE_EVERY == 0:
            progress(ADVANCE_EVERY)
        if number == limit:
            break
    progress(number % ADVANCE_EVERY)


def lines_of(files: list[IO[bytes]], progress: Progress) -> Iterator[bytes]:
    """The lines of all files as one; `progress` is told bytes."""
    done = 0
    for file in files:
        for number, line in enumerate(file):
            done += len(line)
            if number % ADVANCE_EVERY == 0:
                progress(done)
                done = 0
            yield line
    progress(done)


def open_file(name: str, opened: ExitStack) -> IO[bytes]:
    """A file for reading; - is standard input. Raises UsageError."""
    if name == STDIN:
        return standard_input()
    try:
        return opened.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error


def standard_input() -> BinaryIO:
    """Standard input as bytes. Raises UsageError where the caller has closed it."""
    if sys.stdin is None:
        raise UsageError("cannot read standard input: it is closed. Give it something to read, or name a file")
    return sys.stdin.buffer


def total_bytes(files: list[str]) -> int | None:
    """How much there is to read; None if that cannot be known, perhaps since a file cannot be read: `open_file` says so."""
    paths = [Path(name) for name in files]
    try:
        return sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else None
    except OSError:
        return None


def _write(lines: Iterable[bytes]) -> int:
    """Onto standard output; how many lines."""
    out, number = sys.stdout.buffer, 0
    for line in lines:
        out.write(line)
        number += 1
    out.flush()
    return number


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on standard error, if that is a terminal and standard output does not scroll over it."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda amount: None  # noqa: ARG005 - nobody looks
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda amount: bar.advance(task, amount)
