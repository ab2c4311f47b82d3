"""Files as lines: bounded memory, positions that recognise a file, names that rotation gives."""

import gzip
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.log_files import LONGEST_KEPT, UNPACKED, Lines, LogFile, is_file_of, rotated


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_arrive(pieces: list[bytes], step: int) -> None:
    """In pieces of any size; the last line waits for its end."""
    text = b"\n".join(pieces)
    lines = Lines()

    found = [line for at in range(0, len(text), step) for line in lines.feed(text[at : at + step])]

    assert found + lines.end() == text.split(b"\n")[:-1] + [x for x in text.split(b"\n")[-1:] if x]


def test_a_line_without_an_end_costs_bounded_memory() -> None:
    """It is handed out once, cut; what follows up to its end is passed over."""
    lines = Lines()

    first = lines.feed(b"x" * (LONGEST_KEPT + 1))
    more = [lines.feed(b"y" * LONGEST_KEPT) for _ in range(5)]

    assert [len(line) for line in first] == [LONGEST_KEPT + 1]
    assert more == [[]] * 5
    assert lines.pending == 0
    assert lines.feed(b"yy\nnext\n") == [b"next"]


def test_a_position_recognises_its_file_renamed_copied_and_compressed(tmp_path: Path) -> None:
    """And no other file, not even one of the same inode."""
    log = tmp_path / "mail.log"
    log.write_bytes(b"first line\nsecond line\npart")
    file = LogFile(log)
    assert file.read() == ([b"first line", b"second line"], True)
    position = file.position()
    file.close()

    renamed, packed, shorter, other = (tmp_path / name for name in ("a", "b.gz", "c", "d"))
    renamed.write_bytes(log.read_bytes())
    packed.write_bytes(gzip.compress(log.read_bytes()))
    shorter.write_bytes(b"first line\n")
    other.write_bytes(b"another one\nsecond line\n")
    log.write_bytes(b"other lines\n" * 10)

    assert position.offset == len(b"first line\nsecond line\n")
    assert [is_file_of(position, path) for path in (renamed, packed, shorter, other, log, tmp_path / "none")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_a_compressed_file_is_read_from_its_position(tmp_path: Path) -> None:
    """From the end of a line on."""
    packed = tmp_path / "mail.log.1.gz"
    packed.write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    file = LogFile(packed, 4)
    assert file.read()[0] == [b"two", b"three"]
    assert (file.offset, file.behind, file.replaced()) == (14, 0, False)
    file.close()


@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_a_damaged_compressed_file_is_read_up_to_the_damage(tmp_path: Path, damage: str) -> None:
    """All lines before it but those of the piece that is unpacked at once; not the line that was cut."""
    random = Random(1)
    lines = [b"%d %x" % (number, random.getrandbits(200)) for number in range(20_000)]
    packed = gzip.compress(b"\n".join(lines))
    cut = len(packed) * 3 // 4
    path = tmp_path / "mail.log.1.gz"
    path.write_bytes(packed[:cut] if damage == "cut short" else packed[:cut] + bytes(len(packed) - cut))

    file = LogFile(path)
    found: list[bytes] = []
    while (read := file.read())[1]:
        found += read[0]
    found += file.finish()
    file.close()

    whole = sum(len(line) + 1 for line, same in zip(found, lines, strict=False) if line == same)
    assert whole > len(b"\n".join(lines)) * 3 // 4 - 2 * UNPACKED
    if damage == "cut short":
        assert found == lines[: len(found)]
    assert file.damage


def test_a_compressed_file_that_is_still_being_written_is_read_on(tmp_path: Path) -> None:
    """Its end is no damage once the rest is there."""
    packed = gzip.compress(b"one\ntwo\n", 0)
    path = tmp_path / "mail.log.1.gz"
    path.write_bytes(packed[:-12])
    file = LogFile(path)
    assert file.read()[0] == [b"one"]
    assert file.damage

    with path.open("ab") as rest:
        rest.write(packed[-12:])

    assert (file.read()[0], file.damage) == ([b"two"], None)
    file.close()


def test_the_older_files_of_a_log_come_in_the_order_of_their_writing(tmp_path: Path) -> None:
    """By date, and only names that rotation gives."""
    names = (
        "mail.log.2.gz",
        "mail.log.1",
        "mail.log-20261122",
        "mail.log",
        "mail.log.bak",
        "mail.logger",
        "mail.log.new",
    )
    for age, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1000 + age, 1000 + age))

    assert [path.name for path in rotated(tmp_path / "mail.log")] == [
        "mail.log.2.gz",
        "mail.log.1",
        "mail.log-20261122",
    ]
    assert rotated(tmp_path / "nowhere" / "mail.log") == []
