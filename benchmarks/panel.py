"""
The panel's store: how fast it takes in incident revisions, and what each list costs with a million incidents in it.

On SQLite and, where it is installed, on a PostgreSQL of its own with its defaults. The database is filled with rows like
those that the follower writes; then revisions are taken in on top of it, through the code that the follower calls, and
each query of each page is timed for readers with everything, with a group, and with one domain. A query's figure is the
time until its rows are in Python: the median and the slowest of several rounds.
"""

import argparse
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from sqlalchemy import Connection

from streams.panel.store import EVERYTHING, Store, Visible, activity, audit, blocks, incidents, ingest, rows, rules
from streams.panel.store.incidents import Wanted
from streams.panel.store.packing import packed
from streams.panel.store.progress import raise_numbers
from streams.panel.store.tables import (
    ACCOUNT,
    BLOCK,
    DEED,
    DOMAIN,
    HOURLY,
    INCIDENT,
    INCIDENT_RECORD,
    NETWORK,
    REVIEW,
    SUMMARY,
)
from streams.panel.store.writes import insert_new
from tests.panel.store.feeding import batches, items
from tests.panel.store.population import DAY_MS, HOUR_MS, START_MS, Population
from tests.panel.store.postgres_server import PostgresServer, binaries

CHUNK = 5_000
DAYS = 90
NOW_MS = START_MS + DAYS * DAY_MS
Rows = list[dict[str, Any]]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Figures by database."""
    found = {}
    folder = Path(tempfile.mkdtemp(prefix="loginwatch-bench-"))
    try:
        found["SQLite"] = measured(str(folder / "panel.sqlite"), options)
    finally:
        shutil.rmtree(folder)
    if binaries() is not None:
        with PostgresServer(("-c", "shared_buffers=512MB")) as server:
            found["PostgreSQL"] = measured(server.database(), options)
    return found


def measured(database: str, options: argparse.Namespace) -> dict[str, Any]:
    """Fill, take in, ask."""
    with Store(database) as store:
        population = Population(options.seed, domains=options.domains, accounts=options.accounts, days=DAYS)
        began = time.monotonic()
        fill(store, population, options.incidents)
        filled_s = time.monotonic() - began
        taken_in = take_in(store, Population(options.seed + 1, accounts=options.accounts, domains=options.domains))
        return {
            "fill_s": round(filled_s),
            "revisions_per_s": taken_in,
            "queries": ask(store, population, options.rounds),
        }


def take_in(store: Store, population: Population, number: int = 10_000) -> dict[str, int]:
    """Revisions per second, of wall clock and of CPU of this process: three of each incident, as the follower has them."""
    told = [
        ("incidents", revision["account"], revision)
        for at in range(number // 3)
        for revision in population.incident(opened_ms=NOW_MS + at * 1000, revisions=3)
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    for some in batches(items(told), 2_000):  # encoded here too, which the follower does not pay
        with store.writing() as connection:
            raise_numbers(connection, ingest.write(connection, some))
    return {
        "wall": round(len(told) / (time.perf_counter() - wall)),
        "cpu": round(len(told) / (time.process_time() - cpu)),
    }


def fill(store: Store, population: Population, number: int) -> None:
    """A million incidents of 90 days, a fifth reviewed, with blocks, networks, deeds and counts."""
    draw = Random(1)
    templates = [population.incident()[0] for _ in range(500)]
    bodies = [packed(record) for record in templates]
    counts: dict[str, Counter[Any]] = {"domain": Counter(), "open": Counter(), "account": Counter(), "hour": Counter()}
    made: dict[str, Rows] = {}
    for at in range(number):
        n = draw.randrange(len(templates))
        template = templates[n]
        account = population.accounts[int(len(population.accounts) * draw.random())]
        opened = START_MS + at * DAYS * DAY_MS // number
        for table, row in _incident_rows(draw, template, bodies[n], account, opened):
            made.setdefault(table, []).append(row)
        _count(counts, made["incident"][-1])
        if len(made["incident"]) >= CHUNK:
            _insert(store, made)
            made = {}
    _insert(store, made)
    _insert(store, dict(_counted(population, counts)))
    _insert(store, {"network": list(_networks(population))})
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _incident_rows(
    draw: Random, template: dict[str, Any], body: bytes, account: str, opened: int
) -> Iterator[tuple[str, Any]]:
    identity = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    blocked = None if template["blocked_until"] is None else opened + 24 * HOUR_MS
    record = {
        **template,
        "id": identity,
        "account": account,
        "opened": opened,
        "revised": opened,
        "blocked_until": blocked,
    }
    reviewed = draw.random() < 0.2
    verdict = draw.choice(("compromised", "compromised", "mobile", "travelling", "other")) if reviewed else ""
    row = {**rows.incident_row(record), "verdict": verdict, "reviewed_ms": opened if reviewed else None, "reviewer": ""}
    yield "incident", row
    yield "record", {"id": identity, "record": body}
    if blocked is not None:
        yield "block", rows.block_row(_block(record, blocked))
    if reviewed:
        review = {"id": identity, "incident": identity, "account": account, "time": opened, "verdict": verdict}
        yield "review", rows.review_row({**review, "note": "", "actor": "help@example.org"}, opened)
        yield "deed", _deed(identity, account, opened)


def _block(record: dict[str, Any], until: int) -> dict[str, Any]:
    return {
        "id": record["id"],
        "account": record["account"],
        "state": "blocked",
        "from": record["opened"],
        "until": until,
        "reason": record["summary"],
        "incident": record["id"],
        "actor": "loginwatch",
        "except_networks": [],
    }


def _deed(identity: str, account: str, time_ms: int) -> dict[str, Any]:
    return {
        "id": identity,
        "time_ms": time_ms,
        "actor": "help@example.org",
        "action": "incident.review",
        "scope": f"account:{account}",
        "account": account,
        "domain": account.rpartition("@")[2],
        "group": "",
        "subject": identity,
        "reason": "",
        "before": None,
        "after": None,
        "address": "",
    }


def _count(counts: dict[str, Counter[Any]], row: dict[str, Any]) -> None:
    counts["domain"][row["domain"]] += 1
    counts["open"][row["domain"]] += not row["verdict"]
    counts["account"][row["account"]] += 1
    hour = row["opened_ms"] // HOUR_MS * HOUR_MS
    counts["hour"][hour, row["domain"]] += 1
    counts["hour"][hour, ""] += 1


def _counted(population: Population, counts: dict[str, Counter[Any]]) -> Iterator[tuple[str, Rows]]:
    numbers = {domain: population.group_of(number) or "" for number, domain in enumerate(population.domains)}
    yield (
        "domain",
        [
            {
                "domain": domain,
                "group": group,
                "declared": True,
                "incidents": counts["domain"][domain],
                "unreviewed": counts["open"][domain],
            }
            for domain, group in numbers.items()
        ],
    )
    yield "account", [{"account": account, "incidents": number} for account, number in counts["account"].items()]
    yield (
        "hourly",
        [
            {"hour_ms": hour, "domain": domain, "logins": 0, "incidents": number, "blocks": 0}
            for (hour, domain), number in counts["hour"].items()
        ],
    )
    yield "summary", [{"summary": f"{number} networks > 3 allowed within 60 minutes"} for number in range(50)]


def _networks(population: Population) -> Iterator[dict[str, Any]]:
    for account in population.accounts:
        networks = {record["network"]: record for record in (population.network(NOW_MS) for _ in range(5))}
        yield from rows.network_rows({"account": account, "networks": list(networks.values())})


TABLES = {
    "incident": INCIDENT,
    "record": INCIDENT_RECORD,
    "block": BLOCK,
    "review": REVIEW,
    "deed": DEED,
    "domain": DOMAIN,
    "account": ACCOUNT,
    "hourly": HOURLY,
    "summary": SUMMARY,
    "network": NETWORK,
}


def _insert(store: Store, made: dict[str, Rows]) -> None:
    with store.writing() as connection:
        for name, found in made.items():
            for start in range(0, len(found), CHUNK):
                insert_new(connection, TABLES[name], found[start : start + CHUNK])


Query = Callable[[Connection, Visible], Any]


def queries(population: Population) -> dict[str, Query]:
    """What the pages ask, by what it is for."""
    account = population.accounts[len(population.accounts) // 2]

    def listed(**wanted: Any) -> Query:
        return lambda c, v: incidents.listed(c, v, Wanted(**wanted), now_ms=NOW_MS)

    def deep(c: Connection, v: Visible) -> Any:
        late = Wanted(since_ms=START_MS + 40 * DAY_MS, until_ms=START_MS + 50 * DAY_MS)
        page = incidents.listed(c, v, late, now_ms=NOW_MS)
        return incidents.listed(c, v, late, now_ms=NOW_MS, cursor=page.next)

    newest = listed()
    return {
        "home: counts": lambda c, v: incidents.counts(c, v, now_ms=NOW_MS, today_ms=NOW_MS - DAY_MS),
        "home: plot of 7 days": lambda c, v: activity.hourly(c, v, since_ms=NOW_MS - 7 * DAY_MS, until_ms=NOW_MS),
        "banner": incidents.unreviewed,
        "incidents, newest": newest,
        "incidents, likeliest": listed(sort="likeliest"),
        "incidents, in the middle": deep,
        "incidents, unreviewed": listed(status="unreviewed"),
        "incidents, unreviewed, likeliest": listed(status="unreviewed", sort="likeliest"),
        "incidents, blocked": listed(status="blocked", sort="likeliest"),
        "incidents, observed": listed(status="observed"),
        "incidents, reviewed as travelling": listed(status="reviewed:travelling", sort="likeliest"),
        "incidents, rule countries": listed(rule="countries", sort="likeliest"),
        "incidents of a small domain": listed(domain=population.domains[-1], sort="likeliest"),
        "incidents of a group": listed(group="reseller-1", sort="likeliest"),
        "incidents, text in a few accounts": listed(text=account[:8]),
        "incidents, text in many accounts": listed(text="info", sort="likeliest"),
        "incidents, text in none": listed(text="nobody has this"),
        "incidents, by network": listed(text="198.51.100.0/30"),
        "incidents, a rare combination": listed(
            status="reviewed:other", rule="countries", text="x.y9", sort="likeliest"
        ),
        "incident": lambda c, v: [incidents.one(c, v, row.id) for row in newest(c, v).rows[:1]],
        "account: incidents, blocks, deeds": lambda c, v: (
            incidents.of_account(c, v, account),
            blocks.of_account(c, v, account),
            audit.of_account(c, v, account),
        ),
        "blocks in force": lambda c, v: blocks.listed(c, v, blocks.Wanted(), now_ms=NOW_MS),
        "blocks, all": lambda c, v: blocks.listed(c, v, blocks.Wanted(in_force=False), now_ms=NOW_MS),
        "safe network would cover": lambda c, v: rules.coverage(c, v, "198.51.100.0/24"),
        "domains as a tree": rules.tree,
        "audit": lambda c, v: audit.listed(c, v, audit.Wanted()),
    }


def ask(store: Store, population: Population, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each query for each reader: median and slowest."""
    readers = {
        "everything": EVERYTHING,
        "a group": Visible.of(["group:reseller-1"]),
        "a large domain": Visible.of([f"domain:{population.domains[0]}"]),
        "a small domain": Visible.of([f"domain:{population.domains[-1]}"]),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for what, query in queries(population).items():
        for reader, visible in readers.items():
            times = []
            for _ in range(rounds + 1):
                with store.reading() as connection:
                    began = time.perf_counter()
                    query(connection, visible)
                    times.append((time.perf_counter() - began) * 1000)
            found.setdefault(what, {})[reader] = [round(median(times[1:]), 1), round(max(times[1:]), 1)]
    return found


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    lines = []
    for database, figures in result.items():
        taken = figures["revisions_per_s"]
        lines += [f"{database}: {taken['wall']:,} revisions a second ({taken['cpu']:,} per CPU second)", ""]
        readers = list(next(iter(figures["queries"].values())))
        lines += [f"| ms: median / slowest | {' | '.join(readers)} |", "|---|" + "---|" * len(readers)]
        for what, by_reader in figures["queries"].items():
            cells = [f"{middle:g} / {slowest:g}" for middle, slowest in by_reader.values()]
            lines.append(f"| {what} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panel", description=__doc__)
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--seed", type=int, default=1)
    print(table(run(parser.parse_args())))


SIZES = {"incidents": 1_000_000, "accounts": 100_000, "domains": 1_000, "rounds": 5}

if __name__ == "__main__":
    main()
