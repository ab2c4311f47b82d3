"""`loginwatch dead-letters`: records that could not be used, and their second chance."""

import base64
from collections import Counter
from typing import Annotated, Any

import typer

from streams.cli import session
from streams.cli.moments import ago, now_ms
from streams.cli.output import iso
from streams.cli.session import Session
from streams.errors import NotFoundError, UsageError

TOPIC = "dead-letters"
BINARY = ("key", "raw")
Letter = dict[str, Any]


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be used, and why.")
    for name, command in (("list", list_), ("show", show), ("resend", resend)):
        family.command(name)(command)
    root.add_typer(family, name=TOPIC, rich_help_panel="Operations")


def list_(
    context: typer.Context,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="A duration (24h, 7d) or a date, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """List dead letters, newest first, and how many there are by reason."""
    run = session.of(context)
    found = _letters(run, ago("--since", since, now_ms()))
    wanted = [letter for letter in found.values() if reason in (None, letter["reason"])]
    newest = sorted(wanted, key=lambda letter: (-letter["time"], letter["id"]))[:limit]
    rows = [
        (letter["id"], iso(letter["time"]), source(letter), letter["reason"], letter["detail"], letter["process"])
        for letter in newest
    ]
    columns = ("Id", "At", "From", "Reason", "Detail", "Process")
    run.out.table(columns, rows, [_printable(letter) for letter in newest], "No dead letters.")
    if len(wanted) > len(newest):
        counts = Counter(letter["reason"] for letter in wanted).most_common()
        run.out.note(f"{len(wanted)} in all: " + ", ".join(f"{number} {name}" for name, number in counts))


def show(context: typer.Context, id_: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one dead letter with what was received."""
    run = session.of(context)
    letter = _one(_letters(run, None), id_)
    pairs = [
        ("id", letter["id"]),
        ("from", source(letter)),
        ("at", iso(letter["time"])),
        ("refused by", letter["process"]),
        ("reason", letter["reason"]),
        ("detail", letter["detail"]),
        ("key", _received(letter["key"])),
        ("raw", _received(letter["raw"])),
    ]
    run.out.facts(pairs, _printable(letter))


def resend(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Write what was received to its topic again, under its key: once the cause of the refusal is gone."""
    run = session.of(context)
    found = _letters(run, None)
    letters = [_one(found, id_) for id_ in dict.fromkeys(ids)]
    for letter in letters:
        _check(letter)
    run.confirm(
        f"Write {len(letters)} record(s) again, to {', '.join(sorted({x['topic'] for x in letters}))}?", yes=yes
    )
    for letter in letters:
        run.store.write_raw(letter["topic"], letter["key"], letter["raw"])
    sentence = f"{len(letters)} written again; what is still refused comes back as a dead letter."
    run.out.done(sentence, {"resent": [letter["id"] for letter in letters]})


def source(letter: Letter) -> str:
    """Where a letter was found: topic, partition and offset, as far as they are known."""
    if letter["offset"] < 0:
        return letter["topic"] or "unknown"
    return f"{letter['topic']}/{letter['partition']}@{letter['offset']}"


def _letters(run: Session, since_ms: int | None) -> dict[str, Letter]:
    """By id: a letter that was written twice, before and after a crash, is one."""
    return {letter["id"]: letter for letter in run.store.rows(TOPIC, since_ms=since_ms)}


def _one(found: dict[str, Letter], id_: str) -> Letter:
    letter = found.get(id_.strip().lower())
    if letter is None:
        raise NotFoundError(
            f"there is no dead letter {id_} (they are kept for 30 days); see `loginwatch dead-letters list`"
        )
    return letter


def _check(letter: Letter) -> None:
    """
    May this be written to its topic again? Raises UsageError.

    What alerts could not tell was read from the topic, not kept off it: a block of then would lock out whom somebody has
    unblocked since.
    """
    from streams.topology import BLOCKS, BY_NAME  # noqa: PLC0415 - slow, and not needed for --help

    topic = letter["topic"]
    if topic not in BY_NAME or topic == TOPIC:
        raise UsageError(
            f"dead letter {letter['id']} came from {topic or 'no topic'!r}, which is none that it can be sent to"
        )
    if letter["process"] == "alerts":
        raise UsageError(
            f"dead letter {letter['id']} is of an event for a SOC: its record is on {topic} already, and written again it"
            " would be the newest word on that account. Nothing is lost but the event: tell the SOC what `loginwatch"
            f" dead-letters show {letter['id']}` shows; the topic alerts has the event too, unless alerts_topic is off"
        )
    if topic == BLOCKS.name:
        raise UsageError(
            f"dead letter {letter['id']} is a block as it was at its time; written again it would be the newest word on that"
            " account. If the account is to be blocked now: `loginwatch account block`"
        )
    if letter["reason"] == "too-large":
        raise UsageError(f"dead letter {letter['id']} was too large and is kept only in part: it cannot be sent again")
    if letter["raw"] is None and (letter["key"] is None or "compact" not in BY_NAME[topic].cleanup):
        raise UsageError(f"dead letter {letter['id']} has no value, which means nothing on {topic}")


def _received(raw: bytes | None) -> str:
    if raw is None:
        return "(none)"
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return repr(raw)[2:-1]


def _printable(letter: Letter) -> Letter:
    """A letter as JSON holds it: bytes in base64."""
    encoded = {name: base64.b64encode(letter[name]).decode() for name in BINARY if letter[name] is not None}
    return {**letter, **encoded}
