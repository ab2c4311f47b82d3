"""
Incidents as they are read: the highest revision of each, with its verdict and the real end of its block.

Both of those come from other topics, which may be ahead or behind, so they are looked up whenever either side changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from streams.core.policy import MINUTE_MS
from streams.panel.store import rows
from streams.panel.store.ingest_blocks import Blocked, hourly_rows
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DOMAIN,
    HOURLY,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    REVIEW,
    SUMMARY,
)
from streams.panel.store.wanted import NOT_REVIEWED
from streams.panel.store.writes import add, insert_new, matching, upsert

Row = dict[str, Any]
FROM_ELSEWHERE = ("verdict", "reviewed_ms", "reviewer", "blocked_until_ms", "lasts_until_ms")
NEEDED = select(
    *(INCIDENT.c[name] for name in ("id", "revision", "account", "domain", "opened_ms", "revised_ms", "window")),
    *(INCIDENT.c[name] for name in FROM_ELSEWHERE),
)


def write_incidents(connection: Connection, records: Sequence[Row], reviewed: Iterable[str], blocked: Blocked) -> bool:
    """
    Write records of `incidents`, and what reviews and blocks of the same batch change at others. Whether any changed.

    Call it after those reviews and blocks are written.
    """
    highest: dict[str, Row] = {}
    for record in records:
        if record["id"] not in highest or record["revision"] >= highest[record["id"]]["revision"]:
            highest[record["id"]] = record
    known = _known(connection, highest.keys() | set(reviewed), blocked)
    newer = {
        incident: record
        for incident, record in highest.items()
        if incident not in known or record["revision"] > known[incident]["revision"]
    }
    now = {incident: dict(row) for incident, row in known.items() if incident not in newer}
    now |= {incident: rows.incident_row(record) for incident, record in newer.items()}
    _set_verdicts(connection, now)
    _set_ends(connection, now)
    upsert(connection, INCIDENT, [now[incident] for incident in newer])
    upsert(connection, INCIDENT_RECORD, [rows.incident_record_row(record) for record in newer.values()])
    _update(connection, [row for incident, row in now.items() if incident not in newer and row != known[incident]])
    _count(connection, known, now)
    _write_evidence(connection, records)
    return any(row != known.get(incident) for incident, row in now.items())


def _known(connection: Connection, ids: Iterable[str], blocked: Blocked) -> dict[str, Row]:
    """Rows of these incidents, of those whose block changed, and of others that a new block of the account has ended."""
    found = list(matching(connection, NEEDED, INCIDENT.c.id, {*ids, *blocked.incidents}))
    if blocked.accounts:
        since = min(blocked.accounts.values())
        found.extend(
            matching(
                connection, NEEDED.where(INCIDENT.c.blocked_until_ms > since), INCIDENT.c.account, blocked.accounts
            )
        )
    return {row.id: row._asdict() for row in found}


def _set_verdicts(connection: Connection, incidents: Mapping[str, Row]) -> None:
    """The last review of each, by its place on the topic."""
    query = select(REVIEW.c.incident, REVIEW.c.offset, REVIEW.c.verdict, REVIEW.c.time_ms, REVIEW.c.actor)
    last = {row.incident: row for row in sorted(_of(connection, query, incidents), key=lambda row: row.offset)}
    for incident, row in incidents.items():
        review = last.get(incident)
        row["verdict"] = NOT_REVIEWED if review is None else review.verdict
        row["reviewed_ms"] = None if review is None else review.time_ms
        row["reviewer"] = "" if review is None else review.actor


def _of(connection: Connection, query: Any, incidents: Mapping[str, Row]) -> Iterable[Any]:
    return matching(connection, query, query.selected_columns.incident, incidents)


def _set_ends(connection: Connection, incidents: Mapping[str, Row]) -> None:
    """
    The real end of each incident's block: what `blocks` says of it; where that says nothing (it was not read yet, or
    compaction has removed it), what the incident says, or the beginning of a later block of the account.
    """
    ends = {row.incident: row.ends_ms for row in _of(connection, select(BLOCK.c.incident, BLOCK.c.ends_ms), incidents)}
    latest = _latest_starts(connection, incidents.values())
    for incident, row in incidents.items():
        end = ends.get(incident)
        if end is None:
            end = row["blocked_until_ms"]
            later = latest.get(row["account"])
            if later is not None and later >= row["opened_ms"]:
                end = min(end, later)
        row["blocked_until_ms"] = end
        row["lasts_until_ms"] = max(end, row["revised_ms"] + row["window"] * MINUTE_MS)


def _latest_starts(connection: Connection, incidents: Iterable[Row]) -> dict[str, int]:
    """When the last block of each account began."""
    query = select(BLOCK.c.account, func.max(BLOCK.c.from_ms).label("from_ms")).group_by(BLOCK.c.account)
    found = matching(connection, query, BLOCK.c.account, {row["account"] for row in incidents})
    return {row.account: row.from_ms for row in found}


def _update(connection: Connection, changed: Sequence[Row]) -> None:
    if not changed:
        return
    statement = (
        update(INCIDENT)
        .where(INCIDENT.c.id == bindparam("which"))
        .values({name: bindparam(f"new_{name}") for name in FROM_ELSEWHERE})
    )
    connection.execute(
        statement, [{"which": row["id"], **{f"new_{name}": row[name] for name in FROM_ELSEWHERE}} for row in changed]
    )


def _count(connection: Connection, known: Mapping[str, Row], now: Mapping[str, Row]) -> None:
    """Keep the counts by domain, account and hour."""
    new = [row for incident, row in now.items() if incident not in known]
    incidents = Counter(row["domain"] for row in new)
    unreviewed: Counter[str] = Counter()
    for incident, row in now.items():
        before = incident in known and known[incident]["verdict"] == NOT_REVIEWED
        unreviewed[row["domain"]] += (row["verdict"] == NOT_REVIEWED) - before
    domains = [
        {
            "domain": domain,
            "group": "",
            "declared": False,
            "incidents": incidents[domain],
            "unreviewed": unreviewed[domain],
        }
        for domain in sorted(incidents.keys() | unreviewed.keys())
        if incidents[domain] or unreviewed[domain]
    ]
    accounts = Counter(row["account"] for row in new)
    add(connection, DOMAIN, domains, numbers=("incidents", "unreviewed"))
    add(
        connection,
        ACCOUNT,
        [{"account": account, "incidents": number, "blocks": 0} for account, number in sorted(accounts.items())],
        numbers=("incidents",),
    )
    opened = ((row["opened_ms"], row["domain"]) for row in new)
    add(connection, HOURLY, hourly_rows(opened, "incidents"), numbers=("incidents",))


def _write_evidence(connection: Connection, records: Sequence[Row]) -> None:
    """
    Networks and sentences. Of every revision, not only the highest: one that was let go meanwhile is in none but earlier
    ones, and what is kept must not depend on which came in one batch.
    """
    last: dict[tuple[str, str], Row] = {}
    for record in records:
        account = record["account"]
        for network in record["networks"]:
            key = account, network["network"]
            last.pop(key, None)  # so that the order is the one in which each was told last
            last[key] = network
    made = (rows.network_row(account, network) for (account, _), network in last.items())
    upsert(connection, NETWORK, list({(row["start"], row["prefix"], row["account"]): row for row in made}.values()))
    sentences = sorted({record["summary"] for record in records})
    insert_new(connection, SUMMARY, [{"summary": sentence} for sentence in sentences])
