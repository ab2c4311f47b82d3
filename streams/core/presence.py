"""
Presence: the runs of a network, and the instants at which too many are present.

A login makes its network present during [t, t + window). A network's logins that follow each other by less than a
window form a run (start, last), present during [start, last + window). The number present at once can only rise where a
run starts, so it is enough to look there.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from streams.core.addresses import Network
from streams.core.book import Rules, SafeNetwork
from streams.core.overview import find_covers
from streams.core.state import AccountState, Kept, Run

MOST_RUNS = 64
"""
A bound against logins of wildly wrong times; runs of one network are normally one or two.

Of more the oldest go: to join two over the pause between them would count a network where it was not used.
"""


class Excess(NamedTuple):
    """At some instant of a login's presence more was present than allowed: the first and last such instant, and what."""

    instants: tuple[int, ...]
    rule: str
    most_ips: int
    most_countries: int
    networks: frozenset[Network]


def add_to_runs(runs: Sequence[Run], time_ms: int, window_ms: int, now_ms: int) -> list[Run]:
    """
    The runs with one more login, which may extend a run, or join two.

    Logins dated after `now` (clocks differ) stay runs of their own until their time has come: a reset or unblock may
    still fall between them, and a joined run could not be parted again.

    >>> add_to_runs([(0, 10), (100, 110)], 60, 55, 1000)
    [(0, 110)]
    >>> add_to_runs([(0, 10)], 65, 55, 1000)
    [(0, 10), (65, 65)]
    """
    joined: list[Run] = []
    for start, last in sorted([*runs, (time_ms, time_ms)]):
        if joined:
            before_start, before_last = joined[-1]
            inside = last <= before_last
            if inside or (start < before_last + window_ms and last <= now_ms):
                joined[-1] = (before_start, max(before_last, last))
                continue
        joined.append((start, last))
    return joined[-MOST_RUNS:]


def is_within(runs: Sequence[Run], time_ms: int, window_ms: int) -> bool:
    """
    Whether a login lies within a run, or where two make one, so that nothing tells it from a repetition of a login there.

    It adds no presence then: whatever is exceeded at it was exceeded before it was read.

    >>> is_within([(0, 10)], 5, 55), is_within([(0, 10)], 11, 55), is_within([(0, 10), (60, 60)], 50, 55)
    (True, False, True)
    """
    if not runs or time_ms > runs[-1][1]:
        return False
    if any(start <= time_ms <= last for start, last in runs):
        return True
    return any(last < time_ms < start < last + window_ms for (_, last), (start, _) in pairwise(runs))


def without_cut(runs: list[Run], counts_from_ms: int) -> list[Run]:
    """The runs as far as they lie after a cut-off; of a run across it only its last login is known to."""
    if runs and runs[0][0] > counts_from_ms:
        return runs
    return [(start if start > counts_from_ms else last, last) for start, last in runs if last > counts_from_ms]


def prune_runs(state: AccountState, window_ms: int, lateness_ms: int) -> None:
    """Drop the runs that no login that is still judged can meet."""
    gone = max(state.newest_ms - lateness_ms - window_ms, state.cutoff_ms)
    if state.overview is not None and gone < state.overview.run_end_ms:
        return
    state.overview = None
    for kept in state.networks.values():
        if kept.runs and kept.runs[0][1] <= gone:
            kept.runs = [run for run in kept.runs if run[1] > gone]


def excess(state: AccountState, time_ms: int, rules: Rules) -> Excess | None:
    """
    Is the policy exceeded at some instant of the presence of a login at `time_ms`?

    Counted are networks that the rules of now neither trust nor ignore. None = nowhere exceeded.
    """
    if not _is_possible(state, rules):
        return None
    evidence = _evidence(state, rules)
    starts = {
        start
        for _, runs in evidence
        for start, _ in runs
        if time_ms < start < time_ms + rules.window_ms and not _present(runs, start, rules.window_ms, since=start - 1)
    }
    policy = rules.policy
    instants, first_rule, most_ips, most_countries = [], "", 0, 0
    networks: set[Network] = set()
    for instant in sorted({time_ms, *starts}):
        present = [kept for kept, runs in evidence if _present(runs, instant, rules.window_ms)]
        countries = {kept.country for kept in present if kept.country is not None}
        over_ips = 0 < policy.allowed_ips < len(present)
        if over_ips or 0 < policy.allowed_countries < len(countries):
            first_rule = first_rule or ("ips" if over_ips else "countries")
            instants.append(instant)
            most_ips = max(most_ips, len(present))
            most_countries = max(most_countries, len(countries))
            networks.update(kept.network for kept in present)
    if not instants:
        return None
    return Excess(tuple(instants), first_rule, most_ips, most_countries, frozenset(networks))


def _is_possible(state: AccountState, rules: Rules) -> bool:
    """Whether more networks or countries are kept at all than are allowed: most accounts have fewer."""
    policy = rules.policy
    if 0 < policy.allowed_ips < len(state.networks):
        return True
    countries = {kept.country for kept in state.networks.values()} - {None}
    return 0 < policy.allowed_countries < len(countries)


def restarts(state: AccountState, rules: Rules) -> bool:
    """Whether the next login restarts counting: with another window or prefix, what was counted cannot be compared any more."""
    policy = rules.policy
    demanded = (policy.time_window, policy.ipv4_prefix, policy.ipv6_prefix)
    return demanded != (state.window, state.ipv4_prefix, state.ipv6_prefix)


def present_networks(state: AccountState, instant: int, rules: Rules) -> set[Network]:
    """The networks that count at an instant, for a view of the account: those that the next login will be judged with."""
    if restarts(state, rules):
        return set()
    evidence = _evidence(state, rules)
    return {kept.network for kept, runs in evidence if _present(runs, instant, rules.window_ms)}


def safe_covers(state: AccountState, rules: Rules) -> dict[Network, SafeNetwork]:
    """The networks of an account that lie in a safe one, and in which."""
    if not rules.safe:
        return {}
    if state.overview is not None:
        return state.overview.covers(state.networks, rules)
    return find_covers(state.networks, rules)


def _evidence(state: AccountState, rules: Rules) -> list[tuple[Kept, list[Run]]]:
    counts_from, covers = state.counts_from_ms, safe_covers(state, rules)
    evidence = []
    for kept in state.networks.values():
        if kept.runs and kept.country not in rules.ignored and not (covers and kept.network in covers):
            runs = without_cut(kept.runs, counts_from)
            if runs:
                evidence.append((kept, runs))
    return evidence


def _present(runs: Sequence[Run], instant: int, window_ms: int, since: int | None = None) -> bool:
    """Whether some run (that started by `since`) makes its network present at an instant."""
    by = instant if since is None else since
    for start, last in runs:  # noqa: SIM110 - `any` takes three times as long, and this is asked of each network
        if start <= by and instant < last + window_ms:
            return True
    return False
