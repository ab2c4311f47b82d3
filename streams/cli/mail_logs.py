"""`loginwatch logs`: follow mail logs, or read old ones once."""

# ruff: noqa: PLC0415 - Kafka is slow to import, and not needed for --help

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import session
from streams.cli.files import standard_input
from streams.cli.session import Session
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.connectors.log_backfill import Backfill

STDIN = "-"


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("logs", rich_help_panel="Processes")(logs)


def logs(
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Instead of the setting log_files; - is standard input."),
    ] = None,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Read old logs (also .gz) once, from beginning to end, and stop.")
    ] = False,
    json_out: Annotated[
        bool, typer.Option("--json-out", help="With --backfill: write what replay reads, instead of the topics.")
    ] = False,
) -> None:
    """Follow mail logs of Dovecot and Postfix, and write logins and messages to the topics."""
    from streams.cli.logs import configure_logging

    run = session.of(context)
    configure_logging(run.settings)
    if backfill:
        _backfill(run, files or [], json_out=json_out)
        return
    if json_out:
        raise UsageError("--json-out is for --backfill")
    from streams.connectors.logs import serve

    settings = run.settings.model_copy(update={"log_files": tuple(files)}) if files else run.settings
    raise typer.Exit(serve(settings))


def _backfill(run: Session, names: list[str], *, json_out: bool) -> None:
    from streams.connectors.log_backfill import Backfill, open_files, replay_lines

    if not names:
        raise UsageError("--backfill needs the files to read; - is standard input")
    job = Backfill(run.settings)
    with ExitStack() as opened:
        files = open_files(names, opened, standard_input)
        advance = opened.enter_context(_progress(names, shown=not (json_out and sys.stdout.isatty())))
        records = job.records(files, advance)
        if json_out:
            out = sys.stdout.buffer
            number = 0
            for number, line in enumerate(replay_lines(records), 1):  # noqa: B007 - the number is told at the end
                out.write(line)
            out.flush()
        else:
            with _stopped_by_signals(job):
                number = job.to_topics(records)
    _tell(run, job, number, to_topics=not json_out)


def _tell(run: Session, job: "Backfill", number: int, *, to_topics: bool) -> None:
    refused = dict(job.unreadable.reasons)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))
    text = f"{number} records from {job.lines} lines" + (f"; not usable: {reasons}." if reasons else ".")
    if to_topics:
        run.out.done(text, {"records": number, "lines": job.lines, "unreadable": refused})
    else:
        run.out.note(text)
    for name in job.damaged:
        run.out.note(f"{name} is damaged; it was read up to there.")


@contextmanager
def _stopped_by_signals(job: "Backfill") -> Iterator[None]:
    """Ctrl-C and SIGTERM end a backfill between two pieces."""
    before = {
        number: signal.signal(number, lambda *_: job.interrupted.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(names: Sequence[str], *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar of bytes on standard error, if that is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda amount: None  # noqa: ARG005 - nobody looks
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("Reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    total = None if STDIN in names else sum(Path(name).stat().st_size for name in dict.fromkeys(names))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Reading", total=total)
        yield lambda amount: bar.advance(task, amount)
