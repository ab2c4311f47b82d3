"""Policies as they stand on their topic, and the book of rules that says what applies to whom."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, case, select

from streams.core.accounts import EVERYONE
from streams.core.book import RuleBook
from streams.core.policy import EffectivePolicy, Policy, parse_policy
from streams.panel.store.cursors import MOST, PAGE, Order, Page, page_of
from streams.panel.store.progress import numbers
from streams.panel.store.tables import DOMAIN, POLICY, SAFE_NETWORK
from streams.panel.store.visible import Visible


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What one scope demands, who set it and when. `time_ms` tells whether somebody saved in between."""

    scope: str
    policy: Policy
    actor: str
    time_ms: int

    @property
    def width(self) -> int:
        """How wide the scope is: 0 is the widest."""
        return WIDTHS.index(self.scope.partition(":")[0])


WIDTHS = (EVERYONE, "group", "domain", "account")
ORDER = Order("widest", ("width", "scope"), (int, str), falling=False)
"""Few scopes are wide and hold for many; the many of single accounts come last."""


class Book:
    """The book of rules, made anew only when a rule changed. One per panel; threads share it."""

    def __init__(self, default_domain: str = "") -> None:
        self._default_domain = default_domain
        self._lock = threading.Lock()
        self._made = -1
        self._book = RuleBook(default_domain)

    def book(self, connection: Connection) -> RuleBook:
        """
        The rules of now: `.effective(account)` gives the effective policy with origins, `.scopes(account)` the scopes
        nearest first, `.groups` the group of each domain. Read it, never change it.
        """
        number = numbers(connection).get("rules", 0)
        with self._lock:
            if number != self._made:
                self._book, self._made = _filled(connection, self._default_domain), number
            return self._book


def policy(connection: Connection, visible: Visible, scope: str) -> PolicyRow | None:
    """What a canonical scope itself demands; None when nothing is set there or it is not visible."""
    query = select(POLICY).where(POLICY.c.scope == scope, visible.scope(POLICY.c.domain, POLICY.c.group))
    row = connection.execute(query).first()
    return None if row is None else _policy(row)


def listed_policies(
    connection: Connection, visible: Visible, *, cursor: str | None = None, size: int = PAGE
) -> Page[PolicyRow]:
    """One page of policies in view: everyone, groups, domains, accounts. Raises UsageError for a bad cursor."""
    found, size, scope = ORDER.parse(cursor), min(size, MOST), POLICY.c.scope
    wide = [(scope == EVERYONE, 0), *((scope.startswith(f"{kind}:"), WIDTHS.index(kind)) for kind in WIDTHS[1:-1])]
    width = case(*wide, else_=len(WIDTHS) - 1).label("width")
    seen = select(POLICY, width).where(visible.scope(POLICY.c.domain, POLICY.c.group)).subquery()
    rows = connection.execute(ORDER.sort(select(seen), seen.c, found).limit(size + 1)).all()
    return page_of([_policy(row) for row in rows], ORDER, found, size)


def inherited(book: RuleBook, scope: str) -> dict[str, Any]:
    """
    For the form of a canonical scope: per policy field the value that it would inherit, and under `origins` from where,
    as `EffectivePolicy.to_record` has it; what the scope itself sets is left out.
    """
    levels = [(level, book.policies[level]) for level in above(book, scope) if level in book.policies]
    return EffectivePolicy.from_levels(levels).to_record()


def above(book: RuleBook, scope: str) -> Iterator[str]:
    """
    The scopes that a scope inherits from, nearest first.

    >>> list(above(RuleBook(), "group:a/b"))
    ['group:a', 'everyone']
    """
    kind, _, name = scope.partition(":")
    if kind == "account":
        yield from (level for level in book.scopes(name) if level != scope)
    elif kind == "domain":
        # the scopes of any account there, but for the account's own and the domain itself
        yield from (level for level in book.scopes(f"@{name}") if level not in (scope, f"account:@{name}"))
    elif kind == "group":
        while name := name.rpartition("/")[0]:
            yield f"group:{name}"
        yield EVERYONE


def _filled(connection: Connection, default_domain: str) -> RuleBook:
    book = RuleBook(default_domain)
    for scope, record in connection.execute(select(POLICY.c.scope, POLICY.c.record)):
        book.set_policy(scope, orjson.loads(record))
    safe = select(SAFE_NETWORK.c.scope, SAFE_NETWORK.c.network, SAFE_NETWORK.c.description, SAFE_NETWORK.c.expires_ms)
    for scope, network, description, expires_ms in connection.execute(safe):
        record = {"scope": scope, "network": network, "description": description, "expires": expires_ms}
        book.set_safe_network("", record)
    for domain, group in connection.execute(select(DOMAIN.c.domain, DOMAIN.c.group).where(DOMAIN.c.group > "")):
        book.groups[domain] = group
    book.forget_rules()
    return book


def _policy(row: Row[Any]) -> PolicyRow:
    return PolicyRow(row.scope, parse_policy(orjson.loads(row.record))[1], row.actor, row.time_ms)
