"""
A database as the follower would have left it after 90 days, made in a minute instead of in an hour.

Rows come from the code that the follower makes them with; they are copied in without the secondary indexes, which are made
at the end.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from sqlalchemy import Connection

from streams.panel.store import Store, rows
from streams.panel.store.engine import is_sqlite
from streams.panel.store.packing import packed
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DEED,
    DOMAIN,
    HOURLY,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    POLICY,
    REVIEW,
    SAFE_NETWORK,
    SUMMARY,
)
from streams.panel.store.writes import insert_new
from tests.panel.store.population import DAY_MS, HOUR_MS, START_MS, Population

CHUNK = 50_000
CACHE = "PRAGMA cache_size = -1000000"
"""SQLite, for the connection that fills: so that ids, which come in no order, are written once."""
DAYS = 90
NOW_MS = START_MS + DAYS * DAY_MS
TEMPLATES = 500
SAFE_NETWORKS = 2_000
RARE_EVERY = 50_000
"""Every so many incidents one has a sentence that few others have, so that a filter leaves no more than these."""
RARE_TEXT = "47 networks"
HELP = "help@example.org"
VERDICTS = ("compromised", "compromised", "mobile", "travelling", "other")
TABLES = (
    INCIDENT,
    INCIDENT_RECORD,
    BLOCK,
    REVIEW,
    DEED,
    DOMAIN,
    ACCOUNT,
    HOURLY,
    SUMMARY,
    NETWORK,
    POLICY,
    SAFE_NETWORK,
)
BY_NAME = {table.name: table for table in TABLES}
Row = dict[str, Any]
Made = Iterator[tuple[str, Row]]


def fill(store: Store, population: Population, number: int) -> None:
    """Incidents of 90 days, a fifth reviewed, with blocks, networks, rules, deeds and counts."""
    indexes = [index for table in TABLES for index in table.indexes]
    with store.writing() as connection:
        for index in indexes:
            index.drop(connection)
    made: dict[str, list[Row]] = {table.name: [] for table in TABLES}
    for table, row in _everything(population, number):
        made[table].append(row)
        if len(made[table]) >= CHUNK:
            _copy(store, table, made[table])
            made[table] = []
    for table, left in made.items():
        _copy(store, table, left)
    with store.writing() as connection:
        for index in indexes:
            index.create(connection)
    store.engine.dispose()
    if not is_sqlite(store.engine):
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _copy(store: Store, table: str, made: list[Row]) -> None:
    if not made:
        return
    with store.writing() as connection:
        if is_sqlite(connection):
            connection.exec_driver_sql(CACHE)
            insert_new(connection, BY_NAME[table], made)
        else:
            _copy_in(connection, table, made)


def _copy_in(connection: Connection, table: str, made: list[Row]) -> None:
    names = list(made[0])
    columns = ", ".join(f'"{name}"' for name in names)
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(f'COPY "{table}" ({columns}) FROM STDIN') as copy:
        for row in made:
            copy.write_row([row[name] for name in names])


def _everything(population: Population, number: int) -> Made:
    counts = Counts()
    for table, row in _incidents(population, number):
        counts.add(table, row)
        yield table, row
    yield from counts.rows(population)
    yield from _networks(population)
    yield from _rules(population)


def _incidents(population: Population, number: int) -> Made:
    draw = Random(1)
    templates = [population.incident()[0] for _ in range(TEMPLATES)]
    known = [(rows.incident_row(record), packed(record)) for record in templates]
    for at in range(number):
        template, body = known[draw.randrange(TEMPLATES)]
        account = population.accounts[int(len(population.accounts) * draw.random())]
        opened = START_MS + at * DAYS * DAY_MS // number
        verdict = draw.choice(VERDICTS) if draw.random() < 0.2 else ""
        identity = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        blocked = opened + 24 * HOUR_MS if template["blocked_until_ms"] else 0
        row = {
            **template,
            "id": identity,
            "account": account,
            "domain": account.rpartition("@")[2],
            "opened_ms": opened,
            "revised_ms": opened,
            "blocked_until_ms": blocked,
            "lasts_until_ms": blocked or opened + HOUR_MS,
            "verdict": verdict,
            "reviewed_ms": opened if verdict else None,
            "reviewer": HELP if verdict else "",
        }
        if at % RARE_EVERY == 0:
            row["summary"] = f"{RARE_TEXT} > 4 allowed within 60 minutes"
        yield "incident", row
        yield "incident_record", {"id": identity, "record": body}
        yield from _what_follows(row)


def _what_follows(row: Row) -> Made:
    """The block of an incident, and its review."""
    identity, account, opened = row["id"], row["account"], row["opened_ms"]
    if row["blocked_until_ms"]:
        yield (
            "block",
            rows.block_row(
                {
                    "id": identity,
                    "account": account,
                    "state": "blocked",
                    "from": opened,
                    "until": row["blocked_until_ms"],
                    "reason": row["summary"],
                    "incident": identity,
                    "actor": "loginwatch",
                    "except_networks": [],
                }
            ),
        )
    if row["verdict"]:
        review = {"id": identity, "incident": identity, "account": account, "time": opened, "verdict": row["verdict"]}
        yield "review", rows.review_row({**review, "note": "", "actor": HELP}, opened)
        yield "deed", _deed(identity, "incident.review", f"account:{account}", account, opened)


def _deed(identity: str, action: str, scope: str, account: str, time_ms: int) -> Row:
    whose = rows.placed(scope)
    return {
        "id": identity,
        "time_ms": time_ms,
        "actor": HELP,
        "action": action,
        "scope": scope,
        "account": account,
        "domain": whose.domain,
        "group": whose.group,
        "subject": identity,
        "reason": "",
        "before": None,
        "after": None,
        "address": "",
    }


class Counts:
    """What the follower counts while it writes."""

    def __init__(self) -> None:
        self._domains: Counter[str] = Counter()
        self._unreviewed: Counter[str] = Counter()
        self._incidents: Counter[str] = Counter()
        self._blocks: Counter[str] = Counter()
        self._hours: dict[str, Counter[tuple[int, str]]] = {"incident": Counter(), "block": Counter()}
        self._sentences: set[str] = set()

    def add(self, table: str, row: Row) -> None:
        """Count a row of any table."""
        if table not in self._hours:
            return
        account, domain = row["account"], row["domain"]
        hour = row["opened_ms" if table == "incident" else "from_ms"] // HOUR_MS * HOUR_MS
        self._hours[table][hour, domain] += 1
        self._hours[table][hour, ""] += 1
        if table == "block":
            self._blocks[account] += 1
            return
        self._incidents[account] += 1
        self._domains[domain] += 1
        self._unreviewed[domain] += not row["verdict"]
        self._sentences.add(row["summary"])

    def rows(self, population: Population) -> Made:
        """The rows of all counts."""
        for number, domain in enumerate(population.domains):
            counted = {"incidents": self._domains[domain], "unreviewed": self._unreviewed[domain]}
            yield "domain", {"domain": domain, "group": population.group_of(number) or "", "declared": True, **counted}
        for account, number in self._incidents.items():
            yield "account", {"account": account, "incidents": number, "blocks": self._blocks[account]}
        incidents, blocks = self._hours["incident"], self._hours["block"]
        for hour, domain in incidents:
            counted = {"incidents": incidents[hour, domain], "blocks": blocks[hour, domain]}
            yield "hourly", {"hour_ms": hour, "domain": domain, "logins": 0, **counted}
        for sentence in self._sentences:
            yield "summary", {"summary": sentence}


def _networks(population: Population) -> Made:
    for account in population.accounts:
        found = (rows.network_row(account, population.network(NOW_MS)) for _ in range(5))
        for row in {(row["start"], row["prefix"]): row for row in found}.values():
            yield "network", row


def _rules(population: Population) -> Made:
    """A policy of each domain, and safe networks of many accounts."""
    for number, domain in enumerate(population.domains):
        scope = f"domain:{domain}"
        yield "policy", rows.policy_row(scope, population.policy(scope))
        yield "deed", _deed(f"policy-{number}", "policy.set", scope, "", START_MS + number)
    for number in range(SAFE_NETWORKS):
        scope = f"account:{population.accounts[number % len(population.accounts)]}"
        record = {"description": f"office {number}", "actor": HELP, "time": START_MS + number, "expires": None}
        yield "safe_network", rows.safe_network_row(scope, f"203.0.{number // 256}.{number % 256}/32", record)
