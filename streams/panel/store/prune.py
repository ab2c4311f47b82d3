"""Forgetting what the topics have forgotten, so that the database does not grow for ever."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from streams.panel.store.store import Store
from streams.panel.store.tables import ACCOUNT, BLOCK, DEED, DOMAIN, HOURLY, INCIDENT, INCIDENT_RECORD, NETWORK, REVIEW
from streams.panel.store.wanted import NOT_REVIEWED
from streams.topology import DAY_MS, INCIDENTS

AT_ONCE = 500
KEEP_DEEDS_MS = 400 * DAY_MS
"""The audit: a year and some, so that the same month of last year can be looked up."""


def prune(store: Store, now_ms: int) -> None:
    """
    Delete incidents, and all that belongs to that time, older than the topic `incidents` keeps them; and old deeds.

    In small transactions: other writers wait for none of them long.
    """
    before_ms = now_ms - (INCIDENTS.retention_ms or 0)
    while _some_incidents(store, before_ms):
        pass
    with store.writing() as connection:
        connection.execute(delete(NETWORK).where(NETWORK.c.last_ms < before_ms))
        connection.execute(delete(REVIEW).where(REVIEW.c.time_ms < before_ms))
        connection.execute(delete(BLOCK).where(BLOCK.c.ends_ms < before_ms))
        connection.execute(delete(HOURLY).where(HOURLY.c.hour_ms < before_ms))
        connection.execute(delete(DEED).where(DEED.c.time_ms < now_ms - KEEP_DEEDS_MS))
        connection.execute(delete(ACCOUNT).where(ACCOUNT.c.incidents <= 0))


def _some_incidents(store: Store, before_ms: int) -> bool:
    """Delete the oldest incidents and take them off the counts; False when none are left to delete."""
    c = INCIDENT.c
    query = select(c.id, c.account, c.domain, c.verdict).where(c.revised_ms < before_ms, c.opened_ms < before_ms)
    with store.writing() as connection:
        rows = connection.execute(query.order_by(c.opened_ms, c.id).limit(AT_ONCE)).all()
        ids = [row.id for row in rows]
        connection.execute(delete(INCIDENT).where(c.id.in_(ids)))
        connection.execute(delete(INCIDENT_RECORD).where(INCIDENT_RECORD.c.id.in_(ids)))
        _discount(connection, rows)
    return bool(rows)


def _discount(connection: Connection, rows: Sequence[Any]) -> None:
    incidents = Counter(row.domain for row in rows)
    unreviewed = Counter(row.domain for row in rows if row.verdict == NOT_REVIEWED)
    accounts = Counter(row.account for row in rows)
    d, a = DOMAIN.c, ACCOUNT.c
    if rows:
        less = {"incidents": d.incidents - bindparam("fewer"), "unreviewed": d.unreviewed - bindparam("open")}
        connection.execute(
            update(DOMAIN).where(d.domain == bindparam("which")).values(less),
            [{"which": name, "fewer": number, "open": unreviewed[name]} for name, number in incidents.items()],
        )
        connection.execute(
            update(ACCOUNT).where(a.account == bindparam("which")).values(incidents=a.incidents - bindparam("fewer")),
            [{"which": name, "fewer": number} for name, number in accounts.items()],
        )
