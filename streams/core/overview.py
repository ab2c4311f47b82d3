"""
What all networks of an account come to, so that a login need not look at each of them.

Only accounts under attack have an overview, and only while their state is remembered (`recent.py`). Who changes a network
tells it, or takes it away from the state; then everything is looked up anew, network by network.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable

from streams.core.addresses import Network
from streams.core.book import Rules, SafeNetwork
from streams.core.state import ENTRY, HEADER, AccountState, Kept, pack_entry

FOREVER = 1 << 62


class Overview:
    """
    Of the networks of one account, each of one run at most: `logins` by country; no network's last login is before
    `oldest_ms`, and no run ended before `run_end_ms`. Between two packings it knows of one changed network.
    """

    __slots__ = (
        "_changed",
        "_covers",
        "_entries",
        "_is_new",
        "_orders",
        "_safe",
        "_unseen",
        "logins",
        "oldest_ms",
        "run_end_ms",
    )

    def __init__(self, networks: Collection[Kept], entries: bytes) -> None:
        self.logins = total_logins(networks)
        self.oldest_ms = min((kept.last_ms for kept in networks), default=FOREVER)
        self.run_end_ms = min((kept.runs[0][1] for kept in networks if kept.runs), default=FOREVER)
        self._entries = entries
        self._orders = sorted(kept.network.order for kept in networks)
        self._safe: tuple[SafeNetwork, ...] | None = None
        self._covers: dict[Network, SafeNetwork] = {}
        self._unseen: list[Network] = []
        self._changed: Kept | None = None
        self._is_new = False

    def note(self, kept: Kept, time_ms: int, country: str | None, *, is_new: bool) -> bool:
        """A login of a network that was of that country before it; False where the overview does not hold any more."""
        if self._changed is not None or kept.country != country:
            return False
        self._changed, self._is_new = kept, is_new
        if is_new:
            self._unseen.append(kept.network)
        self.logins[country] = self.logins.get(country, 0) + 1
        self.oldest_ms = min(self.oldest_ms, kept.last_ms)
        self.run_end_ms = min(self.run_end_ms, time_ms)
        return True

    def entries(self) -> bytes:
        """The entries of the networks, in order."""
        kept = self._changed
        if kept is not None:
            order = kept.network.order
            index = bisect_left(self._orders, order)
            at = rest = index * ENTRY.size
            if self._is_new:
                self._orders.insert(index, order)
            else:
                rest += ENTRY.size
            self._entries = b"".join((self._entries[:at], pack_entry(kept), self._entries[rest:]))
            self._changed = None
        return self._entries

    def covers(self, networks: Iterable[Network], rules: Rules) -> dict[Network, SafeNetwork]:
        """What `find_covers` finds of all networks."""
        if self._safe is not rules.safe:
            self._safe, self._covers, self._unseen = rules.safe, {}, list(networks)
        if self._unseen:
            self._covers |= find_covers(self._unseen, rules)
            self._unseen = []
        return self._covers


def look_over(state: AccountState, packed: bytes) -> Overview | None:
    """The overview of a state just packed: the one it has, a new one, or none where a network has several runs."""
    kept = state.networks.values()
    if state.overview is not None:
        return state.overview
    if any(len(item.runs) > 1 for item in kept):
        return None
    return Overview(kept, packed[HEADER.size : HEADER.size + len(kept) * ENTRY.size])


def find_covers(networks: Iterable[Network], rules: Rules) -> dict[Network, SafeNetwork]:
    """The networks that lie in a safe one, and in which."""
    found = ((network, rules.safe_cover(network)) for network in networks)
    return {network: safe for network, safe in found if safe is not None}


def total_logins(networks: Iterable[Kept]) -> dict[str | None, int]:
    """How many logins came from each country, None = unknown."""
    totals: dict[str | None, int] = {}
    for kept in networks:
        totals[kept.country] = totals.get(kept.country, 0) + kept.logins
    return totals
