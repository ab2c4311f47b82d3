"""
Who may do what, where: every page, decision and API call asks here and nowhere else.

Decision: a role says what, scopes say where. A person has one role and any number of scopes; a right is never tied to a
page, so that a page and the API call beside it cannot differ.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from streams.core.accounts import canonical_domain, canonical_group
from streams.core.refusal import Refused
from streams.panel.store.visible import EVERYTHING as ALL
from streams.panel.store.visible import EVERYTHING_SCOPE, Visible
from streams.panel.words import N_

GroupOf = Callable[[str], str | None]
"""The group of a domain; None when it belongs to none."""


class Role(StrEnum):
    """What a person is in the panel, from the highest down."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    HELP_DESK = "help_desk"
    READER = "reader"


class Right(StrEnum):
    """One thing that somebody may do."""

    READ = "read"
    REVIEW = "review"
    ORDER = "order"
    """Block, unblock, reset activity."""
    MARK_SAFE = "mark_safe"
    """Trust a network for one account."""
    EXPORT = "export"
    CHANGE_RULES = "change_rules"
    """Policies, and safe networks of domains and wider."""
    CHANGE_DOMAINS = "change_domains"
    AUDIT = "audit"
    MANAGE_PEOPLE = "manage_people"


class Open(Enum):
    """What a page demands that needs no right."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed_in"


_READER = frozenset({Right.READ})
_HELP_DESK = _READER | {Right.REVIEW, Right.ORDER, Right.MARK_SAFE, Right.EXPORT}
_ADMINISTRATOR = _HELP_DESK | {Right.CHANGE_RULES, Right.CHANGE_DOMAINS, Right.AUDIT, Right.MANAGE_PEOPLE}

ROLE_RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMINISTRATOR: frozenset(_ADMINISTRATOR),
    Role.HELP_DESK: frozenset(_HELP_DESK),
    Role.READER: _READER,
}
ROLE_NAMES: Mapping[Role, str] = {
    Role.OWNER: N_("Owner"),
    Role.ADMINISTRATOR: N_("Administrator"),
    Role.HELP_DESK: N_("Help desk"),
    Role.READER: N_("Reader"),
}
ROLE_NOTES: Mapping[Role, str] = {
    Role.OWNER: N_("May do everything, everywhere."),
    Role.ADMINISTRATOR: N_("Also changes policies, safe networks, domains and people, and reads the audit."),
    Role.HELP_DESK: N_(
        "Also reviews incidents, blocks and unblocks accounts, and marks networks of an account as safe."
    ),
    Role.READER: N_("Reads, and changes nothing."),
}
_RANKS = {role: rank for rank, role in enumerate(reversed(Role))}


@dataclass(frozen=True, slots=True)
class Reader:
    """A person, or a token, as rights see it. An owner's scope is everything, whatever is written."""

    person_id: int
    name: str
    role: Role
    scopes: tuple[str, ...]
    language: str = "en"
    zone: str = ""

    @property
    def sees_everything(self) -> bool:
        """Whether no domain is hidden from this reader."""
        return self.role is Role.OWNER or EVERYTHING_SCOPE in self.scopes

    @property
    def visible(self) -> Visible:
        """What the store's queries may show this reader."""
        return ALL if self.sees_everything else Visible.of(self.scopes)

    def may(self, right: Right) -> bool:
        """Whether the role has the right, wherever that is."""
        return right in ROLE_RIGHTS[self.role]

    def covers(self, scope: str, group_of: GroupOf) -> bool:
        """Whether a canonical scope (everyone, group:…, domain:…, account:…) lies within this reader's own."""
        return self.visible.covers(scope, group_of)

    def outranks(self, role: Role) -> bool:
        """Whether this reader's role is at least as high."""
        return _RANKS[self.role] >= _RANKS[role]

    def covers_all(self, scopes: Iterable[str], group_of: GroupOf) -> bool:
        """Whether every one of a person's scopes (with `everything`) lies within this reader's own."""
        return all(
            self.sees_everything if scope == EVERYTHING_SCOPE else self.covers(scope, group_of) for scope in scopes
        )

    def manages(self, role: Role, scopes: Iterable[str], group_of: GroupOf) -> bool:
        """Whether people of this role and these scopes are this reader's to invite and to change."""
        if not self.may(Right.MANAGE_PEOPLE) or not self.outranks(role):
            return False
        return self.sees_everything or (role is not Role.OWNER and self.covers_all(scopes, group_of))


def parse_person_scope(text: str) -> str:
    """The canonical form of a person's scope: `everything`, `group:a/b` or `domain:example.org`. Raises Refused."""
    kind, colon, name = text.strip().partition(":")
    if kind == EVERYTHING_SCOPE and not colon:
        return EVERYTHING_SCOPE
    if kind == "group" and colon:
        return f"group:{canonical_group(name)}"
    if kind == "domain" and colon:
        return f"domain:{canonical_domain(name)}"
    raise Refused(
        "bad-scope", f"{text[:80]!r} is no scope of a person: use everything, group:a/b or domain:example.org"
    )
