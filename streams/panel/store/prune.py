"""Forgetting what the topics have forgotten, so that the database does not grow for ever."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from streams.panel.store.store import Store
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DEED,
    DOMAIN,
    ERASED,
    HOURLY,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    REVIEW,
)
from streams.panel.store.wanted import NOT_REVIEWED
from streams.topology import BLOCKS, BY_NAME, DAY_MS, INCIDENTS, REVIEWS, Topic

AT_ONCE = 500
KEEP_DEEDS_MS = 400 * DAY_MS
"""The audit: a year and some, so that the same month of last year can be looked up."""


def prune(store: Store, now_ms: int, topics: Mapping[str, Topic] = BY_NAME) -> None:
    """
    Delete incidents, and all that belongs to that time, older than the topic `incidents` keeps them; and old deeds.

    `topics` are those of the settings (`retention_days`). Reviews and blocks belong to their incidents, unless an operator
    has set how long their own topics are kept.

    In small transactions: other writers wait for none of them long.
    """
    before_ms = now_ms - _kept_ms(topics, INCIDENTS)
    while _some_incidents(store, before_ms):
        pass
    with store.writing() as connection:
        connection.execute(delete(NETWORK).where(NETWORK.c.last_ms < before_ms))
        connection.execute(delete(REVIEW).where(REVIEW.c.time_ms < now_ms - _kept_ms(topics, REVIEWS)))
        _blocks(connection, now_ms - _kept_ms(topics, BLOCKS))
        connection.execute(delete(HOURLY).where(HOURLY.c.hour_ms < before_ms))
        connection.execute(delete(DEED).where(DEED.c.time_ms < now_ms - KEEP_DEEDS_MS))
        connection.execute(delete(ERASED).where(ERASED.c.time_ms < now_ms - _longest_ms(topics)))
        connection.execute(delete(ACCOUNT).where(ACCOUNT.c.incidents <= 0, ACCOUNT.c.blocks <= 0))


def _kept_ms(topics: Mapping[str, Topic], topic: Topic) -> int:
    """How long the rows of a topic are kept, in milliseconds."""
    own = topics[topic.name]
    return (own if own.retention_is_set else topics[INCIDENTS.name]).retention_ms or 0


def _longest_ms(topics: Mapping[str, Topic]) -> int:
    """How long something told may still be read, or kept."""
    return max(KEEP_DEEDS_MS, *(topic.retention_ms or 0 for topic in topics.values()))


def _blocks(connection: Connection, before_ms: int) -> None:
    """Delete the blocks that ended before, and take them off the counts."""
    over = BLOCK.c.ends_ms < before_ms
    counted = select(BLOCK.c.account, func.count()).where(over).group_by(BLOCK.c.account)
    _less(connection, "blocks", {account: number for account, number in connection.execute(counted)})  # noqa: C416
    connection.execute(delete(BLOCK).where(over))


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
    less = {
        "incidents": DOMAIN.c.incidents - bindparam("fewer"),
        "unreviewed": DOMAIN.c.unreviewed - bindparam("open"),
    }
    if rows:
        connection.execute(
            update(DOMAIN).where(DOMAIN.c.domain == bindparam("which")).values(less),
            [{"which": name, "fewer": number, "open": unreviewed[name]} for name, number in incidents.items()],
        )
    _less(connection, "incidents", Counter(row.account for row in rows))


def _less(connection: Connection, what: str, accounts: Mapping[str, int]) -> None:
    """Take numbers off one of the counts by account."""
    if accounts:
        connection.execute(
            update(ACCOUNT)
            .where(ACCOUNT.c.account == bindparam("which"))
            .values({what: ACCOUNT.c[what] - bindparam("fewer")}),
            [{"which": name, "fewer": number} for name, number in accounts.items()],
        )
