"""
Following one log through rotation: renamed and made anew, copied and truncated, compressed, also while we were away.

Decision: no notifications of the kernel, a look four times a second. The old file of a rotation is read until nobody has
written to it for a while, since programs hold it open until they are told. After a restart the file of the position is
looked for under all names that rotation gives; what was rotated after it is read whole.
"""

import os
import select
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import structlog

from streams.connectors.log_cursor import JournalCursors
from streams.connectors.log_files import BROKEN, CHUNK, Lines, LogFile, Position, has_inode, is_file_of, rotated
from streams.connectors.log_lines import LONGEST_TEXT

LOG = structlog.get_logger(__name__)

ROTATED_GRACE_S = 10.0
"""syslog daemons and Dovecot open the new file within seconds of a rotation."""


class StandardInput:
    """
    Lines from standard input; `ended` once the other side closed it.

    Its position are the `cursors` of journald's lines, and those up to the ones that are given are passed over. Other lines
    have no position: whoever sends them again is heard again.
    """

    name = "-"
    trouble: str | None = None
    behind = 0
    rotations = 0

    def __init__(self, descriptor: int = 0, cursors: Iterable[str] = ()) -> None:
        self._descriptor = descriptor
        self._lines = Lines()
        self._cursors = JournalCursors(cursors)
        self.ended = False

    def read(self) -> list[bytes]:
        """What has arrived; waits for nothing."""
        if self.ended or not select.select([self._descriptor], [], [], 0)[0]:
            return []
        chunk = os.read(self._descriptor, CHUNK)
        if not chunk:
            self.ended = True
        lines = self._lines.feed(chunk) if chunk else self._lines.end()
        return [line for line in lines if self._cursors.is_new(line)]

    def cursors(self) -> tuple[str, ...]:
        """Where to go on after a restart: of every sequence of the journal the last, the newest at the end."""
        return self._cursors.last()

    def close(self) -> None:
        """Nothing: whoever opened it closes it."""


class FollowedLog:
    """
    The lines of one log, from `known` positions on.

    Without positions (None) it begins at the end, or at the beginning with `from_beginning`; a file that is made later is
    always read whole. `grace_s` is how long an old file must be silent. `trouble` says why it cannot be read.
    """

    ended = False

    def __init__(
        self,
        path: Path,
        known: list[Position] | None = None,
        *,
        from_beginning: bool = False,
        grace_s: float = ROTATED_GRACE_S,
    ) -> None:
        self.name = str(path)
        self.trouble: str | None = None
        self.rotations = 0
        self._path = path
        self._grace_s = grace_s
        self._open: list[LogFile] = []
        if known is None:
            self._look()
            if self._open and not from_beginning:
                self._start_at_end()
        else:
            self._resume(known)

    @property
    def behind(self) -> int:
        """Bytes not read yet."""
        return sum(file.behind for file in list(self._open))

    def read(self) -> list[bytes]:
        """The next lines, of the oldest file first."""
        self._look()
        for file in list(self._open):
            lines, any_bytes = file.read()
            if any_bytes:
                file.last_growth_s = monotonic()
            elif file is not self._open[-1] and monotonic() - file.last_growth_s > self._grace_s:
                lines = file.finish()
                file.close()
                self._open.remove(file)
            if lines or any_bytes:
                return lines
        return []

    def positions(self) -> list[Position]:
        """One for each file that is still read."""
        return [file.position() for file in self._open]

    def close(self) -> None:
        """Let go of all files."""
        for file in self._open:
            file.close()

    def _look(self) -> None:
        """Has the log been rotated or truncated?"""
        current = self._open[-1] if self._open else None
        if current is not None and current.replaced():
            self._truncated(current)
            current = None
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            self.trouble = None if self._open else f"{self.name} does not exist (yet)"
            return
        except OSError as error:
            self.trouble = f"cannot read {self.name}: {error.strerror}"
            return
        self.trouble = None
        if current is None or current.inode != inode:
            if current is not None:
                self._add_newer(current)
            if self._add(self._path) and current is not None:
                self.rotations += 1

    def _truncated(self, current: LogFile) -> None:
        """Copied and truncated: what we had not read is in the copy."""
        self.rotations += 1
        position = current.position()
        self._open.remove(current)
        current.close()
        for older in reversed(rotated(self._path)):
            if is_file_of(position, older):
                self._add(older, position.offset)
                break

    def _resume(self, known: list[Position]) -> None:
        """Open what the positions of before the restart name, and what came after it."""
        names = [self._path, *reversed(rotated(self._path))]
        for position in known:
            same = sorted(
                (path for path in names if is_file_of(position, path)),
                key=lambda path: not has_inode(path, position.inode),
            )
            if not same:
                LOG.warning("a log that was not read to its end is gone", log=self.name[:LONGEST_TEXT])
            elif same[0] not in {file.path for file in self._open}:
                self._add(same[0], position.offset)
        if self._open and self._open[-1].path != self._path:
            self._add_newer(self._open[-1])
        if not any(file.path == self._path for file in self._open):
            self._look()

    def _add_newer(self, than: LogFile) -> None:
        """What was rotated away since, before we looked."""
        opened = {file.inode for file in self._open}
        for older in rotated(self._path):
            try:
                status = older.stat()
            except OSError:
                continue
            if status.st_mtime_ns > than.mtime_ns and status.st_ino not in opened:
                self._add(older)

    def _add(self, path: Path, offset: int = 0) -> bool:
        """Read this file too; False, and the trouble told, if it cannot be read."""
        try:
            file = LogFile(path, offset)
        except BROKEN as error:
            self.trouble = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
            return False
        file.last_growth_s = monotonic()
        self._open.append(file)
        return True

    def _start_at_end(self) -> None:
        """Behind the last whole line."""
        file = self._open[-1]
        file.close()
        size = self._path.stat().st_size
        with self._path.open("rb") as reader:
            back = min(size, CHUNK)
            reader.seek(size - back)
            end = reader.read(back).rfind(b"\n")
        self._open = []
        self._add(self._path, size - back + end + 1 if end >= 0 else size)
