"""
`loginwatch import`: what `export` wrote, back onto the topics of a new cluster.

Decision: everything is read and checked before anything is written, and records keep the times that Kafka had given them:
`now` is what blocks and incidents are dated by, so a worker that reads the restored topics decides as the first one did.
For that the topics take the writer's timestamps while the import runs. Keys decide the partition, so the new topics may have
another number of them; each account's records keep their order, which is that of the files. The states of accounts come
last (`states.py`).
"""

# ruff: noqa: PLC0415 - JSON, Avro and Kafka are slow to import, and not needed for --help

import base64
import binascii
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.cli import files as streams_of_files
from streams.cli import session
from streams.cli.session import Session
from streams.core.refusal import Refused
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.records.codec import Codec

ACKNOWLEDGED_WITHIN_S = 60


class Line(NamedTuple):
    """One record of a file as it goes onto its topic."""

    topic: str
    key: str | None
    raw: bytes | None
    timestamp_ms: int


def import_(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="What `loginwatch export` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also onto topics that hold records: they come after those.")
    ] = False,
) -> None:
    """
    Write exported records back, with their keys and times, onto the empty topics of a new cluster.

    Make the topics first (`loginwatch topics create`), and start the processes afterwards.
    """
    from streams.bus.admin import writers_timestamps
    from streams.cli import states

    run = session.of(context)
    if "-" in files:
        raise UsageError("import reads its files twice, which standard input does not allow: give it a file")
    counts = Counter(line.topic for line in _lines(run, files, "Reading"))
    if not counts:
        raise UsageError("there is nothing to import in these files")
    if not force:
        _refuse_unless_empty(run, list(counts))
    with writers_timestamps(run.settings, [topic for topic in counts if topic != states.NAME]):
        for line in _lines(run, files, "Importing"):
            if line.topic != states.NAME:
                run.store.send_raw(line.topic, line.key, line.raw, line.timestamp_ms)
        run.store.flush(ACKNOWLEDGED_WITHIN_S)
    if counts[states.NAME]:
        _write_states(run, files)
    number = sum(counts.values())
    run.out.done(f"{number} record(s) written to {', '.join(sorted(counts))}.", {"written": dict(counts)})


def _write_states(run: Session, files: list[str]) -> None:
    """After the input records: a state that is written has applied all that are there."""
    from streams.cli import states
    from streams.topology import changelog

    ends, table = states.Ends(run.settings), changelog(run.settings).name
    for line in _lines(run, files, "Accounts"):
        if line.topic == states.NAME and line.key is not None and line.raw is not None:
            run.store.send_raw(table, line.key, ends.packed(line.key, line.raw), line.timestamp_ms)
    run.store.flush(ACKNOWLEDGED_WITHIN_S)


def _refuse_unless_empty(run: Session, topics: list[str]) -> None:
    from streams.cli import states
    from streams.topology import changelog

    for topic in topics:
        number = run.store.number_of_records(changelog(run.settings).name if topic == states.NAME else topic)
        if number:
            raise UsageError(
                f"topic {topic} holds {number} record(s) already, and nothing was written: import into a new"
                " cluster, or say --force if these records shall come after those"
            )


def _lines(run: Session, files: list[str], title: str) -> Iterator[Line]:
    codec = run.store.codec
    total = streams_of_files.total_bytes(files)
    with ExitStack() as opened, streams_of_files.progress_bar(title, total) as progress:
        for name in files:
            file = streams_of_files.open_file(name, opened)
            for number, text in enumerate(streams_of_files.lines_of([file], progress), 1):
                if text.strip():
                    yield _read(codec, text, f"{name}, line {number}")


def _read(codec: "Codec", text: bytes, where: str) -> Line:
    import orjson

    from streams.cli import states
    from streams.records.times import FIRST_MS, LAST_MS
    from streams.topology import BY_NAME

    try:
        line = orjson.loads(text)
        topic, key, timestamp, value = line["topic"], line["key"], line["timestamp"], line["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where}: not a line of `loginwatch export` ({error}); nothing more is written") from error
    if topic != states.NAME and topic not in BY_NAME:
        raise UsageError(f"{where}: there is no topic {topic!r}")
    if type(timestamp) is not int or not FIRST_MS <= timestamp <= LAST_MS or not isinstance(key, str | None):
        raise UsageError(f"{where}: timestamp must be milliseconds since 1970, and key text or null")
    try:
        return Line(topic, key, _bytes(codec, topic, value), timestamp)
    except (Refused, binascii.Error) as refusal:
        raise UsageError(f"{where}: the value is no record of {topic}: {refusal}") from refusal


def _bytes(codec: "Codec", topic: str, value: Any) -> bytes | None:
    import orjson

    from streams.cli import states
    from streams.records.json_form import from_json
    from streams.topology import ALERTS, BY_NAME

    if topic == states.NAME:
        return states.checked(value)
    if value is None:
        return None
    if isinstance(value, str):  # it could not be read when it was exported
        return base64.b64decode(value, validate=True)
    if topic == ALERTS.name:
        return orjson.dumps(value)
    record = BY_NAME[topic].record
    return codec.encode(record, from_json(record, value))
