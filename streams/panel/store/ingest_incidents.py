"""
Incidents as they are read: the highest revision of each, with its verdict, the real end of its block, and its own.

Those come from other topics, which may be ahead or behind, so they are looked up whenever either side changes.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, bindparam, or_, select, update

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
NEVER_MS = 1 << 64
"""Beyond every number of a record: an end that no database can hold stays one, and its record is refused."""
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
    known = _known(connection, highest.keys() | set(reviewed), blocked, highest.values())
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


def _known(connection: Connection, ids: Iterable[str], blocked: Blocked, read: Iterable[Row]) -> dict[str, Row]:
    """
    Rows of these incidents, of those whose block changed, and of others that a new block of the account, or an incident
    that was read, has ended.
    """
    found = list(matching(connection, NEEDED, INCIDENT.c.id, {*ids, *blocked.incidents}))
    ending = [*blocked.accounts.items(), *((record["account"], record["opened"]) for record in read)]
    if ending:
        since = min(began for _, began in ending)
        goes_on = or_(INCIDENT.c.blocked_until_ms > since, INCIDENT.c.lasts_until_ms > since)
        accounts = {account for account, _ in ending}
        found.extend(matching(connection, NEEDED.where(goes_on), INCIDENT.c.account, accounts))
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

    And until when the incident lasts: its block's end or a window after its last revision, but no longer than until its
    block was cut short, or a block without it or another incident of the account began: those end an episode.
    """
    own = _own_blocks(connection, incidents)
    blocks = _beginnings(connection, BLOCK.c.from_ms, incidents.values())
    others = _beginnings(connection, INCIDENT.c.opened_ms, incidents.values())
    for incident, row in incidents.items():
        account, opened_ms = row["account"], row["opened_ms"]
        over = _first(others[account], bisect_right(others[account], opened_ms))
        if incident in own:
            end, cut_short = own[incident]
            over = min(over, end) if cut_short else over
        else:
            replaced = _first(blocks[account], bisect_left(blocks[account], opened_ms))
            end, over = min(row["blocked_until_ms"], replaced), min(over, replaced)
        row["blocked_until_ms"] = end
        row["lasts_until_ms"] = min(over, max(end, row["revised_ms"] + row["window"] * MINUTE_MS))


def _own_blocks(connection: Connection, incidents: Mapping[str, Row]) -> dict[str, tuple[int, bool]]:
    """By incident: when its block ends, and whether that is because it was lifted or replaced."""
    query = select(BLOCK.c.incident, BLOCK.c.until_ms, BLOCK.c.ends_ms, BLOCK.c.lifted_by)
    return {
        row.incident: (row.ends_ms, row.lifted_by is not None or row.ends_ms < row.until_ms)
        for row in _of(connection, query, incidents)
    }


def _beginnings(connection: Connection, began: Column[int], incidents: Collection[Row]) -> Mapping[str, list[int]]:
    """By account: when its blocks or incidents began, in order, from the first of these incidents on."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    if began.table is INCIDENT:
        for row in incidents:  # those of this batch are not written yet
            found[row["account"]].add(row["opened_ms"])
    account = began.table.c.account
    since = min((row["opened_ms"] for row in incidents), default=0)
    query = select(account, began.label("began")).where(began >= since)
    for other in matching(connection, query, account, {row["account"] for row in incidents}):
        found[other.account].add(other.began)
    return defaultdict(list, {name: sorted(times) for name, times in found.items()})


def _first(times: Sequence[int], place: int) -> int:
    return times[place] if place < len(times) else NEVER_MS


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
