"""
Whose data a reader may see: everything, or some groups with all below them, and some domains.

Decision: a value that every query takes, and that becomes a condition on the row's domain. Groups are looked up in the
table of domains when the query runs, so a domain that moves to another group is seen by its new readers at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true

from streams.core.accounts import domain_of
from streams.panel.store.tables import DOMAIN

EVERYTHING_SCOPE = "everything"
AFTER_SLASH = "0"
"""The character after the slash: everything below group `g` sorts from `g/` up to `g0`."""


@dataclass(frozen=True, slots=True)
class Visible:
    """
    What somebody may see. Nothing, where all three are empty.

    >>> Visible.of(["group:a", "domain:example.org"]).everything
    False
    """

    everything: bool = False
    groups: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scopes: Iterable[str]) -> Self:
        """From a person's scopes: `everything`, `group:a/b`, `domain:example.org`. Others raise ValueError."""
        groups, domains, everything = set(), set(), False
        for scope in scopes:
            kind, _, name = scope.partition(":")
            if kind == EVERYTHING_SCOPE and not name:
                everything = True
            elif kind == "group" and name:
                groups.add(name)
            elif kind == "domain" and name:
                domains.add(name)
            else:
                raise ValueError(f"{scope!r} is no scope of a person")
        return cls(everything, frozenset(groups), frozenset(domains))

    def domain(self, column: ColumnElement[str], *, indexed: bool = True) -> ColumnElement[bool]:
        """
        The condition on a column that holds domains.

        Not `indexed` where another condition leaves few rows: SQLite would take the index of the domain none the less.
        """
        if self.everything:
            return true()
        if not indexed:
            column = func.coalesce(column, "")
        conditions: list[ColumnElement[bool]] = []
        if self.domains:
            conditions.append(column.in_(sorted(self.domains)))
        if self.groups:
            conditions.append(column.in_(select(DOMAIN.c.domain).where(self.group(DOMAIN.c.group))))
        return or_(*conditions) if conditions else false()

    def group(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """The condition on a column that holds groups' paths (empty = none)."""
        if self.everything:
            return true()
        conditions = [below(column, group) for group in sorted(self.groups)]
        return or_(*conditions) if conditions else false()

    def scope(self, domain: ColumnElement[str], group: ColumnElement[str]) -> ColumnElement[bool]:
        """
        The condition on rows about a scope, which name a domain, or a group, or neither (everyone, the panel itself).

        What is about neither is seen by those who see everything.
        """
        # without groups no OR: SQLite uses no index for one that has a part without
        return or_(self.domain(domain), self.group(group)) if self.groups else self.domain(domain)

    def covers(self, scope: str, group_of: Callable[[str], str | None]) -> bool:
        """
        Whether a canonical scope of rules lies within what is visible; `group_of` tells a domain's group.

        >>> Visible.of(["group:a"]).covers("group:ab", lambda domain: None)
        False
        """
        if self.everything:
            return True
        kind, _, name = scope.partition(":")
        if kind == "group":
            return self._has_group(name)
        if kind not in ("domain", "account"):
            return False
        domain = domain_of(name)
        return domain in self.domains or self._has_group(group_of(domain) or "")

    def _has_group(self, path: str) -> bool:
        return any(path == group or path.startswith(f"{group}/") for group in self.groups)


EVERYTHING = Visible(everything=True)


def below(column: ColumnElement[str], group: str) -> ColumnElement[bool]:
    """The condition that a group's path is this group or one below it."""
    return or_(column == group, and_(column >= f"{group}/", column < f"{group}{AFTER_SLASH}"))
