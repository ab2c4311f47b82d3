"""
Policies: what a scope demands, and what an account's effective policy is, field by field from the nearest scope.

Decision: an unset field (None) inherits; a list that is set replaces the inherited one, even when it is empty. The
record's own form (`to_record`) names for each field the scope it came from, so that every incident explains itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from streams.core.accounts import canonical_account, parse_scope
from streams.core.countries import canonical_countries, split_countries
from streams.core.refusal import Refused

MINUTE_MS = 60_000
LONGEST_MINUTES = 43_200
"""30 days: the longest window and the longest block."""
DEFAULT = "default"
"""The origin of a field that no scope sets."""

LIMITS: Mapping[str, tuple[int, int]] = {
    "time_window": (0, LONGEST_MINUTES),
    "allowed_ips": (0, 50),
    "allowed_countries": (0, 250),
    "block_time": (0, LONGEST_MINUTES),
    "familiar_days": (0, 3650),
    "ipv4_prefix": (8, 32),
    "ipv6_prefix": (16, 128),
}
SWITCHES = ("notify_sender", "match_username", "match_domain")
MODES = ("enforce", "observe")
MOST_RECIPIENTS = 50
LONGEST_MAIL = 254
_MAIL = re.compile(r"[^\s@<>,;\"\x00-\x1f\x7f]+@[^\s@<>,;\"\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Policy:
    """What one scope demands; None = inherited. Minutes, counts and days as in the design's section 3."""

    time_window: int | None = None
    allowed_ips: int | None = None
    allowed_countries: int | None = None
    ignored_countries: tuple[str, ...] | None = None
    block_time: int | None = None
    notify: tuple[str, ...] | None = None
    notify_sender: bool | None = None
    match_username: bool | None = None
    match_domain: bool | None = None
    familiar_days: int | None = None
    ipv4_prefix: int | None = None
    ipv6_prefix: int | None = None
    mode: str | None = None

    def to_record(self) -> dict[str, Any]:
        """The fields as a Policy record has them."""
        return {name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in FIELDS}


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """What holds for an account, every field set, and from which scope each came (`default` = from none)."""

    time_window: int = 0
    allowed_ips: int = 0
    allowed_countries: int = 0
    ignored_countries: tuple[str, ...] = ()
    block_time: int = 0
    notify: tuple[str, ...] = ()
    notify_sender: bool = False
    match_username: bool = False
    match_domain: bool = False
    familiar_days: int = 0
    ipv4_prefix: int = 32
    ipv6_prefix: int = 64
    mode: str = "enforce"
    origins: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_levels(cls, levels: Sequence[tuple[str, Policy]]) -> Self:
        """Resolve policies given nearest scope first."""
        values: dict[str, Any] = {}
        origins = []
        for name in FIELDS:
            for scope, policy in levels:
                value = getattr(policy, name)
                if value is not None:
                    values[name] = value
                    origins.append((name, scope))
                    break
            else:
                origins.append((name, DEFAULT))
        return cls(**values, origins=tuple(origins))

    @property
    def enforces(self) -> bool:
        """Whether incidents block and mail at all."""
        return self.mode == "enforce"

    @property
    def can_block(self) -> bool:
        """Whether an incident would block."""
        return self.enforces and self.block_time > 0

    @property
    def can_mail(self) -> bool:
        """Whether an incident would be mailed to anybody."""
        return self.enforces and bool(self.notify or self.notify_sender)

    def recipients(self, account: str) -> list[str]:
        """Whom to tell of an incident, without repetition."""
        return _once([*self.notify, *([account] if self.notify_sender else [])])

    def origin(self, name: str) -> str:
        """The scope that set a field."""
        return dict(self.origins)[name]

    def to_record(self) -> dict[str, Any]:
        """The fields and their origins as incidents and views carry them."""
        values: dict[str, Any] = {}
        for name in FIELDS:
            value = getattr(self, name)
            values[name] = list(value) if isinstance(value, tuple) else value
        return {**values, "origins": dict(self.origins)}


FIELDS = tuple(field.name for field in fields(Policy))

RESET = Policy(
    time_window=0,
    allowed_ips=0,
    allowed_countries=0,
    ignored_countries=(),
    block_time=0,
    notify=(),
    notify_sender=False,
    match_username=False,
    match_domain=False,
    familiar_days=0,
)
"""What "Reset" of a scope writes: the feature is off there, whatever is above."""


def parse_policy(record: Mapping[str, Any], default_domain: str = "") -> tuple[str, Policy]:
    """
    The canonical scope and the policy of a Policy record (or of what a person typed, in the record's field names).

    Raises Refused with a sentence that says which field and why.
    """
    scope = parse_scope(record["scope"], default_domain)
    values: dict[str, Any] = {}
    for name, (least, most) in LIMITS.items():
        values[name] = _number(name, record.get(name), least, most)
    for name in SWITCHES:
        values[name] = _switch(name, record.get(name))
    values["ignored_countries"] = _countries(record.get("ignored_countries"))
    values["notify"] = _recipients(record.get("notify"))
    values["mode"] = _mode(record.get("mode"))
    return scope, Policy(**values)


def _number(name: str, value: Any, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Refused("bad-policy", f"{name} is {_shown(value)}, but must be a whole number from {least} to {most}")
    return value


def _switch(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise Refused("bad-policy", f"{name} is {_shown(value)}, but must be true or false")


def _mode(value: Any) -> str | None:
    if value is None:
        return None
    if value in MODES:
        return str(value)
    raise Refused("bad-policy", f"mode is {_shown(value)}, but must be enforce or observe")


def _countries(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    codes = split_countries(value) if isinstance(value, str) else value
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str) for code in codes):
        raise Refused("bad-policy", f"ignored_countries is {_shown(value)}, but must be a list of country codes")
    return canonical_countries(list(codes))


def _recipients(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) > MOST_RECIPIENTS:
        raise Refused("bad-policy", f"notify must be a list of at most {MOST_RECIPIENTS} e-mail addresses")
    return tuple(_once([_mail(address) for address in value]))


def _once(addresses: Sequence[str]) -> list[str]:
    """Each address once, as it is written first."""
    first: dict[str, str] = {}
    for address in addresses:
        first.setdefault(_folded(address), address)
    return list(first.values())


def _folded(address: str) -> str:
    """Equal for all spellings of an address: the names of accounts are addresses too, so it is their form."""
    try:
        return canonical_account(address)
    except Refused:  # mail can go to what is no account: `root@[192.0.2.1]`
        return address.lower()


def _mail(address: Any) -> str:
    text = address.strip() if isinstance(address, str) else ""
    if len(text) > LONGEST_MAIL or not _MAIL.fullmatch(text):
        raise Refused("bad-policy", f"notify: {_shown(address)} is not an e-mail address")
    return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
