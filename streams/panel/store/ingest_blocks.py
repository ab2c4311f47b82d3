"""Blocks as they are read: a row each, with the end that it really has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from streams.panel.store import rows
from streams.panel.store.activity import HOUR_MS, TOGETHER
from streams.panel.store.tables import ACCOUNT, BLOCK, HOURLY
from streams.panel.store.writes import add, matching, upsert

Row = dict[str, Any]


@dataclass
class Blocked:
    """Whose state a batch of blocks changed: incidents by id, and for each account since when."""

    incidents: set[str] = field(default_factory=set)
    accounts: dict[str, int] = field(default_factory=dict)


def write_blocks(connection: Connection, records: Sequence[Row]) -> Blocked:
    """Write records of `blocks`, in their order. A new block of an account ends the one before; `open` lifts it."""
    blocked = Blocked()
    if not records:
        return blocked
    by_account = _known(connection, records)
    known = {block for own in by_account.values() for block in own}
    changed: dict[str, Row] = {}
    for record in records:
        account = record["account"]
        changed.update((row["id"], row) for row in _apply(by_account.setdefault(account, {}), record))
        blocked.accounts[account] = min(record["from"], blocked.accounts.get(account, record["from"]))
    blocked.incidents.update(row["incident"] for row in changed.values() if row["incident"] is not None)
    upsert(connection, BLOCK, list(changed.values()))
    _count(connection, [row for block, row in changed.items() if block not in known])
    return blocked


def _count(connection: Connection, new: Sequence[Row]) -> None:
    """Keep the counts by account and hour."""
    accounts = Counter(row["account"] for row in new)
    counted = [{"account": account, "incidents": 0, "blocks": number} for account, number in sorted(accounts.items())]
    add(connection, ACCOUNT, counted, numbers=("blocks",))
    started = ((row["from_ms"], row["domain"]) for row in new)
    add(connection, HOURLY, hourly_rows(started, "blocks"), numbers=("blocks",))


def _apply(own: dict[str, Row], record: Row) -> Iterable[Row]:
    """What one record makes of the blocks of its account: the rows that are new or changed."""
    row = own.get(record["id"])
    if record["state"] == "open" and row is not None:
        row.update(ends_ms=record["until"], lifted_by=record["actor"], lifted_reason=record["reason"])
        yield row
        return
    for other in own.values():
        if other["id"] != record["id"] and other["ends_ms"] > record["from"]:
            other["ends_ms"] = max(record["from"], other["from_ms"])
            yield other
    own[record["id"]] = row = rows.block_row(record)
    yield row


def _known(connection: Connection, records: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """By account, the rows that these records can change: the same blocks, and those that end after the first begins."""
    since = min(record["from"] for record in records)
    in_force = select(BLOCK).where(BLOCK.c.ends_ms > since)
    found = [
        *matching(connection, in_force, BLOCK.c.account, {record["account"] for record in records}),
        *matching(connection, select(BLOCK), BLOCK.c.id, {record["id"] for record in records}),
    ]
    by_account: dict[str, dict[str, Row]] = {}
    for row in found:
        by_account.setdefault(row.account, {})[row.id] = row._asdict()
    return by_account


def hourly_rows(events: Iterable[tuple[int, str]], what: str) -> list[Row]:
    """The rows of `hourly` for events of a time and a domain: one for the domain and one for all together."""
    counted: Counter[tuple[int, str]] = Counter()
    for time_ms, domain in events:
        hour = time_ms // HOUR_MS * HOUR_MS
        counted[hour, domain] += 1
        counted[hour, TOGETHER] += 1
    nothing = {"logins": 0, "incidents": 0, "blocks": 0}
    return [
        {"hour_ms": hour, "domain": domain, **nothing, what: number}
        for (hour, domain), number in sorted(counted.items())
    ]
