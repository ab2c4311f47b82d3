"""
Log files as they are read: split into lines, plain or compressed, with a position that is found again.

A position names a file by inode and by a hash of its first bytes, so that it is recognised after it was renamed (by both),
copied (by the hash), compressed (by the hash), and not mistaken for a new file with the old inode.
"""

import gzip
import hashlib
import os
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from streams.connectors.log_lines import LONGEST_LINE

CHUNK = 1 << 20
UNPACKED = 1 << 15
"""Bytes unpacked at a time: no more is lost before a damage, and smaller pieces take longer."""
LONGEST_KEPT = 8 * LONGEST_LINE
"""A line that does not end within this many bytes is handed out cut, and passed over up to its end."""
FINGERPRINT_BYTES = 256
BROKEN = (OSError, EOFError, zlib.error)
"""What reading a compressed file that is damaged, or still being written, raises."""
UNKNOWN = -1
"""When the file of a position was written, in position files of before that was kept."""
_ROTATED = re.compile(r"[.-]\d[\d.-]*(?:\.gz)?")


class Position(NamedTuple):
    """
    Up to where a file was read, and which file it was: hash of its first `length` bytes.

    Lines of it that were not seen are in a file that was written after `seen_ns`.
    """

    inode: int
    offset: int
    length: int
    fingerprint: str
    seen_ns: int = UNKNOWN


class Lines:
    """Cuts a stream of bytes into lines, in bounded memory. `pending` bytes belong to a line without end so far."""

    def __init__(self) -> None:
        self._rest = b""
        self._passing_over = False

    @property
    def pending(self) -> int:
        """Bytes taken in and not yet handed out."""
        return len(self._rest)

    def begins_as(self, text: bytes) -> bool:
        """Whether a text, and the bytes not yet handed out, are the same as far as both go."""
        length = min(len(self._rest), len(text))
        return self._rest[:length] == text[:length]

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends."""
        lines = (self._rest + chunk if self._rest else chunk).split(b"\n")
        self._rest = lines.pop()
        if self._passing_over and lines:
            del lines[0]
            self._passing_over = False
        if self._passing_over:
            self._rest = b""
        elif len(self._rest) > LONGEST_KEPT:
            lines.append(self._rest)
            self._rest, self._passing_over = b"", True
        return lines

    def end(self) -> list[bytes]:
        """What remains when nothing more will come."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Unpacked:
    """What is in a gzip file. What comes before a damage is read, then it ends, and `damage` says why."""

    def __init__(self, file: BinaryIO) -> None:
        self._stream = gzip.GzipFile(fileobj=file)
        self.damage: str | None = None

    def seek(self, offset: int) -> None:
        """Go there from the beginning. Raises one of BROKEN when the file is damaged before."""
        self._stream.seek(offset)

    def read(self, size: int) -> bytes:
        """The next bytes; at a damage it is tried again each time, since the file may still be being written."""
        pieces, left = [], size
        self.damage = None
        try:
            while left > 0 and (piece := self._stream.read1(min(left, UNPACKED))):
                pieces.append(piece)
                left -= len(piece)
        except BROKEN as error:
            self.damage = str(error)
        return b"".join(pieces)


class LogFile:
    """
    One open file, read from `offset` on. Raises one of BROKEN when it cannot be opened, or is damaged before `offset`.

    `seen_ns` is for the position; whoever looks after the file keeps it.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.compressed = path.suffix == ".gz"
        self._file = path.open("rb", buffering=0)
        self._packed = Unpacked(self._file) if self.compressed else None
        self._stream = self._packed or self._file
        self._lines = Lines()
        self._read = offset
        self._first = b""
        self.last_growth_s = 0.0
        try:
            self._stream.seek(offset)
            self._remember_first()
            self.seen_ns = self.written_ns()
        except BROKEN:
            self._file.close()
            raise

    @property
    def inode(self) -> int:
        """The file's inode, whatever it is called now."""
        return os.fstat(self._file.fileno()).st_ino

    @property
    def mtime_ns(self) -> int:
        """When it was written last."""
        return os.fstat(self._file.fileno()).st_mtime_ns

    @property
    def damage(self) -> str | None:
        """Why a compressed file could not be read to its end, as far as is known yet."""
        return self._packed.damage if self._packed else None

    @property
    def offset(self) -> int:
        """The end of the last line handed out."""
        return self._read - self._lines.pending

    @property
    def behind(self) -> int:
        """Bytes not read yet; 0 for a compressed file, of which that is not known, and for a closed one. For any thread."""
        try:
            return 0 if self.compressed else max(0, os.fstat(self._file.fileno()).st_size - self._read)
        except ValueError:
            return 0

    def read(self) -> tuple[list[bytes], bool]:
        """The next lines, and whether there was anything to read at all. A damaged file ends where the `damage` is."""
        try:
            chunk = self._stream.read(CHUNK)
        except OSError:
            chunk = b""
        self._read += len(chunk)
        lines = self._lines.feed(chunk) if chunk else []
        self._remember_first()
        return lines, bool(chunk)

    def finish(self) -> list[bytes]:
        """A last line without an end, when nobody will write it any more; not one that a damage has cut."""
        return [] if self.damage else self._lines.end()

    def written_ns(self) -> int:
        """When it was written last; while some of it was not handed out, a moment before."""
        status = os.fstat(self._file.fileno())
        return status.st_mtime_ns - (status.st_size > self.offset)

    def replaced(self) -> bool:
        """Whether this file was cut short, or written anew from its beginning, since it was read."""
        if self.compressed:
            return False
        size = os.fstat(self._file.fileno()).st_size
        if size < self._read:
            return True
        first = self._first_bytes()
        return not (first.startswith(self._first) if self._first else self._lines.begins_as(first))

    def position(self) -> Position:
        """Where reading goes on after a restart."""
        return Position(self.inode, self.offset, len(self._first), fingerprint(self._first), self.seen_ns)

    def beginning(self) -> Position:
        """What its copies are known by, also before any of it is read."""
        first = self._first if self.compressed else self._first_bytes()
        if len(first) < FINGERPRINT_BYTES:
            first = first[: first.rfind(b"\n") + 1]  # less than a line may be the beginning of any log
        return Position(self.inode, 0, len(first), fingerprint(first))

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def _remember_first(self) -> None:
        """The first bytes, as far as they were handed out already: those do not change unless the file is replaced."""
        length = min(FINGERPRINT_BYTES, self.offset)
        if len(self._first) < length:
            self._first = first_bytes(self.path, length) if self.compressed else self._first_bytes()[:length]

    def _first_bytes(self) -> bytes:
        return os.pread(self._file.fileno(), FINGERPRINT_BYTES, 0)


def fingerprint(first: bytes) -> str:
    """A hash, since the first line of a log is nobody else's business."""
    return hashlib.sha256(first).hexdigest()[:32]


def first_bytes(path: Path, length: int) -> bytes:
    """The first bytes of a plain or compressed file; fewer if it is shorter, none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return Unpacked(file).read(length) if path.suffix == ".gz" else file.read(length)
    except OSError:
        return b""


def is_file_of(position: Position, path: Path) -> bool:
    """Whether this is the file, or a copy of the file, that the position was taken in."""
    if position.length == 0:  # nothing was read of it: only the inode tells, and `seen_ns` where to look else
        return has_inode(path, position.inode)
    try:
        if path.suffix != ".gz" and path.stat().st_size < position.offset:
            return False
    except OSError:
        return False
    first = first_bytes(path, position.length)
    return len(first) == position.length and fingerprint(first) == position.fingerprint


def has_inode(path: Path, inode: int) -> bool:
    """Whether the file of this name has this inode now."""
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def mtime_of(path: Path) -> int:
    """When the file of this name was written last (ns); before everything if it is gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return UNKNOWN


def rotated(path: Path) -> list[Path]:
    """The older files of a log (`mail.log.1`, `mail.log.2.gz`, `mail.log-20261122`), those written first at the beginning."""
    found = []
    try:
        for older in path.parent.iterdir():
            if older.name.startswith(path.name) and _ROTATED.fullmatch(older.name, len(path.name)):
                with suppress(FileNotFoundError):  # rotated once more in between
                    found.append((older.stat().st_mtime_ns, older))
    except OSError:
        return []
    return [older for _, older in sorted(found)]
