"""The accounts of one partition, as a mapping of names to packed states over the arrays of `store.py`."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np

from streams.core.refusal import Refused
from streams.engine.accounts import Touched
from streams.engine.compiled import bulk, store
from streams.engine.compiled.arena import Arena
from streams.engine.compiled.layout import KEY, VALUE_END
from streams.engine.compiled.numbers import Bytes, Numbers
from streams.engine.compiled.store import Store
from streams.errors import LoginwatchError

FIRST_BYTES = 1 << 16
FIRST_SLOTS = 1 << 10
FIRST_TOUCHED = 1 << 10
SPARE = 1 << 16
"""So many bytes are free when a call that takes at most one record begins."""
MOST_BYTES = 1 << 35
"""A slot has 32 bits for a place divided by 8."""
GROWTH = 9 / 8
CLOSED_UP = 8
"""Before the array becomes longer, when an eighth of it is free."""
META = 5
NOTHING = np.zeros(0, np.uint8)


class Shelf:
    """
    Packed states by account. `seed` should be secret and random: it decides the order of the table.

    Not safe for threads. `arrays` are exchanged when they grow: take them anew for every call of a compiled function.
    """

    def __init__(self, seed: int) -> None:
        self._memory = Arena(FIRST_BYTES)
        self.arrays = Store(
            self._memory.data, _zeros(FIRST_SLOTS), _zeros(META), _zeros(store.FREE_LISTS), _zeros(FIRST_TOUCHED)
        )
        self.arrays.meta[store.SEED] = seed
        self._forgotten: set[str] = set()

    def __len__(self) -> int:
        return int(self.arrays.meta[store.COUNT])

    def __bool__(self) -> bool:
        """A shelf is there even if it is empty."""
        return True

    def __contains__(self, account: str) -> bool:
        return self._slot(account) != store.ABSENT

    def get(self, account: str) -> bytes | None:
        """The state of an account, None if it has none."""
        slot = self._slot(account)
        return None if slot == store.ABSENT else self._state(int(self.arrays.slots[slot]))

    def __getitem__(self, account: str) -> bytes:
        packed = self.get(account)
        if packed is None:
            raise KeyError(account)
        return packed

    def keep(self, account: str, packed: bytes) -> None:
        """Keep a state, which must be written to the changelog."""
        self.put(account, packed, touching=True)

    def put(self, account: str, packed: bytes, *, touching: bool = False) -> None:
        """Keep a state as it was read from the changelog. Raises Refused for a name or state of no account of ours."""
        name = account.encode("utf-8", "surrogatepass")
        if len(name) > store.LONGEST_NAME or len(packed) > store.LONGEST_STATE:
            raise Refused(
                "bad-state", f"a name of {len(name)} bytes with a state of {len(packed)} is too long to be kept"
            )
        data = np.frombuffer(name + packed, np.uint8)
        while store.put(self.arrays, data, len(name), touching) == store.NO_ROOM:
            self.grow(len(data))

    def touch(self, account: str) -> None:
        """The account must be written to the changelog though nothing changed. Raises KeyError if it is not there."""
        if self.arrays.meta[store.TOUCHED] == len(self.arrays.touched):
            self.grow(0)
        slot = self._slot(account)
        if slot == store.ABSENT:
            raise KeyError(account)
        store.touch(self.arrays, store.position(self.arrays.slots[slot]))

    def forget(self, account: str) -> None:
        """Let go of an account, if it is there; a tombstone must be written to the changelog."""
        self.discard(account)
        self._forgotten.add(account)

    def discard(self, account: str) -> None:
        """Let go of an account, as the changelog did."""
        slot = self._slot(account)
        if slot != store.ABSENT:
            store.remove(self.arrays, slot)

    def load(self, data: Bytes, table: Numbers, other: Callable[[int], None]) -> None:
        """Put many, in their order; `other` is called with the number of each that must be looked at first."""
        at = 0
        while True:
            at = int(bulk.load(data, table, at, self.arrays))
            if at == len(table):
                return
            if at < 0:
                at = -1 - at
                self.grow(int(table[at, VALUE_END] - table[at, KEY]))
            else:
                other(at)
                at += 1

    def newest_login(self) -> int:
        """The greatest offset of an applied login; -1 = none."""
        return int(bulk.newest_login(self.arrays.arena, self.arrays.slots))

    def size(self) -> int:
        """Bytes of the records in use."""
        return int(self.arrays.meta[store.USED] - self.arrays.meta[store.FREED])

    def __iter__(self) -> Iterator[str]:
        for name, _ in self.items():  # noqa: PERF102 - no dictionary
            yield name

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every account and its state; nothing may be kept or let go meanwhile."""
        for slot in self.arrays.slots[self.arrays.slots != 0].tolist():
            place = int(store.position(slot))
            start = place + store.HEAD
            name = self.arrays.arena[start : start + int(store.name_length(self.arrays.arena, place))].tobytes()
            yield name.decode("utf-8", "surrogatepass"), self._state(slot)

    def values(self) -> Iterator[bytes]:
        """Every state."""
        for _, packed in self.items():  # noqa: PERF102
            yield packed

    def take_touched(self) -> Touched:
        """What must be written to the changelog, and nothing is any more."""
        size = int(store.touched_bytes(self.arrays))
        data = np.empty(size, np.uint8)
        ends = np.empty((2, int(self.arrays.meta[store.TOUCHED])), np.int64)
        store.gather(self.arrays, data, ends)
        forgotten = {account for account in self._forgotten if account not in self}  # the kernel may have begun it anew
        self._forgotten.clear()
        return Touched(data.data, cast("Sequence[int]", ends[0]), cast("Sequence[int]", ends[1]), forgotten)

    def grow(self, size: int) -> None:
        """Make room for a record of so many bytes, one more account and one more touched record."""
        wanted = int(self.arrays.meta[store.USED]) + 2 * size + SPARE
        if wanted > len(self.arrays.arena) and self.arrays.meta[store.FREED] * CLOSED_UP > wanted:
            self.close_up()
            wanted = int(self.arrays.meta[store.USED]) + 2 * size + SPARE
        if wanted > len(self.arrays.arena):
            self._lengthen(max(wanted, int(len(self.arrays.arena) * GROWTH)))
        arena, old, meta, _, touched = self.arrays
        if (int(meta[store.COUNT]) + 1) * 10 > len(old) * 7:
            slots = _zeros(2 * len(old))
            store.refill(arena, old, slots, meta[store.SEED])
            self.arrays = self.arrays._replace(slots=slots)
        if int(meta[store.TOUCHED]) == len(touched):
            self.arrays = self.arrays._replace(touched=np.concatenate((touched, _zeros(len(touched)))))

    def close_up(self) -> None:
        """Move the records together."""
        store.close_up(self.arrays)

    def _lengthen(self, length: int) -> None:
        """Of the records; they are moved, and nobody may look at them meanwhile. Raises LoginwatchError, and all is as it was."""
        if length > MOST_BYTES:
            raise LoginwatchError(
                f"the accounts of one partition need more than {MOST_BYTES >> 30} GiB of memory:"
                " give the topics more partitions (docs/operations.md)"
            )
        self.arrays = self.arrays._replace(arena=NOTHING)
        try:
            self._memory.grow(length)
        except OSError as error:
            raise LoginwatchError(
                f"there is no memory for the accounts of a partition, {length >> 20} MiB: {error.strerror}."
                " Give this machine more of it, or start more workers (docs/sizing.md)"
            ) from error
        finally:
            self.arrays = self.arrays._replace(arena=self._memory.data)

    def _slot(self, account: str) -> int:
        name = account.encode("utf-8", "surrogatepass")
        return int(store.look_up(self.arrays, np.frombuffer(name + b"\0", np.uint8)))

    def _state(self, slot: int) -> bytes:
        place = int(store.position(slot))
        start = int(store.state_at(self.arrays.arena, place))
        return self.arrays.arena[start : start + int(store.state_length(self.arrays.arena, place))].tobytes()


def _zeros(length: int) -> Numbers:
    return np.zeros(length, np.int64)
