"""The blocks of an account before the last one."""

from streams.core.blocks import MOST_PAST_BLOCKS, PAST_BLOCKS_KEPT_MS, Block, past_blocks
from streams.core.state import AccountState, pack, unpack

HOUR_MS = 3_600_000


def blocked(*spans: tuple[int, int]) -> AccountState:
    """An account that was blocked from and until these hours."""
    state = AccountState()
    for start, end in spans:
        state.put_block(Block(f"{start}", start * HOUR_MS, end * HOUR_MS))
    return state


def test_a_login_is_known_to_have_been_made_during_any_block() -> None:
    """Both ends belong to a block; between two blocks the account was not blocked."""
    state = blocked((1, 2), (5, 6), (8, 9))

    found = {hour for hour in range(11) if state.was_blocked(hour * HOUR_MS)}

    assert found == {1, 2, 5, 6, 8, 9}


def test_a_block_that_another_took_the_place_of_ended_there() -> None:
    """It was replaced at 3 by a shorter one, which ended at 4: at 5 the account was open, whatever the first one said."""
    state = blocked((1, 10), (3, 4), (6, 7))

    assert state.past_blocks == ((1 * HOUR_MS, 3 * HOUR_MS), (3 * HOUR_MS, 4 * HOUR_MS))
    assert not state.was_blocked(5 * HOUR_MS)


def test_past_blocks_are_bounded() -> None:
    """However often an account is blocked: the last 32, of the last 62 days, in under a kilobyte and a half."""
    state = blocked(*((hour, hour + 1) for hour in range(0, 200, 2)))

    assert len(state.past_blocks) == MOST_PAST_BLOCKS
    assert len(pack(state)) < 1500
    assert unpack(pack(state)) == state
    assert past_blocks(state.past_blocks, None, 200 * HOUR_MS + PAST_BLOCKS_KEPT_MS) == ()
