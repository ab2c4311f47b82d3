"""
Following one log through rotation: renamed and made anew, copied and truncated, compressed, also while we were away.

Decision: no notifications of the kernel, a look four times a second. The old file of a rotation is read until nobody has
written to it for a while, since programs hold it open until they are told. After a restart the file of the position is
looked for under all names that rotation gives; what was rotated after it is read whole. Where the first bytes do not tell
(none was read, or the file is gone), whatever was rotated and written since the last look is read: repeated lines do no harm.
"""

import os
import select
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import structlog

from streams.connectors.log_cursor import JournalCursors
from streams.connectors.log_files import (
    BROKEN,
    CHUNK,
    UNKNOWN,
    Lines,
    LogFile,
    Position,
    has_inode,
    is_file_of,
    mtime_of,
    rotated,
)
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
        self._told: str | None = None
        self._told_of: set[tuple[Path, int]] = set()
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
        self._tell()
        for file in list(self._open):
            lines, any_bytes = file.read()
            if any_bytes:
                file.last_growth_s = monotonic()
            elif file is not self._open[-1] and monotonic() - file.last_growth_s > self._grace_s:
                lines = self._finish(file)
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

    def _finish(self, file: LogFile) -> list[bytes]:
        """Let go of an old file that nobody writes to any more; its last line, if that had no end."""
        if file.damage:
            LOG.warning("a rotated log is damaged, it was read up to there", file=str(file.path), problem=file.damage)
        current = self._open[-1]
        current.seen_ns = max(current.seen_ns, file.mtime_ns)  # this one need not be read again on its account
        lines = file.finish()
        file.close()
        self._open.remove(file)
        return lines

    def _tell(self) -> None:
        """Once when it cannot be read, and once when it can again."""
        if self.trouble == self._told:
            return
        if self.trouble is None:
            LOG.info("a log can be read now", file=self.name)
        else:
            LOG.warning("a log is not read; it is tried again", file=self.name, problem=self.trouble)
        self._told = self.trouble

    def _look(self) -> None:
        """Has the log been rotated or truncated?"""
        current = self._open[-1] if self._open else None
        if current is not None and not self._is_as_it_was(current):
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
            self._follow(current)

    def _follow(self, before: LogFile | None) -> None:
        """Read the file that is the log now, after the one that was it `before`."""
        if before is not None:
            self.rotations += self._add_newer(before.mtime_ns)
        passed_ns = UNKNOWN if self._open else max(map(mtime_of, rotated(self._path)), default=UNKNOWN)
        if self._add(self._path):
            current = self._open[-1]
            current.seen_ns = max(current.seen_ns, passed_ns)  # what was rotated before we began is not asked for
            self.rotations += before is not None

    def _is_as_it_was(self, current: LogFile) -> bool:
        """Whether the log was not truncated since the last look; else it was closed, and its copies are read."""
        seen_ns = current.written_ns()  # asked before looking: what is written meanwhile is newer
        if current.replaced():
            self._truncated(current)
            return False
        if current.offset == 0 and seen_ns > current.seen_ns:  # nothing was read: its first bytes cannot tell
            self.rotations += self._add_newer(current.seen_ns, current.mtime_ns, last=current)
        current.seen_ns = max(current.seen_ns, seen_ns)
        return True

    def _truncated(self, current: LogFile) -> None:
        """Copied and truncated: what we had not read is in the copy, and in those that were made after it."""
        self.rotations += 1
        position = current.position()
        self._open.remove(current)
        current.close()
        for older in reversed(rotated(self._path)):
            if is_file_of(position, older):
                if self._add(older, position.offset):
                    self.rotations += self._add_newer(self._open[-1].mtime_ns)
                return
        added = self._add_newer(position.seen_ns)
        self.rotations += added
        if position.length or not added:
            LOG.warning(
                "a log was truncated and has no copy: what was not read of it is lost", log=self.name[:LONGEST_TEXT]
            )

    def _resume(self, known: list[Position]) -> None:
        """Open what the positions of before the restart name, and what came after it."""
        names = [self._path, *reversed(rotated(self._path))]
        gone = []
        for position in known:
            same = sorted(
                (path for path in names if is_file_of(position, path)),
                key=lambda path: not has_inode(path, position.inode),
            )
            if not same:
                gone.append(position)
            elif same[0] not in {file.path for file in self._open} and self._add(same[0], position.offset):
                self._open[-1].seen_ns = max(self._open[-1].seen_ns, position.seen_ns)
        self._add_missed(known, gone)
        if not any(file.path == self._path for file in self._open):
            self._look()

    def _add_missed(self, known: list[Position], gone: list[Position]) -> None:
        """What was rotated after the files that were found, and what may hold the lines of those that are `gone`."""
        current = next((file for file in self._open if file.path == self._path), None)
        # of a file of which nothing was read only the inode is known, and another file may have that now
        since = [each.seen_ns for each in known if each.seen_ns != UNKNOWN and (each in gone or not each.length)]
        if self._open and current is None:
            since.append(self._open[-1].mtime_ns)
        added = self._add_newer(min(since), last=current) if since else 0
        if any(position.length for position in gone) or (gone and not added):
            LOG.warning("a log that was not read to its end is gone", log=self.name[:LONGEST_TEXT])

    def _add_newer(self, than_ns: int, until_ns: int | None = None, *, last: LogFile | None = None) -> int:
        """What was rotated away and written in this time, before we looked; how many. `last` stays the last to be read."""
        known = [file.beginning() for file in self._open]
        added = 0
        for older in rotated(self._path):
            written_ns = mtime_of(older)
            if written_ns <= than_ns or (until_ns is not None and written_ns > until_ns):
                continue
            if not any(has_inode(older, position.inode) or is_file_of(position, older) for position in known):
                added += self._add(older)
        if last is not None:
            self._open.remove(last)
            self._open.append(last)
        return added

    def _add(self, path: Path, offset: int = 0) -> bool:
        """Read this file too; False, and the reason told, if it cannot be read."""
        try:
            file = LogFile(path, offset)
        except BROKEN as error:
            problem = getattr(error, "strerror", None) or str(error)
            if path == self._path:
                self.trouble = f"cannot read {path}: {problem}"
            else:
                self._tell_of(path, problem)
            return False
        file.last_growth_s = monotonic()
        self._open.append(file)
        return True

    def _tell_of(self, older: Path, problem: str) -> None:
        """Once of each rotated file, however often it is looked for."""
        file = (older, mtime_of(older))
        if file not in self._told_of:
            self._told_of.add(file)
            LOG.warning("a rotated log cannot be read", file=str(older), problem=problem)

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
        if self._add(self._path, size - back + end + 1 if end >= 0 else size):
            self._open[-1].seen_ns = max(self._open[-1].seen_ns, file.seen_ns)
