"""
The activity of an account: which networks it was used from, how often, on how many days; and how that stays bounded.
"""

from streams.core.addresses import Network
from streams.core.presence import without_cut
from streams.core.state import DAY_MS, DAYS_KEPT, DAYS_MASK, MOST_DAYS_BEFORE, AccountState, Kept
from streams.core.values import Login

MOST_NETWORKS = 64
KEPT_MS = 30 * DAY_MS
MOST_FAMILIAR = 8
"""Over 64 networks, this many with the most different days stay, so that an attack does not wash the owner out."""


def forget_old(state: AccountState) -> None:
    """Let go of networks not used for 30 days, measured at the account's newest login."""
    gone = state.newest_ms - KEPT_MS
    if state.overview is not None and gone < state.overview.oldest_ms:
        return
    old = [kept.network for kept in state.networks.values() if kept.last_ms <= gone]
    for network in old:
        _let_go(state, network)


def record(state: AccountState, login: Login, *, in_block: bool) -> Kept:
    """
    List a login under its network.

    The last address, service and country are those of the greatest time; of equal times the first one read stays, so
    that a repetition changes nothing but the number of logins. A day counts once, and not when made during a block.
    """
    known = kept = state.networks.get(login.network)
    country = login.country if known is None else known.country
    if kept is None:
        kept = Kept(login.network, login.time_ms, login.time_ms, login.address, login.service, login.country, logins=0)
        state.networks[login.network] = kept
    kept.logins += 1
    kept.first_ms = min(kept.first_ms, login.time_ms)
    if login.time_ms > kept.last_ms:
        kept.days, kept.days_before = shift_days(kept.days, kept.days_before, login.time_ms // DAY_MS - kept.day)
        kept.last_ms = login.time_ms
        kept.address, kept.service, kept.country = login.address, login.service, login.country
    if not in_block:
        back = kept.day - login.time_ms // DAY_MS
        if back < DAYS_KEPT:
            kept.days |= 1 << back
    for incident in (state.episode, state.blocked_incident):
        if incident is not None and incident.listed is not None and login.network in incident.members:
            incident.listed.changed.add(login.network)
    if state.overview is not None and not state.overview.note(kept, login.time_ms, country, is_new=known is None):
        state.overview = None
    return kept


def make_room(state: AccountState) -> int:
    """Let networks go until at most 64 are kept; how many went."""
    excess = len(state.networks) - MOST_NETWORKS
    if excess <= 0:
        return 0
    by_days = sorted(
        (kept for kept in state.networks.values() if kept.different_days >= 2),
        key=lambda kept: (-kept.different_days, -kept.last_ms, kept.network.order),
    )
    staying = {kept.network for kept in by_days[:MOST_FAMILIAR]}
    counts_from = state.counts_from_ms
    others = sorted(
        (kept for network, kept in state.networks.items() if network not in staying),
        key=lambda kept: (bool(without_cut(kept.runs, counts_from)), kept.last_ms, kept.network.order),
    )
    for kept in others[:excess]:
        _let_go(state, kept.network)
    return excess


def familiar_networks(state: AccountState, days: int, opened_ms: int) -> tuple[Network, ...]:
    """The networks used on at least so many different days before the one on which the incident opened."""
    if days == 0:
        return ()
    day = opened_ms // DAY_MS
    found = [kept.network for kept in state.networks.values() if kept.different_days_before(day) >= days]
    return tuple(sorted(found, key=lambda network: network.order))


def _let_go(state: AccountState, network: Network) -> None:
    del state.networks[network]
    state.overview = None
    for incident in (state.episode, state.blocked_incident):
        if incident is not None:
            incident.members.discard(network)
            incident.listed = None


def shift_days(days: int, days_before: int, days_on: int) -> tuple[int, int]:
    """Move the bits of days to a last day that is `days_on` later; what falls off the end is kept as a number."""
    shifted = days << min(days_on, 2 * DAYS_KEPT)
    return shifted & DAYS_MASK, min(days_before + (shifted & ~DAYS_MASK).bit_count(), MOST_DAYS_BEFORE)
