"""
Detection: does this login mean that its account is used from too many places at once?

This is the page to read first. `judge` takes what is kept of an account, one login, and the rules in force, and says
what became of the login and what is to be written. It never reads a clock: a login has its own time, and `now` is the
timestamp of the record that brought it. The rules are those of the design's section 4; `presence.py` says when too much
is present, `activity.py` what is kept, `episodes.py` what an incident, a block and a notification are.

The order of the steps is the order of the rules:

1. a changed window or prefix restarts counting,
2. a login from an ignored country leaves no trace but its number,
3. the login is listed,
4. it may not count: no window, safe network, too late, before a cut-off, made during a block,
5. if it counts, it extends its network's presence, and the account is judged at the instants of that presence.

A repetition changes nothing but the listed number of logins. It is known by what is kept anyway: a login within a run of its
network adds no presence, so it is not judged (nor under other rules than the first time), and one made during a past block
adds no day.
"""

from dataclasses import dataclass, field

from streams.core import activity, episodes, presence
from streams.core.book import Rules
from streams.core.episodes import Outputs, World
from streams.core.state import NONE, NOT_JUDGED, AccountState, Kept
from streams.core.values import Login


@dataclass(slots=True)
class Verdict:
    """What became of a login (a word of the metric `loginwatch_logins`), what is to be written, who was let go."""

    outcome: str
    outputs: Outputs = field(default_factory=list)
    let_go: int = 0


def judge(state: AccountState, login: Login, rules: Rules, *, now_ms: int, lateness_ms: int, world: World) -> Verdict:
    """
    Read one successful login into the state (which is changed in place) and say what follows from it.

    Order of arrival does not matter for logins up to `lateness_ms` behind the newest; a repeated login changes nothing
    but the listed number of logins.
    """
    _restart_if_demanded(state, rules)
    if login.ignored:
        state.ignored_logins += 1
        return Verdict("ignored")
    late = state.newest_ms != NONE and login.time_ms < state.newest_ms - lateness_ms
    in_block = state.block is not None and state.block.covers(login.time_ms)
    known = state.networks.get(login.network)
    repeated = known is not None and known.has(login.time_ms)
    if not repeated:  # its `now` is not that of the login
        state.newest_ms = max(state.newest_ms, min(login.time_ms, now_ms))
    activity.forget_old(state)
    known = state.networks.get(login.network)
    country = login.country if known is None else known.country
    kept = activity.record(state, login, in_block=state.was_blocked(login.time_ms))
    if kept.country != country:
        state.stamp = NOT_JUDGED  # what counted before counts for another country now
    outcome = _outcome(state, login, rules, late=late, in_block=in_block)
    adds = outcome == "counted" and _add_presence(state, kept, login, rules, now_ms)
    presence.prune_runs(state, rules.window_ms, lateness_ms)
    verdict = Verdict(outcome, let_go=activity.make_room(state))
    if login.network in state.networks:
        if adds:
            _stamp(state, login, rules)
            found = presence.excess(state, login.time_ms, rules)
            if found is not None:
                verdict.outputs = episodes.exceeded(state, login, rules, found, now_ms=now_ms, world=world)
        elif in_block and not late and not repeated and _adds_to_blocked(state, login, rules):
            verdict.outputs = episodes.seen_while_blocked(state, login, rules, now_ms=now_ms, world=world)
    episodes.close_old(state, lateness_ms)
    return verdict


def _restart_if_demanded(state: AccountState, rules: Rules) -> None:
    """Another window or prefix: nothing of what was counted counts any more. A running block stays."""
    if presence.restarts(state, rules):
        policy = rules.policy
        state.window, state.ipv4_prefix, state.ipv6_prefix = policy.time_window, policy.ipv4_prefix, policy.ipv6_prefix
        state.episode = None
        state.stamp = NOT_JUDGED
        state.overview = None
        for kept in state.networks.values():
            kept.runs = []


def _add_presence(state: AccountState, kept: Kept, login: Login, rules: Rules, now_ms: int) -> bool:
    """
    Extend the network's presence; False where the login adds none, as a repetition does.

    `state.overview`, which spares looking at all networks again (`overview.py`), is of networks of one run.
    """
    runs = presence.without_cut(kept.runs, state.counts_from_ms)
    if presence.is_within(runs, login.time_ms, rules.window_ms):
        return False
    kept.runs = presence.add_to_runs(runs, login.time_ms, rules.window_ms, now_ms)
    if len(kept.runs) > 1:
        state.overview = None
    return True


def _stamp(state: AccountState, login: Login, rules: Rules) -> None:
    """
    Note by which rules the account was judged at its newest instant: `hot.py` leans on it for the logins that follow.

    A late login is judged at its own presence only; under other rules than those noted, the newest instant is not judged.
    """
    if login.time_ms == state.newest_ms:
        state.stamp = rules.stamp
    elif state.stamp != rules.stamp:
        state.stamp = NOT_JUDGED


def _outcome(state: AccountState, login: Login, rules: Rules, *, late: bool, in_block: bool) -> str:
    """`counted`, or the first reason why the login does not count; a login that a door let through a block comes first."""
    if in_block:
        assert state.block is not None
        return "familiar" if state.block.leaves_open(login.address) else "blocked"
    if rules.window_ms == 0:
        return "off"
    if login.safe:
        return "safe"
    if late:
        return "late"
    return "counted" if login.time_ms > state.counts_from_ms else "cut_off"


def _adds_to_blocked(state: AccountState, login: Login, rules: Rules) -> bool:
    """Whether a login made during an incident's block would count but for it, from a network that the block closes."""
    block = state.block
    return (
        block is not None
        and state.blocked_incident is not None
        and rules.window_ms > 0
        and not login.safe
        and login.time_ms > state.cutoff_ms
        and not block.leaves_open(login.address)
    )
