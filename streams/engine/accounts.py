"""
The accounts of a partition, as the engine needs them: packed states by name, and which of them must be written.

`PlainAccounts` is a dictionary, for replays and tests; the worker's `compiled.shelf.Shelf` holds the same in a quarter less
memory, where the compiled hot path reaches it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

from streams.core.state import NONE, login_offset


@dataclass(slots=True)
class Touched:
    """
    The accounts of a partition to be written to the changelog: in `data` name and state of one after the other.

    `name_ends` and `state_ends` say where in `data` each ends. `forgotten` are those to be deleted.
    """

    data: bytes | memoryview
    name_ends: Sequence[int]
    state_ends: Sequence[int]
    forgotten: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(len(self.name_ends) or self.forgotten)

    def states(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Name and newest state of each, None for a forgotten one."""
        data, start = self.data, 0
        for middle, end in zip(self.name_ends, self.state_ends, strict=True):
            yield bytes(data[start:middle]), bytes(data[middle:end])
            start = end
        for account in self.forgotten:
            yield account.encode(), None


class Accounts(Protocol):
    """A mapping of names to packed states, which knows what of it must be written."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, account: object, /) -> bool: ...

    def __getitem__(self, account: str, /) -> bytes: ...

    def get(self, account: str, /) -> bytes | None:
        """The state of an account, None if it has none."""

    def keep(self, account: str, packed: bytes) -> None:
        """Keep a state, which must be written."""

    def touch(self, account: str) -> None:
        """The account must be written though nothing changed."""

    def forget(self, account: str) -> None:
        """Let go of an account, which must be written too."""

    def take_touched(self) -> Touched:
        """What must be written, and nothing is any more."""

    def put(self, account: str, packed: bytes) -> None:
        """Keep a state as it was read from the changelog: it need not be written."""

    def discard(self, account: str) -> None:
        """Let go of an account, as the changelog did."""

    def load(self, data: Any, table: Any, other: Callable[[int], None]) -> None:
        """
        Put many, in their order; `other` is called with the number of each that must be looked at first.

        `table` says where in `data` each key and value is (`compiled.layout`): name and state.
        """

    def newest_login(self) -> int:
        """The greatest offset of an applied login; -1 = none."""

    def size(self) -> int:
        """Bytes of memory that names and states take, about."""

    def items(self) -> Iterable[tuple[str, bytes]]:
        """Names and states."""

    def values(self) -> Iterable[bytes]:
        """States."""


class PlainAccounts(dict[str, bytes]):
    """Accounts in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self._touched: dict[str, bytes | None] = {}

    def keep(self, account: str, packed: bytes) -> None:
        """Keep a state, which must be written."""
        self[account] = self._touched[account] = packed

    def touch(self, account: str) -> None:
        """The account must be written though nothing changed."""
        self._touched[account] = self[account]

    def forget(self, account: str) -> None:
        """Let go of an account, which must be written too."""
        self.pop(account, None)
        self._touched[account] = None

    def put(self, account: str, packed: bytes) -> None:
        """Keep a state as it was read from the changelog: it need not be written."""
        self[account] = packed

    def discard(self, account: str) -> None:
        """Let go of an account, as the changelog did."""
        self.pop(account, None)

    def load(self, data: Any, table: Any, other: Callable[[int], None]) -> None:  # noqa: ARG002
        """Each must be looked at."""
        for number in range(len(table)):
            other(number)

    def newest_login(self) -> int:
        """The greatest offset of an applied login; -1 = none."""
        return max(map(login_offset, self.values()), default=NONE)

    def size(self) -> int:
        """Bytes of names and states, without the dictionary."""
        return sum(len(account) + len(packed) for account, packed in self.items())

    def take_touched(self) -> Touched:
        """What must be written, and nothing is any more."""
        touched, self._touched = self._touched, {}
        kept = [(account.encode(), packed) for account, packed in touched.items() if packed is not None]
        state_ends = list(accumulate(len(name) + len(packed) for name, packed in kept))
        name_ends = [end - len(packed) for end, (_, packed) in zip(state_ends, kept, strict=True)]
        forgotten = {account for account, packed in touched.items() if packed is None}
        return Touched(b"".join(part for pair in kept for part in pair), name_ends, state_ends, forgotten)
