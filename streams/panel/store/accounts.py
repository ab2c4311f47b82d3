"""Finding accounts that had incidents by a part of their name."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Subquery, func, select

from streams.panel.store.tables import ACCOUNT, INCIDENT
from streams.panel.store.visible import Visible

LOOKED_AT = 20_000
"""Accounts with a text in their name whose domain is looked at."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, how many incidents it had, and the latest one."""

    account: str
    incidents: int
    latest: str
    latest_ms: int


def found_accounts(
    connection: Connection, visible: Visible, text: str, *, most: int
) -> tuple[tuple[AccountRow, ...], bool]:
    """Accounts in view with a part of a name in any case, those with the latest incidents first, and whether there may be more."""
    part = ACCOUNT.c.account.contains(text.lower(), autoescape=True)
    named = select(ACCOUNT.c.account, ACCOUNT.c.incidents).where(part, ACCOUNT.c.incidents > 0)
    some = named.order_by(ACCOUNT.c.account).limit(LOOKED_AT + 1).subquery()
    dated = select(
        some.c.account, some.c.incidents, _latest(INCIDENT.c.opened_ms, some, visible).label("at")
    ).subquery()
    query = select(dated.c.account, dated.c.incidents, _latest(INCIDENT.c.id, dated, visible), dated.c.at)
    shown = query.where(dated.c.at.is_not(None)).order_by(dated.c.at.desc(), dated.c.account).limit(most + 1)
    found = [AccountRow(*row) for row in connection.execute(shown)]
    looked_at = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return tuple(found[:most]), looked_at > LOOKED_AT or len(found) > most


def _latest(column: ColumnElement[Any], accounts: Subquery, visible: Visible) -> ScalarSelect[Any]:
    """A column of each account's latest incident in view: a look into an index per account, whatever else is there."""
    c = INCIDENT.c
    own = select(column).where(c.account == accounts.c.account, visible.domain(c.domain, indexed=False))
    return own.order_by(c.opened_ms.desc(), c.id.desc()).limit(1).scalar_subquery()
