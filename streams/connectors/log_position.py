"""
The position file: up to where each log and journal was read, and which messages were begun, as one small JSON file.

Decision: written beside and moved over the old one, after Kafka has acknowledged everything before it. A damaged file is
worth less than none: the logs are then read from their beginning, since a repeated line does no harm and a lost one does.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog

from streams.connectors.log_files import Position
from streams.connectors.log_records import Waiting
from streams.errors import ConfigurationError

LOG = structlog.get_logger(__name__)

VERSION = 1


class Progress(NamedTuple):
    """
    What is kept across restarts. `damaged`: there was a file, but it could not be understood.

    `cursors` are those of the journal on standard input, the newest at the end. `newest` are logs with the latest time (ms) in
    each so far: without it a restart in the hour that a change of clocks repeats would read its lines an hour too early.
    """

    logs: dict[str, list[Position]]
    waiting: list[Waiting]
    cursors: tuple[str, ...] = ()
    damaged: bool = False
    newest: tuple[tuple[str, int], ...] = ()


def load_progress(path: Path) -> Progress:
    """What was saved; nothing if there is no file. Raises ConfigurationError when it cannot be read at all."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Progress({}, [])
    except OSError as error:
        raise ConfigurationError(f"setting log_position_file: cannot read {path}: {error.strerror}") from error
    try:
        return _parsed(orjson.loads(raw))
    except (ValueError, TypeError, KeyError, AttributeError):
        LOG.warning("the position file is damaged, logs are read from their beginning", file=str(path))
        return Progress({}, [], damaged=True)


def save_progress(path: Path, progress: Progress) -> None:
    """Write it so that there is always a whole file. Raises OSError."""
    content = {
        "version": VERSION,
        "logs": progress.logs,
        "waiting": progress.waiting,
        "cursors": progress.cursors,
        "newest": progress.newest,
    }
    beside = path.with_name(path.name + ".new")
    try:
        beside.touch(0o600)  # names and addresses of users are in it
        with beside.open("wb") as file:
            file.write(orjson.dumps(content, default=list))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def lock_progress(path: Path) -> int:
    """
    Keep every other log reader from this position file until the descriptor is closed: it would forget our positions.

    Raises ConfigurationError when one has it, or it cannot be written.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(
            f"setting log_position_file: another log reader uses {path}; give each a file of its own"
        ) from error
    return descriptor


def unwritable(path: Path, error: OSError) -> ConfigurationError:
    """The error that says what to do about it."""
    return ConfigurationError(
        f"setting log_position_file: cannot write {path}: {error.strerror}. Make its directory, or name a file that this"
        " user may write"
    )


def _parsed(content: Any) -> Progress:
    if content["version"] != VERSION:
        raise ValueError("of another version")
    logs = {str(name): [_position(entry) for entry in entries] for name, entries in content["logs"].items()}
    cursors = content.get("cursors", [])
    if not isinstance(cursors, list) or not all(isinstance(cursor, str) for cursor in cursors):
        raise TypeError("no cursors")
    newest = tuple((str(name), int(ms)) for name, ms in content.get("newest", []))
    return Progress(logs, [_waiting(entry) for entry in content["waiting"]], tuple(cursors), newest=newest)


def _position(entry: list[Any]) -> Position:
    inode, offset, length, fingerprint, *seen_ns = entry  # 0.1.0 wrote no time
    if min(inode, offset, length) < 0 or not isinstance(fingerprint, str):
        raise ValueError("no position")
    return Position(inode, offset, length, fingerprint, *map(int, seen_ns))


def _waiting(entry: list[Any]) -> Waiting:
    host, queue_id, time_ms, account, ip, record_id = entry
    if not all(isinstance(text, str) for text in (host, queue_id, account, ip, record_id)):
        raise TypeError("no begun message")
    return Waiting(host, queue_id, int(time_ms), account, ip, record_id)
