"""
The book of rules: all policies, safe networks and domains, and from them the rules of an account.

Decision: rules are resolved once per scope that differs, not once per account: accounts without a policy or safe
network of their own share the rules of their domain. The safe networks of a scope are gone through once for all rules that
they are part of (`ScopeNetworks`): hundreds of everyone cost each of thousands of domains next to nothing. Safe networks
expire by themselves: `Rules` hold for a span of `now`, and are made anew outside of it, so that an expiry takes effect
exactly, in the worker as in a replay.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.core.accounts import EVERYONE, canonical_domain, canonical_group, domain_of, parse_scope
from streams.core.addresses import Network, parse_network
from streams.core.policy import MINUTE_MS, EffectivePolicy, Policy, parse_policy
from streams.core.refusal import Refused

FOREVER = 1 << 62
MOST_CACHED = 200_000
LONGEST_DESCRIPTION = 500


@dataclass(frozen=True, slots=True)
class SafeNetwork:
    """A network that an administrator trusts for a scope, until `expires_ms` (exclusive) if that is set."""

    scope: str
    network: Network
    description: str
    expires_ms: int | None = None

    @property
    def key(self) -> str:
        """The key of its record."""
        return safe_key(self.scope, self.network)


class ScopeNetworks:
    """
    The safe networks of one scope that hold while `since_ms <= now < until_ms`, indexed; shared by all rules with them.

    `content` is what the stamp of such rules is made of: the scope and each network as JSON, in order of the text.
    """

    __slots__ = ("_by_prefix", "content", "networks", "scope", "since_ms", "until_ms")

    def __init__(self, scope: str, networks: Iterable[SafeNetwork], now_ms: int) -> None:
        self.scope = scope
        self.since_ms, self.until_ms = -FOREVER, FOREVER
        active = []
        for safe in networks:
            expires = FOREVER if safe.expires_ms is None else safe.expires_ms
            if now_ms < expires:
                active.append(safe)
                self.until_ms = min(self.until_ms, expires)
            else:
                self.since_ms = max(self.since_ms, expires)
        self.networks = tuple(active)
        self.content = json.dumps([(scope, text) for text in sorted(str(safe.network) for safe in active)])[1:-1]
        self._by_prefix: dict[tuple[bool, int], dict[int, tuple[int, SafeNetwork]]] = {}
        for rank, safe in enumerate(active):
            network = safe.network
            self._by_prefix.setdefault((network.is_v4, network.prefix), {})[network.number] = rank, safe

    def cover(self, network: Network) -> SafeNetwork | None:
        """
        The safe network that wholly contains a network, the one that was added first.

        One look-up per prefix length in use, so that a provider's list of thousands costs no more than a short one.
        """
        found = []
        for (is_v4, prefix), networks in self._by_prefix.items():
            if prefix <= network.prefix and is_v4 == network.is_v4:
                shift = 128 - prefix
                match = networks.get(network.number >> shift << shift)
                if match is not None:
                    found.append(match)
        return min(found, key=lambda match: match[0])[1] if found else None


class Rules:
    """
    What holds for an account while `since_ms <= now < until_ms`.

    `stamp` tells these rules from others by their content: 8 bytes, equal in every process and run, and kept with the
    states of accounts. `spots` is a cache for the engine, with what these rules say of an address.
    """

    __slots__ = ("_scopes", "ignored", "policy", "safe", "since_ms", "spots", "stamp", "until_ms", "window_ms")

    def __init__(self, policy: EffectivePolicy, scopes: Sequence[ScopeNetworks]) -> None:
        """Rules with the safe networks of these scopes, given nearest first."""
        self.policy = policy
        self._scopes = tuple(scope for scope in scopes if scope.networks)
        # added up and not copied: where one scope alone has networks, all rules with it hold its own tuple
        self.safe: tuple[SafeNetwork, ...] = sum((scope.networks for scope in self._scopes), ())
        self.since_ms = max((scope.since_ms for scope in scopes), default=-FOREVER)
        self.until_ms = min((scope.until_ms for scope in scopes), default=FOREVER)
        self.window_ms = policy.time_window * MINUTE_MS
        self.ignored = frozenset(policy.ignored_countries)
        self.stamp = _stamp(policy, self._scopes)
        self.spots: dict[str, Any] = {}

    def safe_cover(self, network: Network) -> SafeNetwork | None:
        """The safe network that wholly contains a network, the nearest scope's first."""
        for scope in self._scopes:
            safe = scope.cover(network)
            if safe is not None:
                return safe
        return None


class RuleBook:
    """All policies, safe networks and domains as far as they were read, in the order they were read."""

    def __init__(self, default_domain: str = "") -> None:
        self.default_domain = default_domain
        self.policies: dict[str, Policy] = {}
        self.safe: dict[str, dict[Network, SafeNetwork]] = {}
        self.groups: dict[str, str] = {}
        self._rules: dict[str, Rules] = {}
        """By domain, or by account where one has scopes of its own."""
        self._by_levels: dict[tuple[str, ...], Rules] = {}
        """The same by the scopes that say anything: most domains share the rules of everyone."""
        self._networks: dict[str, ScopeNetworks] = {}
        """By scope, for domains and above. A change of another scope or of a policy leaves them alone."""
        self.own: set[str] = set()
        """Accounts that ever had a policy or safe network of their own: their rules are not those of their domain."""
        self.generation = 0
        """Grows whenever rules that were resolved before may have changed."""

    def set_policy(self, key: str, record: Mapping[str, Any] | None) -> None:
        """
        Take in a record of `policies`; None = its scope sets nothing any more. Raises Refused, and the old one stays.
        """
        if record is None:
            self.policies.pop(parse_scope(key, self.default_domain), None)
        else:
            scope, policy = parse_policy(record, self.default_domain)
            self.policies[scope] = policy
            self._note_own(scope)
        self.forget_rules()

    def set_safe_network(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Take in a record of `safe-networks`; None = not safe any more. Raises Refused."""
        if record is None:
            scope, network = parse_safe_key(key, self.default_domain)
            self.safe.get(scope, {}).pop(network, None)
        else:
            safe = parse_safe_network(record, self.default_domain)
            scope = safe.scope
            self.safe.setdefault(scope, {})[safe.network] = safe
            self._note_own(scope)
        self._networks.pop(scope, None)
        self.forget_rules()

    def set_domain(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Take in a record of `domains`; None = the domain belongs to no group. Raises Refused."""
        domain = canonical_domain(key if record is None else record["domain"])
        group = (record or {}).get("group")
        if group:
            self.groups[domain] = canonical_group(group.removeprefix("group:"))
        else:
            self.groups.pop(domain, None)
        self.forget_rules()

    def forget_rules(self) -> None:
        """Resolve anew from now on, and forget what was remembered of addresses with the rules."""
        self._rules.clear()
        self._by_levels.clear()
        self.generation += 1

    def scopes(self, account: str) -> Iterator[str]:
        """The scopes of a canonical account, nearest first: account, domain, groups from the deepest up, everyone."""
        domain = domain_of(account)
        yield f"account:{account}"
        yield f"domain:{domain}"
        group = self.groups.get(domain, "")
        while group:
            yield f"group:{group}"
            group = group.rpartition("/")[0]
        yield EVERYONE

    def rules(self, account: str, now_ms: int) -> Rules:
        """The rules of a canonical account at `now`."""
        key = account if account in self.own else account.rpartition("@")[2]
        rules = self._rules.get(key)
        if rules is None or not rules.since_ms <= now_ms < rules.until_ms:
            if len(self._rules) >= MOST_CACHED:
                self._rules.clear()
            rules = self._rules[key] = self._resolve(account, now_ms)
        return rules

    def effective(self, account: str) -> EffectivePolicy:
        """The effective policy of a canonical account, with the origin of each field."""
        return EffectivePolicy.from_levels(
            [(scope, self.policies[scope]) for scope in self.scopes(account) if scope in self.policies]
        )

    def _note_own(self, scope: str) -> None:
        kind, _, name = scope.partition(":")
        if kind == "account":
            self.own.add(name)

    def _resolve(self, account: str, now_ms: int) -> Rules:
        levels = tuple(scope for scope in self.scopes(account) if scope in self.policies or self.safe.get(scope))
        rules = self._by_levels.get(levels)
        if rules is None or not rules.since_ms <= now_ms < rules.until_ms:
            rules = self._by_levels[levels] = self._made(levels, now_ms)
        return rules

    def _made(self, levels: tuple[str, ...], now_ms: int) -> Rules:
        policies = [(scope, self.policies[scope]) for scope in levels if scope in self.policies]
        networks = [self._networks_of(scope, now_ms) for scope in levels if self.safe.get(scope)]
        return Rules(EffectivePolicy.from_levels(policies), networks)

    def _networks_of(self, scope: str, now_ms: int) -> ScopeNetworks:
        networks = self._networks.get(scope)
        if networks is None or not networks.since_ms <= now_ms < networks.until_ms:
            networks = ScopeNetworks(scope, self.safe[scope].values(), now_ms)
            if not scope.startswith("account:"):  # an account's are part of its own rules only
                self._networks[scope] = networks
        return networks


def safe_key(scope: str, network: Network) -> str:
    """The key of a safe network's record: its scope, one space, the canonical CIDR."""
    return f"{scope} {network}"


def parse_safe_key(key: str, default_domain: str = "") -> tuple[str, Network]:
    """The scope and network of a safe network's key. Raises Refused."""
    scope, space, network = key.rpartition(" ")
    if not space:
        raise Refused(
            "bad-safe-network", f"{key[:80]!r} is no key of a safe network: write its scope, a space, its CIDR"
        )
    return parse_scope(scope, default_domain), parse_network(network)


def parse_safe_network(record: Mapping[str, Any], default_domain: str = "") -> SafeNetwork:
    """The safe network of a SafeNetwork record. Raises Refused with the field and the reason."""
    description = record["description"].strip()
    if not description or len(description) > LONGEST_DESCRIPTION:
        raise Refused("bad-safe-network", f"a safe network needs a description (1 to {LONGEST_DESCRIPTION} characters)")
    scope = parse_scope(record["scope"], default_domain)
    return SafeNetwork(scope, parse_network(record["network"]), description, record.get("expires"))


def _stamp(policy: EffectivePolicy, scopes: Sequence[ScopeNetworks]) -> bytes:
    """
    Of the JSON of the fields, and of each scope with each network, sorted.

    States keep it, so what it is made of stays as it is: another stamp has every account judged anew.
    """
    values = policy.to_record()
    del values["origins"]
    networks = ", ".join(scope.content for scope in sorted(scopes, key=lambda scope: scope.scope))
    content = f"[{json.dumps(values, sort_keys=True)}, [{networks}]]"
    return hashlib.blake2b(content.encode(), digest_size=8).digest()
