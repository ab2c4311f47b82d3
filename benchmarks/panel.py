"""
The panel: how fast its read model takes in incident revisions, and how long each page takes, with a million incidents.

On SQLite and, where it is installed, on a PostgreSQL of its own. The database is filled as the follower would have left it
(`panel_fill`); then the follower itself takes revisions in on top of that, from the embedded broker, and every page is
asked for by readers with everything, with a group, and with one domain. A page's figure is the time from the request to
the whole answer inside this process: query, template and all. Filters that leave few of the million stand beside common
ones; the connections of the database are new after the first rounds, so the slowest answer has cold caches in it.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import delete

from benchmarks.panel_fill import DAYS, NOW_MS, RARE_TEXT, fill
from streams.bus.embedded import EmbeddedBroker
from streams.panel.panel import Panel
from streams.panel.store import EVERYTHING, Store, audit, blocks, incidents
from streams.panel.store.follower import Follower
from streams.panel.store.tables import OFFSET
from streams.records.codec import Codec
from streams.settings import Settings
from tests.panel.store.feeding import produce
from tests.panel.store.population import DAY_MS, START_MS, Population
from tests.panel.store.postgres_server import PostgresServer, binaries
from tests.panel.visitors import Browser, Clock, Site, quick_passwords

NOWHERE = "127.0.0.1:1"
OK, NOT_FOUND = 200, 404
WITHIN_MS = 100
"""What the slowest page may take."""
TAKEN_IN = 40_000
MOST_ROUNDS = 3
"""Of taking in: each takes as long as many pages."""
CAUGHT_UP_WITHIN_S = 120
Figures = dict[str, Any]


def run(options: argparse.Namespace) -> Figures:
    """Figures by database."""
    found = {}
    with databases() as each:
        for name, database in each:
            found[name] = measured(database, options)
    return found


@contextmanager
def databases() -> Iterator[Iterator[tuple[str, str]]]:
    """An empty database of each kind that is there, by name; thrown away after."""
    folder = Path(tempfile.mkdtemp(prefix="loginwatch-bench-"))

    def each() -> Iterator[tuple[str, str]]:
        yield "SQLite", str(folder / "panel.sqlite")
        if binaries() is not None:
            with PostgresServer(("-c", "shared_buffers=512MB")) as server:
                yield "PostgreSQL", server.database()

    try:
        yield each()
    finally:
        shutil.rmtree(folder)


def measured(database: str, options: argparse.Namespace) -> Figures:
    """Fill, ask, take in: pages first, so that they are asked of what was filled."""
    population = Population(options.seed, domains=options.domains, accounts=options.accounts, days=DAYS)
    with Store(database) as store:
        began = time.monotonic()
        fill(store, population, options.incidents)
        filled_s = round(time.monotonic() - began)
        histories = history(store, population, options.rounds)
    pages = asyncio.run(asked(database, population, options.rounds))
    fresh = Population(options.seed + 1, accounts=options.accounts, domains=options.domains)
    with Store(database) as store:
        taken_in = [
            take_in(store, fresh, NOW_MS + number * DAY_MS) for number in range(min(options.rounds, MOST_ROUNDS))
        ]
    return {"fill_s": filled_s, "incidents": options.incidents, "taken_in": taken_in, "pages": pages, **histories}


# --- intake


def take_in(store: Store, population: Population, since_ms: int) -> dict[str, int]:
    """Revisions that the follower writes in a second, and in a second of this process's CPU: three of each incident."""
    told = [
        ("incidents", revision["account"], revision)
        for at in range(TAKEN_IN // 3)
        for revision in population.incident(opened_ms=since_ms + at * 1000, revisions=3)
    ]
    with store.writing() as connection:
        connection.execute(delete(OFFSET))  # each round has a broker of its own, whose offsets begin anew
    with EmbeddedBroker() as broker:
        produce(broker, told)
        follower = Follower(broker.settings, Codec(), store)
        wall, cpu = time.perf_counter(), time.process_time()
        follower.start()
        try:
            if not follower.caught_up.wait(CAUGHT_UP_WITHIN_S):
                raise RuntimeError(f"the follower did not catch up: {follower.problem()}")
            return {
                "wall": round(len(told) / (time.perf_counter() - wall)),
                "cpu": round(len(told) / (time.process_time() - cpu)),
            }
        finally:
            follower.stop()


# --- pages


def pages(population: Population, incident: str) -> dict[str, str]:
    """The addresses of all pages that read many rows, by what is asked for."""
    account = population.accounts[len(population.accounts) // 2]
    domain = population.domains[-1]

    def listed(**filters: str) -> str:
        return f"/incidents?{urlencode(filters)}"

    def day(number: int) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime((START_MS + number * DAY_MS) / 1000))

    return {
        "home": "/",
        "incidents": "/incidents",
        "incidents, likeliest": listed(sort="likeliest"),
        "incidents, ten days in the middle": listed(since=day(40), until=day(50)),
        "incidents, the same, likeliest": listed(since=day(40), until=day(50), sort="likeliest"),
        "incidents, not reviewed": listed(status="unreviewed"),
        "incidents, not reviewed, likeliest": listed(status="unreviewed", sort="likeliest"),
        "incidents, blocked now": listed(status="blocked", sort="likeliest"),
        "incidents, observed": listed(status="observed", sort="likeliest"),
        "incidents, reviewed as travelling": listed(status="reviewed:travelling", sort="likeliest"),
        "incidents, rule countries": listed(rule="countries", sort="likeliest"),
        "incidents, rule ips": listed(rule="ips"),
        "incidents of a small domain": listed(domain=domain, sort="likeliest"),
        "incidents of a group": listed(group="reseller-1", sort="likeliest"),
        "incidents, text in a few accounts": listed(text=account[:8]),
        "incidents, text in many accounts": listed(text="info", sort="likeliest"),
        "incidents, text in all sentences": listed(text="networks", sort="likeliest"),
        "incidents, text in a rare sentence": listed(text=RARE_TEXT, sort="likeliest"),
        "incidents, text in none": listed(text="nobody has this"),
        "incidents, by a small network": listed(text="198.51.100.0/30"),
        "incidents, by a large network": listed(text="198.51.100.0/22", sort="likeliest"),
        "incidents, a rare combination": listed(
            status="reviewed:other", rule="countries", text="x.y9", sort="likeliest"
        ),
        "incidents, a combination of common ones": listed(
            status="observed", rule="countries", text="anna", group="reseller-2", sort="likeliest"
        ),
        "incident": f"/incidents/{incident}",
        "blocks": "/blocks",
        "blocks, text in a few accounts": f"/blocks?{urlencode({'text': account[:8], 'past': '1'})}",
        "blocks, text in none": f"/blocks?{urlencode({'text': 'nobody has this', 'past': '1'})}",
        "blocks of a group": "/blocks?group=reseller-1&past=1",
        "safe networks": "/safe-networks",
        "safe networks around an address": "/safe-networks?text=203.0.1.1",
        "a small safe network would cover": f"/safe-networks/add?network=198.51.100.7&scope=domain:{domain}",
        "a large one would cover, for everyone": "/safe-networks/add?network=198.51.0.0/17&scope=everyone",
        "a large one would cover, for a domain": f"/safe-networks/add?network=198.51.0.0/17&scope=domain:{domain}",
        "a large one would cover, for a group": "/safe-networks/add?network=198.51.0.0/17&scope=group:reseller-1",
        "a large one would cover, for an account": (
            f"/safe-networks/add?{urlencode({'network': '198.51.0.0/17', 'scope': f'account:{account}'})}"
        ),
        "policies": "/policies",
        "policy of a domain": f"/policies?scope=domain:{domain}",
        "domains and groups": "/domains",
        "people": "/people",
        "audit": "/audit",
        "audit, policies only": "/audit?action=policy.",
        "audit of a person": "/audit?actor=nobody@example.org",
    }


READERS = {
    "everything": "everything",
    "a group": "group:reseller-1",
    "a large domain": "domain:{large}",
    "a small domain": "domain:{small}",
}


async def asked(database: str, population: Population, rounds: int) -> Figures:
    """Milliseconds of each page for each reader, from least to most; none where the page is not in a reader's scope."""
    settings = Settings.model_validate({"bootstrap_servers": NOWHERE, "panel_database": database})
    clock = Clock()
    clock.now_ms = NOW_MS
    panel = Panel(settings, clock_ms=clock, passwords=quick_passwords())
    site = Site(panel, clock)
    try:
        readers = await _signed_in(site, population)
        with panel.store.reading() as connection:
            newest = incidents.listed(connection, EVERYTHING, incidents.Wanted(), now_ms=NOW_MS, size=1).rows
        return await _asked(panel, readers, pages(population, newest[0].id), rounds)
    finally:
        panel.close()


async def _signed_in(site: Site, population: Population) -> dict[str, Browser]:
    found = {}
    for number, (reader, scope) in enumerate(READERS.items()):
        role = "owner" if scope == "everything" else "administrator"
        named = scope.format(large=population.domains[0], small=population.domains[-1])
        found[reader] = await site.signed_in(f"reader{number}@example.org", role, named)
    return found


async def _asked(panel: Panel, readers: dict[str, Browser], paths: dict[str, str], rounds: int) -> Figures:
    found: Figures = {what: {reader: [] for reader in readers} for what in paths}
    foreign = set()
    for at in range(rounds + 1):
        if at == 1:
            panel.store.engine.dispose()  # the first round has made the templates; now the connections are new
        for (what, path), (reader, browser) in product(paths.items(), readers.items()):
            if (what, reader) in foreign:
                continue
            began = time.perf_counter()
            answer = await browser.get(path)
            took_ms = (time.perf_counter() - began) * 1000
            if answer.status_code == NOT_FOUND:  # outside of somebody's scope nothing is there
                foreign.add((what, reader))
            elif answer.status_code != OK:
                raise RuntimeError(f"{path} answered {answer.status_code}")
            elif at:
                found[what][reader].append(round(took_ms, 1))
    return {what: {reader: sorted(times) for reader, times in each.items()} for what, each in found.items()}


def history(store: Store, population: Population, rounds: int) -> Figures:
    """What the page of an account reads of the database; the rest of it comes from a worker."""
    account = population.accounts[len(population.accounts) // 2]
    times = []
    for _ in range(rounds):
        with store.reading() as connection:
            began = time.perf_counter()
            incidents.of_account(connection, EVERYTHING, account)
            blocks.of_account(connection, EVERYTHING, account)
            audit.of_account(connection, EVERYTHING, account)
            times.append(round((time.perf_counter() - began) * 1000, 1))
    return {"account_ms": sorted(times)}


# --- tables


def table(result: Figures) -> str:
    """The figures for people."""
    return "\n".join(line for database, figures in result.items() for line in _lines(database, figures))


def _lines(database: str, figures: Figures) -> Iterator[str]:
    wall, cpu = (sorted(taken[clock] for taken in figures["taken_in"]) for clock in ("wall", "cpu"))
    longest = max(times[-1] for each in figures["pages"].values() for times in each.values() if times)
    late = sum(times[-1] > WITHIN_MS for each in figures["pages"].values() for times in each.values() if times)
    yield (
        f"**{database}**, {figures['incidents']:,} incidents: {median(wall):,.0f} revisions/s taken in ({wall[0]:,} to "
        f"{wall[-1]:,}), {median(cpu):,.0f} per second of CPU. Slowest page {longest:g} ms; {late} over {WITHIN_MS} ms."
    )
    yield ""
    readers = list(next(iter(figures["pages"].values())))
    yield f"| page, ms: median / slowest | {' | '.join(readers)} |"
    yield "| --- |" + " ---: |" * len(readers)
    for what, each in figures["pages"].items():
        cells = [f"{median(times):.1f} / {times[-1]:.1f}" if times else "-" for times in each.values()]
        yield f"| {what} | {' | '.join(cells)} |"
    times = figures["account_ms"]
    yield f"| account, its queries only | {median(times):.1f} / {times[-1]:.1f} |" + " - |" * (len(readers) - 1)
    yield ""
