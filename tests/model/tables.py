"""What is demanded: policies by scope, safe networks, domains and their groups; tables in the order read."""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.values import Address, Network, Wrong, canonical_cidr, canonical_domain, canonical_scope, wholly_inside

DEFAULTS: dict[str, Any] = {
    "time_window": 0,
    "allowed_ips": 0,
    "allowed_countries": 0,
    "ignored_countries": [],
    "block_time": 0,
    "notify": [],
    "notify_sender": False,
    "match_username": False,
    "match_domain": False,
    "familiar_days": 0,
    "ipv4_prefix": 32,
    "ipv6_prefix": 64,
    "mode": "enforce",
}
BOUNDS = {
    "time_window": (0, 43_200),
    "allowed_ips": (0, 50),
    "allowed_countries": (0, 1000),
    "block_time": (0, 43_200),
    "familiar_days": (0, 10_000),
    "ipv4_prefix": (8, 32),
    "ipv6_prefix": (16, 128),
}


@dataclass(frozen=True)
class Policy:
    """The effective policy of an account: each field from the nearest scope that sets it, and that scope."""

    fields: dict[str, Any]
    origins: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]

    @property
    def counting(self) -> tuple[int, int, int]:
        """What a change of restarts counting."""
        return self.time_window, self.ipv4_prefix, self.ipv6_prefix

    @property
    def record(self) -> dict[str, Any]:
        """The record EffectivePolicy."""
        return {**self.fields, "origins": self.origins}

    @property
    def can_block(self) -> bool:
        """Would an incident of this policy write a block?"""
        return bool(self.mode == "enforce" and self.block_time > 0)

    def can_mail(self, account: str) -> bool:
        """Would an incident of this policy write a notification?"""
        return self.mode == "enforce" and bool(self.recipients(account))

    def recipients(self, account: str) -> list[str]:
        """Who is told, each once, the account itself last."""
        return each_once([*self.notify, *([account] if self.notify_sender else [])])


@dataclass(frozen=True)
class Safe:
    """A CIDR that an administrator trusts for a scope."""

    scope: str
    network: Network
    expires: int | None

    def holds(self, now_ms: int) -> bool:
        """Safe while `now < expires`, whatever the login's own time."""
        return self.expires is None or now_ms < self.expires


@dataclass
class Tables:
    """All policies, safe networks and domains as last read."""

    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    safe: dict[str, Safe] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def read(self, topic: str, value: dict[str, Any] | None, key: str | None) -> None:
        """One record of a compacted topic; without a value, what has this key is forgotten. Raises Wrong."""
        if topic == "policies":
            self._read_policy(value, key)
        elif topic == "safe-networks":
            self._read_safe(value, key)
        else:
            self._read_domain(value, key)

    def scopes(self, account: str) -> list[str]:
        """The scopes of an account, nearest first: itself, its domain, its groups from inner to outer, everyone."""
        domain = account.rpartition("@")[2]
        path = self.groups.get(domain, "")
        parts = path.split("/") if path else []
        groups = ["group:" + "/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
        return [f"account:{account}", f"domain:{domain}", *groups, "everyone"]

    def policy(self, account: str) -> Policy:
        """The effective policy: an unset field inherits; a list replaces the inherited one, even an empty one."""
        fields, origins = dict(DEFAULTS), dict.fromkeys(DEFAULTS, "default")
        for scope in reversed(self.scopes(account)):
            for name, value in self.policies.get(scope, {}).items():
                fields[name], origins[name] = value, scope
        return Policy(fields, origins)

    def safe_cidrs(self, account: str, now_ms: int) -> list[Network]:
        """What is safe for this account now, in any of its scopes."""
        scopes = set(self.scopes(account))
        return [safe.network for safe in self.safe.values() if safe.scope in scopes and safe.holds(now_ms)]

    def _read_policy(self, value: dict[str, Any] | None, key: str | None) -> None:
        if value is None:
            self.policies.pop(canonical_scope(key), None)
            return
        scope = canonical_scope(value.get("scope"))
        self.policies[scope] = {name: _checked(name, value[name]) for name in DEFAULTS if value.get(name) is not None}

    def _read_safe(self, value: dict[str, Any] | None, key: str | None) -> None:
        if value is None:
            self.safe.pop(key or "", None)
            return
        safe = Safe(canonical_scope(value.get("scope")), canonical_cidr(value.get("network")), value.get("expires"))
        if not str(value.get("description") or "").strip():
            raise Wrong("a safe network needs a description")
        self.safe[f"{safe.scope} {safe.network}"] = replace(safe)

    def _read_domain(self, value: dict[str, Any] | None, key: str | None) -> None:
        if value is None:
            self.groups.pop(canonical_domain(key or ""), None)
            return
        domain = canonical_domain(value["domain"])
        self.groups[domain] = value.get("group") or ""


def _checked(name: str, value: Any) -> Any:
    """The value of one policy field, canonical. Raises Wrong when it is out of its bounds."""
    if name in BOUNDS:
        low, high = BOUNDS[name]
        if not low <= value <= high:
            raise Wrong(f"{name} must be from {low} to {high}")
        return value
    if name == "ignored_countries":
        codes = sorted({code.strip().upper() for code in value})
        if any(len(code) != 2 or not code.isalpha() for code in codes):
            raise Wrong("no such country")
        return codes
    if name == "notify":
        addresses = [address.strip() for address in value]
        if any("@" not in address for address in addresses):
            raise Wrong("no mail address")
        return each_once(addresses)
    if name == "mode" and value not in {"enforce", "observe"}:
        raise Wrong("no such mode")
    return value


def each_once(addresses: list[str]) -> list[str]:
    """The addresses without those that an earlier one is another spelling of."""
    return [
        address
        for number, address in enumerate(addresses)
        if address.lower() not in {earlier.lower() for earlier in addresses[:number]}
    ]


def inside_any(address: Address, cidrs: list[Network]) -> bool:
    """Is the address in one of the CIDRs?"""
    return any(address.version == cidr.version and address in cidr for cidr in cidrs)


def wholly_inside_any(network: Network, cidrs: list[Network]) -> bool:
    """Does one of the CIDRs contain the whole network?"""
    return any(wholly_inside(network, cidr) for cidr in cidrs)
