"""The position file: always whole, readable by its owner only, and worth nothing when damaged."""

import os
from pathlib import Path

import pytest

from streams.connectors.log_files import UNKNOWN, Position
from streams.connectors.log_position import Progress, load_progress, lock_progress, save_progress
from streams.connectors.log_records import Waiting
from streams.errors import ConfigurationError

PROGRESS = Progress(
    {"/var/log/mail.log": [Position(12, 345, 256, "abc"), Position(13, 0, 0, "def", 1_761_443_410_000_000_000)]},
    [Waiting("mx", "ABC123", 1000, "user@example.org", "192.0.2.1", "id")],
    ("s=1;i=2", "s=2;i=1"),
    newest=(("/var/log/mail.log", 1_761_443_410_000),),
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Positions and begun messages; there is no file beside it, and nobody else may read it."""
    path = tmp_path / "logs.json"
    save_progress(path, Progress({}, []))
    save_progress(path, PROGRESS)

    assert load_progress(path) == PROGRESS
    assert [file.name for file in tmp_path.iterdir()] == ["logs.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_file_nothing_was_read(tmp_path: Path) -> None:
    """Which is no damage."""
    assert load_progress(tmp_path / "none") == Progress({}, [])


def test_a_file_of_before_there_were_cursors_and_times_is_read(tmp_path: Path) -> None:
    """There are none in it."""
    path = tmp_path / "logs.json"
    path.write_bytes(b'{"version":1,"logs":{"a":[[1,2,2,"x"]]},"waiting":[]}')

    assert load_progress(path) == Progress({"a": [Position(1, 2, 2, "x", UNKNOWN)]}, [])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"version":2,"logs":{},"waiting":[]}', b'{"version":1,"logs":{"a":[[1]]},"waiting":[]}',
     b'{"version":1,"logs":{"a":[[1,2,3,"x","y"]]},"waiting":[]}', b'{"version":1,"logs":{"a":[[1,2,3,"x",4,5]]},"waiting":[]}',
     b'{"version":1,"logs":{"a":[["1",2,3,"x"]]},"waiting":[]}', b'{"version":1,"logs":{"a":[[-1,2,3,"x"]]},"waiting":[]}',
     b'{"version":1,"logs":{},"waiting":[[1,2,3,4,5,6]]}', b'{"version":1,"logs":{},"waiting":[],"cursors":"s=1"}',
     b'{"version":1,"logs":{},"waiting":[],"cursors":[1]}', b'{"version":1,"logs":{},"waiting":[],"newest":[["a","b"]]}',
     b'{"version":1,"logs":{},"waiting":[],"newest":[1]}'],
)  # fmt: skip
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    """The logs are then read from their beginning."""
    path = tmp_path / "logs.json"
    path.write_bytes(content)

    assert load_progress(path) == Progress({}, [], damaged=True)


def test_two_readers_cannot_have_one_file(tmp_path: Path) -> None:
    """The second is told to take another; when the first ends it is free again."""
    path = tmp_path / "logs.json"
    first = lock_progress(path)

    with pytest.raises(ConfigurationError, match="another log reader uses"):
        lock_progress(path)
    os.close(first)
    os.close(lock_progress(path))


def test_a_file_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    """One names the setting, the other leaves nothing behind."""
    with pytest.raises(ConfigurationError, match="log_position_file"):
        load_progress(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        save_progress(tmp_path / "none" / "logs.json", PROGRESS)
