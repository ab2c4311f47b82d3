"""Following a log through rotation and truncation, while reading and while away: every line once."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from streams.connectors.log_files import Position
from streams.connectors.log_follow import FollowedLog, StandardInput
from tests.eventually import eventually


def drain(log: FollowedLog) -> list[bytes]:
    """All lines that are there now."""
    found: list[bytes] = []
    while lines := log.read():
        found += lines
    return found


Follow = Callable[..., FollowedLog]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Followed logs, closed at the end."""
    with ExitStack() as opened:

        def follow(*arguments: Any, **options: Any) -> FollowedLog:
            return opened.enter_context(closing(FollowedLog(*arguments, **options)))

        yield follow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


def add(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.writelines(f"{line}{end}" for line in lines)


def older(path: Path) -> None:
    """Make a file a minute older: the tests are faster than the clock of a file system."""
    status = path.stat()
    os.utime(path, (status.st_atime - 60, status.st_mtime - 60))


def test_a_new_log_is_read_from_its_end_or_its_beginning(follow: Follow, path: Path) -> None:
    """At the end: behind the last whole line."""
    add(path, "old")
    add(path, "half", end="")

    at_end, at_beginning = follow(path), follow(path, from_beginning=True)
    add(path, " whole", "new")

    assert drain(at_end) == [b"half whole", b"new"]
    assert drain(at_beginning) == [b"old", b"half whole", b"new"]


def test_a_log_that_is_made_later_is_read_whole(follow: Follow, path: Path) -> None:
    """Until then it says that it is missing."""
    log = follow(path)
    assert (drain(log), log.trouble) == ([], f"{path} does not exist (yet)")

    add(path, "first")

    assert (drain(log), log.trouble) == ([b"first"], None)


def test_rotation_by_renaming_loses_nothing(follow: Follow, path: Path) -> None:
    """The old file is read on until nobody writes to it, since programs hold it open for a while."""
    add(path, "one")
    log = follow(path, from_beginning=True, grace_s=0.2)
    assert drain(log) == [b"one"]

    with path.open("a") as holder:
        path.rename(path.with_name("mail.log.1"))
        assert drain(log) == []
        add(path, "three")
        holder.write("two\n")
        holder.flush()
        assert drain(log) == [b"two", b"three"]
        assert len(log.positions()) == 2
        holder.write("last, without an end")

    assert eventually(lambda: drain(log)) == [b"last, without an end"]
    assert (len(log.positions()), log.rotations) == (1, 1)


@pytest.mark.parametrize("copy", ["mail.log.1", "mail.log.1.gz", None])
def test_copy_and_truncate_reads_the_rest_from_the_copy(follow: Follow, path: Path, copy: str | None) -> None:
    """What was written before the copy and not read; without a copy it is gone."""
    add(path, "one")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one"]

    add(path, "two")
    if copy:
        raw = path.read_bytes()
        path.with_name(copy).write_bytes(gzip.compress(raw) if copy.endswith(".gz") else raw)
    path.write_bytes(b"")
    add(path, "3")

    assert drain(log) == ([b"two", b"3"] if copy else [b"3"])


def test_truncation_is_seen_when_the_file_is_as_long_again(follow: Follow, path: Path) -> None:
    """By its first bytes."""
    add(path, "aaaa")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"aaaa"]

    path.write_bytes(b"bbbb\ncccc\n")

    assert drain(log) == [b"bbbb", b"cccc"]


def ended(log: FollowedLog) -> list[Position]:
    """Where a reader ended that is no more."""
    known = log.positions()
    log.close()
    return known


def test_a_restart_goes_on_where_it_was(follow: Follow, path: Path) -> None:
    """A line that had no end yet is read whole."""
    add(path, "one", "two")
    add(path, "thr", end="")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one", b"two"]

    again = follow(path, ended(log))
    add(path, "ee")

    assert drain(again) == [b"three"]


@pytest.mark.parametrize("away", ["renamed", "renamed and compressed", "copied and truncated", "renamed twice"])
def test_a_log_that_was_rotated_while_we_were_away_is_read_to_its_end(follow: Follow, path: Path, away: str) -> None:
    """Under its new name, then what came after it, in order."""
    add(path, "one")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one"]
    known = ended(log)
    add(path, "two")

    middle = []
    if away == "copied and truncated":
        path.with_name("mail.log.1").write_bytes(path.read_bytes())
        path.write_bytes(b"")
    else:
        older(path)
        path.rename(path.with_name("mail.log.1"))
    if away == "renamed twice":
        older(path.with_name("mail.log.1"))
        path.with_name("mail.log.1").rename(path.with_name("mail.log.2"))
        add(path, "between")
        older(path)
        path.rename(path.with_name("mail.log.1"))
        middle = [b"between"]
    if away == "renamed and compressed":
        rotated = path.with_name("mail.log.1")
        path.with_name("mail.log.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
        rotated.unlink()
    add(path, "new")

    assert drain(follow(path, known, grace_s=0)) == [b"two", *middle, b"new"]


def test_a_log_that_is_gone_altogether_is_no_reason_to_stop(follow: Follow, path: Path) -> None:
    """The new one is read from its beginning."""
    add(path, "one")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one"]
    known = ended(log)
    path.unlink()
    add(path, "new")

    assert drain(follow(path, known)) == [b"new"]


def test_standard_input_ends_when_the_other_side_closes_it() -> None:
    """Lines as they come; the last one may have no end."""
    out, into = os.pipe()
    source = StandardInput(out)
    assert source.read() == []

    os.write(into, b"one\ntw")
    assert source.read() == [b"one"]
    os.write(into, b"o")
    os.close(into)
    assert source.read() == []
    assert source.read() == [b"two"]
    assert (source.ended, source.read(), source.cursors()) == (True, [], ())
    os.close(out)
