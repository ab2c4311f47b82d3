"""Turns at changing policies, on both kinds of database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from threading import Event

import pytest

from streams.panel.outbox import Placed
from streams.panel.store import Store
from streams.panel.turns import Turns
from tests.eventually import eventually

WRITTEN = [Placed("policies", 0, 5)]


class Reading:
    """A follower that has read what was written, or has not yet."""

    def __init__(self) -> None:
        self.done = Event()

    def __call__(self, placed: Sequence[Placed], timeout_s: float) -> bool:
        return not placed or self.done.wait(timeout_s)


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def make_turns(store: Store, reading: Reading) -> Iterator[Callable[..., Turns]]:
    """Turns of one more panel on the database."""
    with ExitStack() as made:

        def make(held_s: float = 60.0) -> Turns:
            turns = Turns(store.engine, reading, held_s=held_s)
            made.callback(turns.close)
            return turns

        yield make


def is_free(turns: Turns) -> bool:
    with turns.take(within_s=0) as turn:
        return turn is not None


def test_one_panel_has_a_turn_at_a_time(make_turns: Callable[..., Turns]) -> None:
    """Another one, and another thread of the same, get none until it is over, be it by an error."""
    one, other = make_turns(), make_turns()

    with one.take() as turn:
        assert turn is not None
        assert not is_free(one)
        assert not is_free(other)
    with pytest.raises(ValueError, match="no such value"), one.take():
        raise ValueError("no such value")

    assert is_free(one)
    assert is_free(other)


def test_a_turn_lasts_until_what_was_written_is_read_back(make_turns: Callable[..., Turns], reading: Reading) -> None:
    """The page does not wait for that, the next change does."""
    one, other = make_turns(), make_turns()
    with one.take() as turn:
        assert turn is not None
        turn.written = WRITTEN

    assert not is_free(other)
    reading.done.set()
    eventually(lambda: is_free(other))


def test_what_is_never_read_back_does_not_end_all_changes(make_turns: Callable[..., Turns]) -> None:
    """A topic that is made anew does not come to where a record was."""
    one, other = make_turns(held_s=0.1), make_turns()
    with one.take() as turn:
        assert turn is not None
        turn.written = WRITTEN

    assert not is_free(other)
    eventually(lambda: is_free(other))


def test_a_panel_that_ends_holds_nothing(make_turns: Callable[..., Turns]) -> None:
    """The others go on at once."""
    one, other = make_turns(), make_turns()
    with one.take() as turn:
        assert turn is not None
        turn.written = WRITTEN

    one.close()

    assert is_free(other)
