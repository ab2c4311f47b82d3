"""Forgetting one account in the panel's database, for a data-protection request."""

from collections import Counter

from sqlalchemy import delete, or_, select, update

from streams.panel.store.store import Store
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DEED,
    DOMAIN,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    POLICY,
    REVIEW,
    SAFE_NETWORK,
)
from streams.panel.store.wanted import NOT_REVIEWED


def erase_account(store: Store, account: str) -> int:
    """
    Delete every row about a canonical account, the audit's included; returns how many. Sums by domain follow.

    What a topic still holds of it comes back when the read model is rebuilt before the topic's retention has ended.
    """
    scope = f"account:{account}"
    mine = INCIDENT.c.account == account
    with store.writing() as connection:
        rows = connection.execute(select(INCIDENT.c.domain, INCIDENT.c.verdict).where(mine)).all()
        unreviewed = Counter(row.domain for row in rows if row.verdict == NOT_REVIEWED)
        for domain, number in Counter(row.domain for row in rows).items():
            less = {
                "incidents": DOMAIN.c.incidents - number,
                "unreviewed": DOMAIN.c.unreviewed - unreviewed[domain],
            }
            connection.execute(update(DOMAIN).where(DOMAIN.c.domain == domain).values(less))
        ids = select(INCIDENT.c.id).where(mine)
        gone = connection.execute(delete(INCIDENT_RECORD).where(INCIDENT_RECORD.c.id.in_(ids))).rowcount
        for table in (INCIDENT, NETWORK, BLOCK, REVIEW, ACCOUNT):
            gone += connection.execute(delete(table).where(table.c.account == account)).rowcount
        for table in (POLICY, SAFE_NETWORK):
            gone += connection.execute(delete(table).where(table.c.scope == scope)).rowcount
        of_deeds = or_(DEED.c.account == account, DEED.c.scope == scope)
        return int(gone + connection.execute(delete(DEED).where(of_deeds)).rowcount)
