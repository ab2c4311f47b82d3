"""
The states judged last, so that an account under attack is not unpacked for each login of its thief.

Nothing hangs on what is remembered: a state is taken only for the very bytes that it was packed into.
"""

from streams.core.overview import look_over
from streams.core.state import BUSY, AccountState, unpack

MOST_NETWORKS = 20_000
"""Networks kept of all remembered accounts together, of some 1.2 KB each; the accounts judged longest ago go first."""


class RecentStates:
    """Unpacked states of accounts of which every login is judged in full."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[bytes, AccountState]] = {}
        self._networks = 0

    def take(self, account: str, packed: bytes) -> AccountState:
        """The state of an account packed as this. It is the caller's to change, and not remembered any more."""
        remembered = self._drop(account)
        return remembered[1] if remembered is not None and remembered[0] == packed else unpack(packed)

    def put(self, account: str, packed: bytes, state: AccountState) -> None:
        """Remember what was packed, if the account's next login is judged too. It must not be changed any more."""
        self._drop(account)
        if not packed[1] & BUSY:
            return
        state.overview = look_over(state, packed)
        self._states[account] = packed, state
        self._networks += len(state.networks)
        while self._networks > MOST_NETWORKS:
            self._drop(next(iter(self._states)))

    def _drop(self, account: str) -> tuple[bytes, AccountState] | None:
        remembered = self._states.pop(account, None)
        if remembered is not None:
            self._networks -= len(remembered[1].networks)
        return remembered

    def forget(self) -> None:
        """Forget all, as when a geo database says something else of the networks now."""
        self._states.clear()
        self._networks = 0
