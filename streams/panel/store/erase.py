"""
Forgetting one account in the panel's database, for a data-protection request.

Decision: rows that are deleted would come again from the topics, which keep their records for their retention: where this
database is behind them, which it always is by the erasing's own records, or when its read model is built anew. So it
remembers, under a digest of the name, until when the account is erased, and passes over what was told of it until then.
What is told later makes rows as that of any other account.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, or_, select, update

from streams.panel.store import rows
from streams.panel.store.progress import offsets
from streams.panel.store.reading import RULES, Item
from streams.panel.store.store import Store
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DEED,
    DOMAIN,
    ERASED,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    POLICY,
    REVIEW,
    SAFE_NETWORK,
    SPELLING,
)
from streams.panel.store.wanted import NOT_REVIEWED
from streams.panel.store.writes import matching, upsert
from streams.topology import BLOCKS, DOMAINS, SAFE_NETWORKS


def erase_account(store: Store, account: str, until_ms: int) -> int:
    """
    Delete every row about a canonical account, the audit's included; returns how many. Sums by domain follow.

    Records of it up to `until_ms` (Kafka's time) make no rows any more, whenever they are read.
    """
    scope = f"account:{account}"
    with store.writing() as connection:
        offsets(connection, lock=True)  # a follower writes no batch that it began before this
        upsert(connection, ERASED, [{"whose": _digest(account), "time_ms": until_ms}])
        gone = _incidents(connection, account)
        for table in (NETWORK, BLOCK, REVIEW, ACCOUNT):
            gone += connection.execute(delete(table).where(table.c.account == account)).rowcount
        for table in (POLICY, SAFE_NETWORK):
            gone += connection.execute(delete(table).where(table.c.scope == scope)).rowcount
        spelled = or_(SPELLING.c.key == scope, SPELLING.c.key.startswith(f"{scope} ", autoescape=True))
        gone += connection.execute(delete(SPELLING).where(spelled)).rowcount
        of_deeds = or_(DEED.c.account == account, DEED.c.scope == scope)
        return int(gone + connection.execute(delete(DEED).where(of_deeds)).rowcount)


def without_erased(connection: Connection, items: Sequence[Item]) -> Sequence[Item]:
    """The items that are not about an account which was erased after they were told."""
    if connection.execute(select(ERASED.c.whose).limit(1)).first() is None:
        return items
    digests = {account: _digest(account) for item in items if (account := _account(item))}
    query = select(ERASED.c.whose, ERASED.c.time_ms)
    erased = {row.whose: row.time_ms for row in matching(connection, query, ERASED.c.whose, digests.values())}
    until = {account: erased[digest] for account, digest in digests.items() if digest in erased}
    return [item for item in items if not _is_erased(item, until)] if until else items


def _incidents(connection: Connection, account: str) -> int:
    """Delete the incidents with their records, and take them off the sums of their domain."""
    mine = INCIDENT.c.account == account
    found = connection.execute(select(INCIDENT.c.domain, INCIDENT.c.verdict).where(mine)).all()
    unreviewed = Counter(row.domain for row in found if row.verdict == NOT_REVIEWED)
    for domain, number in Counter(row.domain for row in found).items():
        less = {"incidents": DOMAIN.c.incidents - number, "unreviewed": DOMAIN.c.unreviewed - unreviewed[domain]}
        connection.execute(update(DOMAIN).where(DOMAIN.c.domain == domain).values(less))
    ids = select(INCIDENT.c.id).where(mine)
    gone = connection.execute(delete(INCIDENT_RECORD).where(INCIDENT_RECORD.c.id.in_(ids))).rowcount
    return int(gone + connection.execute(delete(INCIDENT).where(mine)).rowcount)


def _account(item: Item) -> str:
    """Which account an item is about; empty = not about one."""
    if item.topic not in RULES:
        return item.key
    scope = item.key.rpartition(" ")[0] if item.topic == SAFE_NETWORKS.name else item.key
    return "" if item.topic == DOMAINS.name else rows.placed(scope).account


def _is_erased(item: Item, until: Mapping[str, int]) -> bool:
    until_ms = until.get(_account(item))
    if until_ms is None:
        return False
    value = item.value or {}
    # the order to forget lifts a block, which the worker may come to say only later
    lifted = item.topic == BLOCKS.name and value["state"] == "open" and value["until"] <= until_ms
    return lifted or item.time_ms <= until_ms


def _digest(account: str) -> str:
    return hashlib.blake2b(account.encode(), digest_size=16).hexdigest()
