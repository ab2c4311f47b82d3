"""
`loginwatch import`: what `export` wrote, back onto the topics of a new cluster.

Decision: everything is read and checked before anything is written, and records keep the times that Kafka had given them:
`now` is what blocks and incidents are dated by, so a worker that reads the restored topics decides as the first one did.
For that the topics take the writer's timestamps while the import runs. Keys decide the partition, so the new topics may have
another number of them; each account's records keep their order, which is that of the files. The states of accounts come
last (`states.py`), whatever their place in the files.

Decision: with states, records under a key that is not their account's are left out. The worker had passed them on under
the right key, and those copies are in the files: it would pass them on again, behind all that the states have applied.
"""

# ruff: noqa: PLC0415 - JSON, Avro and Kafka are slow to import, and not needed for --help

import base64
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.cli import files as streams_of_files
from streams.cli import session
from streams.cli.session import Session
from streams.core.refusal import Refused
from streams.errors import BrokerUnavailableError, DeliveryError, UsageError

if TYPE_CHECKING:
    from streams.records.codec import Codec


BEGIN_AGAIN = "What Kafka has taken stays there: delete all topics of loginwatch, run `loginwatch topics create`, and import again"


class Line(NamedTuple):
    """One record of a file as it goes onto its topic."""

    topic: str
    key: str | None
    raw: bytes | None
    timestamp_ms: int
    passed_on: bool
    """The worker does not use it: it writes a copy under the account's key (`Engine`, forwards)."""


def import_(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="What `loginwatch export` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also onto topics that hold records: they come after those.")
    ] = False,
) -> None:
    """
    Write exported records back, with their keys and times, onto the empty topics of a new cluster.

    Make the topics first (`loginwatch topics create`), and start the processes afterwards. Kafka has 10 minutes to take
    a record; then the import ends. With `accounts` in the files, records that workers passed on under another key are
    left out: the copies are there.
    """
    from streams.cli import states

    run = session.of(context)
    _demand_files(files)
    counts, passed_on = _counted(_lines(run, files, "Reading"))
    if not counts:
        raise UsageError("there is nothing to import in these files")
    if not force:
        _refuse_unless_empty(run, list(counts))
    with_states = counts[states.NAME] > 0
    left_out = passed_on if with_states else Counter[str]()
    expected = counts - left_out
    with _explained(run):
        written = _write_records(run, files, expected, leave_out=with_states)
        if with_states:
            written += _write_states(run, files)
        if written != expected:
            raise UsageError(
                f"the files changed while they were read: they held {expected.total()} record(s), and"
                f" {written.total()} were written"
            )
    _say_done(run, written, left_out.total())


def _demand_files(names: list[str]) -> None:
    """
    Refuse what gives its lines only once: pipes, standard input, devices.

    What is not there or is a directory has its own refusal, when it is opened.
    """
    for name in names:
        read_once = name == streams_of_files.STDIN
        with suppress(OSError):
            read_once = read_once or stat.S_IFMT(Path(name).stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
        if read_once:
            called = "standard input" if name == streams_of_files.STDIN else name
            raise UsageError(
                f"import reads its files twice, which {called} does not allow: write the lines into a file, and give it that"
            )


def _counted(lines: Iterator[Line]) -> tuple[Counter[str], Counter[str]]:
    """How many records there are of each topic, and how many of them the worker had passed on."""
    counts, passed_on = Counter[str](), Counter[str]()
    for line in lines:
        counts[line.topic] += 1
        passed_on[line.topic] += line.passed_on
    return counts, passed_on


def _write_records(run: Session, files: list[str], topics: Collection[str], *, leave_out: bool) -> Counter[str]:
    """All but the states; `leave_out` those that were passed on. Returns how many went onto each topic."""
    from streams.bus.admin import writers_timestamps
    from streams.cli import states

    names = [topic for topic in topics if topic != states.NAME]
    written = Counter[str]()
    if not names:
        return written
    with writers_timestamps(run.settings, names):
        for line in _lines(run, files, "Importing"):
            if line.topic != states.NAME and not (leave_out and line.passed_on):
                run.store.send_raw(line.topic, line.key, line.raw, line.timestamp_ms)
                written[line.topic] += 1
        _flush(run)
    return written


def _write_states(run: Session, files: list[str]) -> Counter[str]:
    """After the input records: a state that is written has applied all that are there."""
    from streams.cli import states
    from streams.topology import changelog

    ends, table = states.Ends(run.settings), changelog(run.settings).name
    written = Counter[str]()
    for line in _lines(run, files, "Accounts"):
        if line.topic == states.NAME and line.key is not None and line.raw is not None:
            run.store.send_raw(table, line.key, ends.packed(line.key, line.raw), line.timestamp_ms)
            written[states.NAME] += 1
    _flush(run)
    return written


def _flush(run: Session) -> None:
    """Wait a little longer than for any record: then each is acknowledged or known to be lost."""
    from streams.cli import store

    run.store.flush(store.BULK_ACKNOWLEDGED_WITHIN_S + 1)


@contextmanager
def _explained(run: Session) -> Iterator[None]:
    """
    Of an import that was broken off: why, and that what was taken is in the way of the next one.

    When Kafka is away, the topics' timestamps cannot be set back either, and that is the error that arrives here.
    """
    from streams.cli import store

    try:
        yield
    except KeyboardInterrupt:
        run.out.note(f"The import is not complete. {BEGIN_AGAIN}.")
        raise
    except UsageError as error:  # only files that have changed: they were right when they were read first
        raise UsageError(f"the import is not complete: {error}. {BEGIN_AGAIN}") from error
    except (BrokerUnavailableError, DeliveryError) as error:
        raise type(error)(
            f"the import is not complete; Kafka has {store.BULK_ACKNOWLEDGED_WITHIN_S} s to take a record: {error}."
            f" {BEGIN_AGAIN}"
        ) from error


def _say_done(run: Session, written: Counter[str], left_out: int) -> None:
    sentence = f"{written.total()} record(s) written to {', '.join(sorted(written))}."
    if left_out:
        sentence += f" {left_out} left out: workers have passed them on, as copies under their accounts' keys."
    run.out.done(sentence, {"written": dict(written), "left_out": left_out})


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
                    yield _read(codec, run.settings.default_domain, text, f"{name}, line {number}")


def _read(codec: "Codec", default_domain: str, text: bytes, where: str) -> Line:
    import orjson

    from streams.cli import states
    from streams.records.times import FIRST_MS, LAST_MS
    from streams.topology import BY_NAME

    try:
        line = orjson.loads(text)
        topic, key, timestamp, value = line["topic"], line["key"], line["timestamp"], line["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where}: not a line of `loginwatch export` ({error}); nothing more is written") from error
    if not isinstance(topic, str) or (topic != states.NAME and topic not in BY_NAME):
        raise UsageError(f"{where}: there is no topic {topic!r}")
    if topic == states.NAME and key is None:
        raise UsageError(f"{where}: a state of an account lacks its key")
    if type(timestamp) is not int or not FIRST_MS <= timestamp <= LAST_MS or not isinstance(key, str | None):
        raise UsageError(f"{where}: timestamp must be milliseconds since 1970, and key text or null")
    try:
        return Line(
            topic, key, _bytes(codec, topic, value), timestamp, _is_passed_on(topic, key, value, default_domain)
        )
    except (Refused, ValueError, orjson.JSONEncodeError) as refusal:  # base64 not in ASCII; JSON too deep
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


def _is_passed_on(topic: str, key: str | None, value: Any, default_domain: str) -> bool:
    """Whether a worker has passed on this record, which has been checked; what names no account, it has refused."""
    from streams.core.accounts import canonical_account, is_passed_on
    from streams.topology import LOGINS, WORKER_INPUTS

    if topic not in {each.name for each in WORKER_INPUTS} or not isinstance(value, dict):
        return False
    failed = topic == LOGINS.name and not value["success"]
    try:
        account = canonical_account(value["account"], default_domain)
    except Refused:
        return False
    return is_passed_on(account, None if key is None else key.encode(), failed=failed)
