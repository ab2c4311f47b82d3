"""The shelf against a dictionary."""

import itertools
import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.core.refusal import Refused
from streams.core.state import HAS_TAIL, VERSION, AccountState, is_newer, pack
from streams.engine.accounts import PlainAccounts
from streams.engine.compiled import store
from streams.engine.compiled.arena import Arena
from streams.engine.compiled.shelf import FIRST_SLOTS, Shelf
from streams.errors import LoginwatchError
from streams.worker.fetched import Fetched, Record
from streams.worker.form import PackedStates

NAMES = [f"user{number}@example.org" for number in range(30)] + [
    "üser@example.org",
    "\u20ac@x",
    "x" * 320,
    "",
    "a",
    "\ud800",
]
SIZES = (0, 1, 7, 8, 9, 40, 96, 152, 1000, 8100, 8192, 8200, 9000, 20_000, 70_000)

names = st.sampled_from(NAMES[:3] * 12 + NAMES)
"""Often one of few, so that states are replaced."""
states = st.tuples(st.sampled_from(SIZES), st.integers(0, 255)).map(lambda drawn: bytes([drawn[1]]) * drawn[0])


def written(shelf: Shelf) -> dict[str, bytes | None]:
    """What must be written, each account once."""
    found = list(shelf.take_touched().states())
    assert len({name for name, _ in found}) == len(found)
    return {name.decode("utf-8", "surrogatepass"): packed for name, packed in found}


def make_small(shelf: Shelf, room: int, slots: int) -> None:
    """So small that names meet, and everything must grow."""
    shelf._memory = Arena(room)
    shelf.arrays = shelf.arrays._replace(
        arena=shelf._memory.data, slots=np.zeros(slots, np.int64), touched=np.zeros(2, np.int64)
    )


class ShelfMachine(RuleBasedStateMachine):
    """What is done to a shelf is done to a dictionary too."""

    @initialize(
        slots=st.sampled_from([4, 16, FIRST_SLOTS]),
        room=st.sampled_from([256, 1 << 16]),
        seed=st.integers(0, 2**63 - 1),
    )
    def begin(self, slots: int, room: int, seed: int) -> None:
        self.shelf, self.held, self.touched, self.forgotten = Shelf(seed), dict[str, bytes](), set[str](), set[str]()
        make_small(self.shelf, room, slots)

    @rule(name=names, packed=states)
    def keep(self, name: str, packed: bytes) -> None:
        self.shelf.keep(name, packed)
        self.held[name] = packed
        self.touched.add(name)

    @rule(name=names, packed=states)
    def put(self, name: str, packed: bytes) -> None:
        self.shelf.put(name, packed)
        self.held[name] = packed

    @rule()
    def close_up(self) -> None:
        """No room is left between the records, and nothing else changes."""
        self.shelf.close_up()
        assert self.shelf.size() == self.shelf.arrays.meta[store.USED]

    @rule(name=names)
    def touch(self, name: str) -> None:
        if name in self.held:
            self.shelf.touch(name)
            self.touched.add(name)

    @rule(name=names.filter(lambda name: name != "\ud800"))
    def forget(self, name: str) -> None:
        self.shelf.forget(name)
        self.held.pop(name, None)
        self.touched.discard(name)
        self.forgotten.add(name)

    @rule(name=names)
    def discard(self, name: str) -> None:
        self.shelf.discard(name)
        self.held.pop(name, None)
        self.touched.discard(name)

    @rule(size=st.sampled_from([0, 100, 100_000]))
    def grow(self, size: int) -> None:
        self.shelf.grow(size)

    @rule()
    def take_touched(self) -> None:
        gone = dict.fromkeys(self.forgotten - self.held.keys())
        assert written(self.shelf) == {**gone, **{name: self.held[name] for name in self.touched}}
        self.touched, self.forgotten = set(), set()

    @invariant()
    def is_the_same(self) -> None:
        if not hasattr(self, "held"):
            return
        assert dict(self.shelf.items()) == self.held
        assert len(self.shelf) == len(self.held)
        for name in NAMES:
            assert self.shelf.get(name) == self.held.get(name)
            assert (name in self.shelf) == (name in self.held)
        assert self.shelf.size() >= sum(
            len(name.encode("utf-8", "surrogatepass")) + len(p) for name, p in self.held.items()
        )
        assert self.shelf.size() <= self.shelf.arrays.meta[store.USED] <= len(self.shelf.arrays.arena)


TestShelf = ShelfMachine.TestCase
TestShelf.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)


def test_the_memory_of_what_was_let_go_is_used_again() -> None:
    """States grow, shrink and go for ever; a worker runs for months."""
    shelf, used = Shelf(1), list[int]()
    for turn in range(40):
        draw = random.Random(turn % 4)
        for number in range(50):
            shelf.keep(f"user{number:03}@example.org", bytes(40 + 56 * draw.randrange(1, 65)))
            shelf.keep("attacked@example.org", bytes(draw.randrange(5000, 60_000)))
        for number in range(50):
            if draw.random() < 0.3:
                shelf.discard(f"user{number:03}@example.org")
        shelf.take_touched()
        used.append(len(shelf.arrays.arena))

    assert used[-1] == used[8], "what is free is used, or closed up"


def test_many_names_with_one_tail_are_told_apart() -> None:
    """The table finds each though their slots were moved and closed many times."""
    shelf, held = Shelf(3), {}
    for number in range(5000):
        name = f"{'x' * (number % 5)}{number:05}@a-long-domain-that-all-have.example"
        shelf.put(name, name.encode())
        held[name] = name.encode()
        if number % 3 == 0:
            gone = next(iter(held))
            shelf.discard(gone)
            del held[gone]

    assert dict(shelf.items()) == held
    assert all(shelf[name] == packed for name, packed in held.items())
    assert len(shelf) == len(held)
    with pytest.raises(KeyError):
        shelf["nobody@example.org"]


def test_names_whose_slots_are_one_are_told_apart() -> None:
    """In a table of eight slots, and with a hash whose upper half is compared too."""
    shelf = Shelf(0)
    shelf.arrays = shelf.arrays._replace(slots=np.zeros(1024, np.int64))
    hashes: dict[int, list[str]] = {}
    for number in range(20_000):
        name = f"user{number}"
        data = np.frombuffer(name.encode(), np.uint8)
        hashes.setdefault(int(store.hash_of(data, 0, len(data), 0)) & 1023, []).append(name)
    crowd = max(hashes.values(), key=len)
    for name in crowd:
        shelf.keep(name, name.encode())
    for name in crowd[::2]:
        shelf.discard(name)

    assert sorted(shelf) == sorted(crowd[1::2])
    assert all((name in shelf) == (number % 2 == 1) for number, name in enumerate(crowd))
    assert written(shelf) == {name: name.encode() for name in crowd[1::2]}


def test_the_likely_slot_is_that_of_the_name_and_a_wrong_one_does_no_harm() -> None:
    """It was taken before other accounts came: it may be empty, or another's, where the record is looked at."""
    shelf = Shelf(5)
    names = [f"user{number}@example.org" for number in range(600)]
    for name in names[:400]:
        shelf.put(name, name.encode())
    filled = np.flatnonzero(shelf.arrays.slots).tolist()

    for name in names:
        data = np.frombuffer(name.encode() + b"\0", np.uint8)
        length, right = len(name), store.look_up(shelf.arrays, data)
        likely = store.likely_slot(shelf.arrays.slots, store.hash_of(data, 0, length, 5))
        assert likely == right if name in shelf else shelf.arrays.slots[likely] == 0
        for slot in {likely, filled[0], filled[-1]}:
            assert store.slot_of_likely(shelf.arrays, slot, data, 0, length) == right


@pytest.mark.parametrize("words", [1, 2, 5])
def test_a_name_made_for_it_has_no_twin_with_the_same_hash(words: int) -> None:
    """The highest bit of one word and what it becomes in the next: with 64 bits of a product these met for half of all seeds."""
    one = bytearray(b"user123x" * (words + 1))
    hashed = {}
    for seed in range(300):
        for first, second in itertools.product(range(8), range(64)):
            other = one.copy()
            other[8 * words - 1] ^= 1 << first
            other[8 * words + second // 8] ^= 1 << second % 8
            hashed[seed, first, second] = int(store.hash_of(np.frombuffer(other, np.uint8), 0, len(other), seed))

    assert len(set(hashed.values())) == len(hashed)


def test_a_shelf_that_cannot_grow_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends with a sentence, and until then nobody looks into memory that is gone."""
    shelf = Shelf(1)
    shelf.keep("a@example.org", b"a state")
    monkeypatch.setattr("streams.engine.compiled.shelf.MOST_BYTES", 1 << 20)

    with pytest.raises(LoginwatchError, match="give the topics more partitions"):
        shelf.grow(1 << 20)
    monkeypatch.setattr("streams.engine.compiled.shelf.MOST_BYTES", 1 << 60)
    with pytest.raises(LoginwatchError, match="there is no memory for the accounts of a partition"):
        shelf.grow(1 << 55)

    assert dict(shelf.items()) == {"a@example.org": b"a state"}
    shelf.keep("b@example.org", bytes(1 << 18))
    assert len(shelf["b@example.org"]) == 1 << 18


def test_names_that_may_be_no_text_are_looked_at() -> None:
    """A key that somebody else wrote is nobody's account, and no name that cannot be said."""
    shelf, seen = Shelf(1), list[int]()
    names = [b"a@example.org", "ü@example.org".encode(), b"\xff@example.org"]
    found = Fetched.of(Record(0, 0, name, state(0), ()) for name in names)

    shelf.load(found.data, found.table, seen.append)

    assert list(shelf) == ["a@example.org"]
    assert seen == [1, 2]


def state(offset: int, networks: int = 0, **fields: Any) -> bytes:
    """A state that had applied that login; `networks` only lengthen it."""
    packed = bytearray(pack(AccountState(login_offset=offset, **fields)))
    packed[2] = networks
    return bytes(packed) + bytes(56 * networks)


tailed = st.builds(state, st.integers(-1, 5), command_offset=st.integers(0, 5))
plain = st.builds(state, st.integers(-1, 5), st.integers(0, 3))
other = st.sampled_from([b"", b"\x07 of tomorrow", b"\x01", bytes([VERSION, 0, 1]) + bytes(37)])
records = st.lists(
    st.tuples(st.sampled_from([*NAMES[:4], "üser@x"]), st.none() | plain | plain | tailed | other), max_size=60
)


@given(records, st.integers(1, 20))
@settings(deadline=None, max_examples=200)
def test_loading_is_taking_in_one_after_the_other(log: list[tuple[str, bytes | None]], at_once: int) -> None:
    """The newest stays by what it had applied; what is no usual state is looked at, in its turn."""

    def take(accounts: Shelf | PlainAccounts, chunk: list[tuple[str, bytes | None]], number: int) -> None:
        name, packed = chunk[number]
        told[-1].append((name, packed))
        if packed is None:
            accounts.discard(name)
            return
        with suppress(Refused):
            PackedStates().check(packed)
            held = accounts.get(name)
            if held is None or is_newer(packed, held):
                accounts.put(name, packed)

    shelf, reference, told = Shelf(5), PlainAccounts(), list[list[tuple[str, bytes | None]]]()
    make_small(shelf, 64, 2)
    for accounts in (reference, shelf):
        told.append([])
        for first in range(0, len(log), at_once):
            chunk = log[first : first + at_once]
            packed_names, values = [name.encode() for name, _ in chunk], [packed for _, packed in chunk]

            def look(
                number: int, to: Shelf | PlainAccounts = accounts, chunk: list[tuple[str, bytes | None]] = chunk
            ) -> None:
                take(to, chunk, number)

            found = Fetched.of(Record(0, 0, name, value, ()) for name, value in zip(packed_names, values, strict=True))
            accounts.load(found.data, found.table, look)

    assert dict(shelf.items()) == dict(reference)
    assert shelf.newest_login() == reference.newest_login()
    assert not shelf.take_touched()
    assert [entry for entry in log if entry[1] is None or (entry[1][1:2] and entry[1][1] & HAS_TAIL)] == [
        entry for entry in told[1] if entry[1] is None or (entry[1][1:2] and entry[1][1] & HAS_TAIL)
    ]


def test_an_empty_shelf_is_there_and_has_nothing() -> None:
    """As `if accounts` is asked of what may be None."""
    shelf = Shelf(1)

    assert shelf
    assert (len(shelf), list(shelf), shelf.size(), shelf.newest_login()) == (0, [], 0, -1)
    assert not shelf.take_touched()


def test_a_state_begun_anew_by_the_kernel_is_not_deleted_by_what_was_forgotten_before() -> None:
    """In one batch: the tombstone would come behind the new state."""
    shelf = Shelf(1)
    shelf.keep("a@example.org", b"old")
    shelf.forget("a@example.org")
    data = np.frombuffer(b"a@example.orgnew", np.uint8)
    store.put(shelf.arrays, data, len("a@example.org"), True)

    assert written(shelf) == {"a@example.org": b"new"}
    assert written(shelf) == {}


def test_what_is_written_is_found_though_records_moved_and_went() -> None:
    """Grown, shrunk, let go and begun anew after they were noted, each in every order of three."""
    shelf, kept, forgotten = Shelf(1), dict[str, bytes](), set[str]()
    for number, order in enumerate(itertools.product(("large", "small", "go", "forget", "put"), repeat=3)):
        name = f"user{number}@example.org"
        shelf.keep(name, b"begun")
        kept[name] = b"begun"
        for turn, what in enumerate(order):
            packed = bytes([turn]) * {"large": 500 + number, "small": 40, "put": 200}.get(what, 0)
            if what in {"go", "forget"}:
                (shelf.discard if what == "go" else shelf.forget)(name)
                kept.pop(name, None)
                forgotten |= {name} if what == "forget" else set()
            elif what != "put" or name in kept:
                (shelf.put if what == "put" else shelf.keep)(name, packed)
                kept[name] = packed

    assert written(shelf) == {**dict.fromkeys(forgotten), **kept}
    assert written(shelf) == {}
