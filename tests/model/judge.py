"""At which instants is the policy exceeded? Counted anew from all logins, without any runs of presence."""

from dataclasses import dataclass

from tests.model.account import Account
from tests.model.tables import Policy, wholly_inside_any
from tests.model.values import MINUTE_MS, Network, Seen


@dataclass(frozen=True)
class Instant:
    """An instant, and what was present at it."""

    time: int
    networks: frozenset[Network]
    countries: frozenset[str]

    def rule_exceeded(self, policy: Policy) -> str | None:
        """`ips` if that rule is exceeded (or both are), else `countries`, else None; a limit of 0 does not count."""
        if 0 < policy.allowed_ips < len(self.networks):
            return "ips"
        if 0 < policy.allowed_countries < len(self.countries):
            return "countries"
        return None

    def count(self, rule: str) -> int:
        """The number that a rule compares with its limit."""
        return len(self.networks) if rule == "ips" else len(self.countries)


def exceeding_instants(account: Account, login: Seen, policy: Policy, safe: list[Network]) -> list[Instant]:
    """The instants of the login's presence at which the policy is exceeded, in order of time."""
    window_ms = policy.time_window * MINUTE_MS
    country_of = {network: activity.last.country for network, activity in account.networks().items()}
    evidence = [
        other
        for other in account.evidence()
        if not wholly_inside_any(other.network, safe) and country_of[other.network] not in policy.ignored_countries
    ]
    times = {login.time} | {
        other.time
        for other in evidence
        if login.time < other.time < login.time + window_ms and _begins_presence(other, evidence, window_ms)
    }
    instants = [_instant(time, evidence, window_ms, country_of) for time in sorted(times)]
    return [instant for instant in instants if instant.rule_exceeded(policy)]


def is_within(account: Account, login: Seen, policy: Policy) -> bool:
    """
    Is it at the time of a counted login of its network, or between two that follow each other by less than a window?

    Nothing tells it from a repetition of another login of that network then, and it changes nothing.
    """
    known = [other.time for other in account.evidence() if other.network == login.network]
    before = [time for time in known if time <= login.time]
    after = [time for time in known if time >= login.time]
    return bool(before and after) and (
        max(before) == login.time or min(after) - max(before) < policy.time_window * MINUTE_MS
    )


def _begins_presence(login: Seen, evidence: list[Seen], window_ms: int) -> bool:
    """Was the network of this login not present just before it?"""
    return not any(
        other.network == login.network and other.time < login.time < other.time + window_ms for other in evidence
    )


def _instant(time: int, evidence: list[Seen], window_ms: int, country_of: dict[Network, str | None]) -> Instant:
    """What is present: each counted login makes its network present during [t, t + window)."""
    networks = frozenset(login.network for login in evidence if login.time <= time < login.time + window_ms)
    countries = frozenset(country for network in networks if (country := country_of[network]) is not None)
    return Instant(time, networks, countries)
