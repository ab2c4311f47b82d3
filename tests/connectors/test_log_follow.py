"""Following a log through rotation and truncation, while reading and while away: every line once."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import copy2, copystat
from time import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.connectors.log_files import UNKNOWN, Position
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


def test_a_log_that_cannot_be_read_is_told_once_and_so_is_its_return(follow: Follow, path: Path) -> None:
    """Four looks a second are no reason for four lines a second."""
    with capture_logs() as said:
        log = follow(path)
        for _ in range(3):
            drain(log)
        add(path, "first")
        drain(log)
        drain(log)

    assert [(each["log_level"], each["file"]) for each in said] == [("warning", str(path)), ("info", str(path))]
    assert said[0]["problem"] == f"{path} does not exist (yet)"


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


def written(path: Path, minute: int) -> None:
    """Say that a file was written in this minute of the past day."""
    os.utime(path, (time() - 86_400 + 60 * minute,) * 2)


def rotate_names(path: Path) -> None:
    """As logrotate does: each older file gets the next number."""
    for name in ("mail.log.1", "mail.log.1.gz"):
        if path.with_name(name).exists():
            path.with_name(name).rename(path.with_name(name.replace("1", "2")))


def copy_and_truncate(path: Path) -> None:
    """logrotate's copytruncate."""
    rotate_names(path)
    copy2(path, path.with_name("mail.log.1"))
    os.truncate(path, 0)


def rename_and_compress(path: Path) -> None:
    """logrotate's compress with create: nothing is left of the inode."""
    rotate_names(path)
    packed = path.with_name("mail.log.1.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    copystat(path, packed)
    path.unlink()
    path.touch()


def test_two_copies_while_reading_waits_lose_nothing(follow: Follow, path: Path) -> None:
    """The rest of the first file and all of the second, in order."""
    add(path, "one")
    written(path, 0)
    log = follow(path, from_beginning=True, grace_s=0)
    assert drain(log) == [b"one"]

    for minute, lines in enumerate((["two"], ["three", "four"]), 1):
        add(path, *lines)
        written(path, minute)
        copy_and_truncate(path)
    add(path, "five")

    assert drain(log) == [b"two", b"three", b"four", b"five"]
    assert (log.rotations, log.trouble) == (2, None)


def test_a_truncation_without_a_copy_is_told_and_later_copies_are_read(follow: Follow, path: Path) -> None:
    """What was not read of the file is lost; what was written after it is not."""
    add(path, "one")
    written(path, 0)
    log = follow(path, from_beginning=True, grace_s=0)
    assert drain(log) == [b"one"]

    for minute, line in enumerate(("two", "three"), 1):
        add(path, line)
        written(path, minute)
        copy_and_truncate(path)
    path.with_name("mail.log.2").unlink()
    with capture_logs() as said:
        assert drain(log) == [b"three"]

    assert [(each["log_level"], each["log"]) for each in said] == [("warning", str(path))]
    assert "lost" in said[0]["event"]


@pytest.mark.parametrize("rotate", [copy_and_truncate, rename_and_compress])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("begun", ["", "o"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_log_that_was_empty_at_the_last_look_is_found(
    follow: Follow, path: Path, rotate: Callable[[Path], None], restart: bool, begun: str, times: int
) -> None:
    """Nothing was read of it that could tell it from others: what was rotated since is read, and nothing before that."""
    add(path.with_name("mail.log.1"), "of another day")
    written(path.with_name("mail.log.1"), -1)
    add(path, begun, end="")
    written(path, 0)
    log = follow(path, from_beginning=True, grace_s=0)
    assert drain(log) == []

    known = ended(log) if restart else []
    lines = ["one", "or two"][:times]
    for minute, line in enumerate(lines):
        add(path, line if minute else line.removeprefix(begun))
        written(path, 1 + minute)
        rotate(path)
    add(path, "new")
    with capture_logs() as said:
        found = drain(follow(path, known, grace_s=0) if restart else log)

    assert (found, said) == ([*(line.encode() for line in lines), b"new"], [])


def test_what_was_read_is_not_read_again_with_the_first_line_of_an_empty_log(follow: Follow, path: Path) -> None:
    """Its last line was written after the new file was made; nor what was rotated before the log was followed."""
    before = path.with_name("mail.log.1")
    path.touch()
    written(path, 0)
    add(before, "of before")
    log = follow(path, grace_s=0)
    add(path, "one")
    assert drain(log) == [b"one"]

    path.rename(before)
    path.touch()
    written(path, 0)  # nobody had told the writer of the old file yet
    assert drain(log) == []
    add(path, "two")
    assert drain(log) == [b"two"]

    again = follow(path, ended(log), grace_s=0)
    add(path, "three")
    assert drain(again) == [b"three"]


def test_an_empty_log_of_an_old_position_file_is_followed_as_before(follow: Follow, path: Path) -> None:
    """It does not say when the log was seen, and that is no reason to read what was rotated weeks ago."""
    add(path.with_name("mail.log.1"), "old")
    path.touch()
    log = follow(path)
    known = [position._replace(seen_ns=UNKNOWN) for position in ended(log)]
    again = follow(path, known, grace_s=0)
    add(path, "new")

    assert drain(again) == [b"new"]


def test_a_damaged_rotated_log_is_read_up_to_there_and_told(follow: Follow, path: Path) -> None:
    """The line that the damage has cut is not read as if it were whole."""
    add(path, "one")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one"]
    known = ended(log)
    add(path, "two", "three")
    packed = path.with_name("mail.log.1.gz")
    packed.write_bytes(gzip.compress(path.read_bytes() + b"cut", 0)[:-8])
    path.write_bytes(b"new\n")

    with capture_logs() as said:
        assert drain(follow(path, known, grace_s=0)) == [b"two", b"three", b"new"]

    assert [(each["log_level"], each["file"]) for each in said] == [("warning", str(packed))]
    assert "damaged" in said[0]["event"]


def test_a_rotated_log_that_is_damaged_before_the_position_is_told(follow: Follow, path: Path) -> None:
    """Nothing of it can be read; the new one is."""
    add(path, *(f"line {number}" for number in range(1000)))
    log = follow(path, from_beginning=True)
    assert len(drain(log)) == 1000
    known = ended(log)
    packed = path.with_name("mail.log.1.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 0)[:5000])
    path.write_bytes(b"new\n")

    with capture_logs() as said:
        assert drain(follow(path, known)) == [b"new"]

    assert [(each["log_level"], each["file"]) for each in said] == [("warning", str(packed))]


def test_rotated_logs_that_cannot_be_read_are_told_once(follow: Follow, path: Path) -> None:
    """Also when they are looked for again because the log itself cannot be read."""
    add(path, "one")
    log = follow(path, from_beginning=True)
    assert drain(log) == [b"one"]
    written(path, 0)
    path.rename(path.with_name("mail.log.2"))
    path.with_name("mail.log.1").mkdir()
    path.mkdir()

    with capture_logs() as said:
        for _ in range(3):
            assert drain(log) == []

    assert [each["file"] for each in said] == [str(path.with_name("mail.log.1")), str(path)]


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
