"""
Up to where a journal was read: the `__CURSOR` in the lines of `journalctl -o json`.

Decision: a cursor names a sequence (`s=`) and the number of the entry in it (`i=`), and journalctl gives the entries of a
sequence in the order of their numbers (systemd: Journal File Format, `seqnum_id` and `seqnum`). So what has no higher
number than the last one of before the restart was read then. Any other line is read: a repeated one does no harm.
"""

import re
from collections.abc import Iterable

LONGEST_CURSOR = 300
MOST_SEQUENCES = 16
"""Journals of so many machines, or lives of a machine, may come mixed; of more, those silent for longest are forgotten."""
_CURSOR = re.compile(rb'"__CURSOR" ?: ?"([\x20\x21\x23-\x5b\x5d-\x7e]{1,%d})"' % LONGEST_CURSOR)
_ORDER = re.compile(r"s=([0-9a-f]{32});i=([0-9a-f]{1,16});.*")


class JournalCursors:
    """The last cursor of every sequence, and which lines come before those that were known at the start."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._last: dict[str, str] = {}
        self._read: dict[str, int] = {}
        for cursor in known:
            if order := _ORDER.fullmatch(cursor):
                self._last[order[1]] = cursor
                self._read[order[1]] = int(order[2], 16)

    def is_new(self, line: bytes) -> bool:
        """Whether this line was not read before the restart; its cursor is remembered."""
        found = _CURSOR.search(line) if line.startswith(b"{") else None
        order = _ORDER.fullmatch(found[1].decode()) if found else None
        if found is None or order is None:
            return True
        sequence = order[1]
        if int(order[2], 16) <= self._read.get(sequence, -1):
            return False
        self._last.pop(sequence, None)
        self._last[sequence] = found[1].decode()
        while len(self._last) > MOST_SEQUENCES:
            del self._last[next(iter(self._last))]
        return True

    def last(self) -> tuple[str, ...]:
        """What to give to the next `JournalCursors`; the newest is the last."""
        return tuple(self._last.values())
