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
from typing import IO, NamedTuple, cast

from streams.connectors.log_lines import LONGEST_LINE

CHUNK = 1 << 20
LONGEST_KEPT = 8 * LONGEST_LINE
"""A line that does not end within this many bytes is handed out cut, and passed over up to its end."""
FINGERPRINT_BYTES = 256
BROKEN = (OSError, EOFError, zlib.error)
"""What reading a compressed file that is damaged, or still being written, raises."""
_ROTATED = re.compile(r"[.-]\d[\d.-]*(?:\.gz)?")


class Position(NamedTuple):
    """Up to where a file was read, and which file it was: hash of its first `length` bytes."""

    inode: int
    offset: int
    length: int
    fingerprint: str


class Lines:
    """Cuts a stream of bytes into lines, in bounded memory. `pending` bytes belong to a line without end so far."""

    def __init__(self) -> None:
        self._rest = b""
        self._passing_over = False

    @property
    def pending(self) -> int:
        """Bytes taken in and not yet handed out."""
        return len(self._rest)

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


class LogFile:
    """One open file, read from `offset` on. Raises OSError when it cannot be opened."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.compressed = path.suffix == ".gz"
        self._file = path.open("rb", buffering=0)
        self._stream: IO[bytes] = (
            cast("IO[bytes]", gzip.GzipFile(fileobj=self._file)) if self.compressed else self._file
        )
        self._lines = Lines()
        self._read = offset
        self._first = b""
        self.last_growth_s = 0.0
        try:
            self._stream.seek(offset)
            self._remember_first()
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
        """The next lines, and whether there was anything to read at all. A damaged file ends where the damage is."""
        try:
            chunk = self._stream.read(CHUNK)
        except BROKEN:
            chunk = b""
        self._read += len(chunk)
        lines = self._lines.feed(chunk) if chunk else []
        self._remember_first()
        return lines, bool(chunk)

    def finish(self) -> list[bytes]:
        """A last line without an end, when nobody will write it any more."""
        return self._lines.end()

    def replaced(self) -> bool:
        """Whether this file was cut short, or written anew from its beginning, since it was read."""
        if self.compressed:
            return False
        size = os.fstat(self._file.fileno()).st_size
        return size < self._read or not self._first_bytes().startswith(self._first)

    def position(self) -> Position:
        """Where reading goes on after a restart."""
        return Position(self.inode, self.offset, len(self._first), fingerprint(self._first))

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
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(length)
    except BROKEN:
        return b""


def is_file_of(position: Position, path: Path) -> bool:
    """Whether this is the file, or a copy of the file, that the position was taken in."""
    if position.length == 0:  # nothing was read of it: only the inode tells
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
