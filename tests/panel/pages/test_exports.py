"""Downloads while their client is slow and the lists change: nothing is held, and nothing is left out or comes twice."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

import pytest
from sqlalchemy import Engine, QueuePool, update
from starlette.responses import StreamingResponse

from streams.panel.api.calls import Call
from streams.panel.pages.exports import blocks_csv, domains_csv, incidents_csv, safe_networks_csv
from streams.panel.rights import Reader, Role
from streams.panel.store import Store, blocks, incidents
from streams.panel.store.rules import SafeWanted
from streams.panel.store.tables import INCIDENT, SAFE_NETWORK
from tests.panel.store.feeding import Told, fill
from tests.panel.store.population import START_MS, Population
from tests.panel.visitors import Site

POPULATION = Population(55, domains=3, accounts=40)
ROWS = 700
"""More than one part of a download reads at once."""
HEARD = 3
"""Pieces that a client has taken when the list changes: 400 rows, of the first 500."""


def found(number: int) -> Iterator[Told]:
    for _ in range(number):
        [record] = POPULATION.incident()
        yield "incidents", record["account"], record


def blocked(number: int, since_ms: int = START_MS) -> Iterator[Told]:
    for at in range(number):
        account = POPULATION.accounts[at % len(POPULATION.accounts)]
        yield "blocks", account, POPULATION.block_by_hand(account, since_ms + at * 1000, minutes=1)


def safe(number: int, at_ms: int = START_MS) -> Iterator[Told]:
    for low in range(number):
        network = f"10.{low // 256}.{low % 256}.0/24"
        record = {"scope": "everyone", "network": network, "description": "x", "actor": "a", "time": at_ms + low}
        yield "safe-networks", f"everyone {network}", {**record, "expires": None}


def domains(*numbers: int) -> Iterator[Told]:
    for number in numbers:
        name = f"n{number:05}.example"
        yield "domains", name, {"domain": name, "group": "a"}


def turn_likelihoods(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(update(INCIDENT).values(score=100 - INCIDENT.c.score))


def set_again(store: Store) -> None:
    """The oldest half of the safe networks becomes the latest."""
    with store.writing() as connection:
        old = SAFE_NETWORK.c.time_ms < START_MS + ROWS // 2
        connection.execute(update(SAFE_NETWORK).where(old).values(time_ms=SAFE_NETWORK.c.time_ms + 10 * ROWS))


@dataclass(frozen=True)
class Download:
    """One list: what it is filled with, how it is taken, and what happens to it meanwhile."""

    told: Sequence[Told]
    take: Callable[[Call], StreamingResponse]
    more: Sequence[Told]
    change: Callable[[Store], None] = lambda _store: None
    key: Callable[[list[str]], str] = lambda row: row[0]


DOWNLOADS = {
    "newest": Download(
        [*found(ROWS)], lambda call: incidents_csv(call, incidents.Wanted()), [*found(20)], turn_likelihoods
    ),
    "likeliest": Download(
        [*found(ROWS)],
        lambda call: incidents_csv(call, incidents.Wanted(sort="likeliest")),
        [*found(20)],
        turn_likelihoods,
    ),
    "blocks": Download(
        [*blocked(ROWS)],
        lambda call: blocks_csv(call, blocks.Wanted(in_force=False)),
        [*blocked(20, START_MS - 90_000), *blocked(20, START_MS + ROWS * 1000)],
        key=lambda row: f"{row[0]} {row[1]}",
    ),
    "safe networks": Download(
        [*safe(ROWS)],
        lambda call: safe_networks_csv(call, SafeWanted()),
        [],
        set_again,
        key=lambda row: row[1],
    ),
    "domains": Download([*domains(*range(0, 2 * ROWS, 2))], domains_csv, [*domains(*range(1, 2 * ROWS, 2))]),
}


def held(engine: Engine) -> int:
    """Connections that somebody has, and with them what they have begun."""
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


async def taken(download: Download, site: Site, change: Callable[[], None]) -> list[str]:
    """What a client gets that takes some pieces, waits for a change, and takes the rest; it holds nothing in between."""
    reader = Reader(1, "slow@example.org", Role.OWNER, ("everything",))
    response = download.take(Call(site.panel, reader, site.panel.now_ms(), "", ""))
    pieces: list[str] = []
    async for piece in response.body_iterator:
        assert held(site.panel.store.engine) == 0, f"after {len(pieces)} pieces"
        assert isinstance(piece, bytes)
        pieces.append(piece.decode())
        if len(pieces) == HEARD:
            change()
    rows = list(csv.reader(StringIO("".join(pieces).removeprefix("\ufeff"), newline="")))[1:]
    return [download.key(row) for row in rows]


@pytest.mark.parametrize("name", list(DOWNLOADS))
async def test_a_slow_client_holds_nothing_and_gets_every_row_once_in_the_lists_order(
    make_site: Callable[..., Site], database: str, name: str
) -> None:
    """Whatever is added or moves before and behind the row where it waits."""
    download = DOWNLOADS[name]
    site = make_site(panel_database=database)
    store = site.panel.store
    fill(store, download.told)
    before = await taken(download, site, lambda: None)

    def change() -> None:
        fill(store, download.more, first_offset=ROWS)
        download.change(store)

    there = set(before)
    meanwhile = [key for key in await taken(download, site, change) if key in there]

    assert len(there) >= ROWS
    assert meanwhile == before


async def test_a_row_that_fits_no_longer_is_not_sent(make_site: Callable[..., Site], database: str) -> None:
    """A safe network that is removed meanwhile, and an incident that is reviewed, where those without a review were asked."""
    site = make_site(panel_database=database)
    store = site.panel.store
    fill(store, [*found(ROWS), *safe(ROWS)])
    unreviewed = Download(
        (), lambda call: incidents_csv(call, incidents.Wanted(sort="likeliest", status="unreviewed")), ()
    )
    networks = DOWNLOADS["safe networks"]
    order, listed = await taken(unreviewed, site, lambda: None), await taken(networks, site, lambda: None)

    def review() -> None:
        with store.writing() as connection:
            connection.execute(update(INCIDENT).where(INCIDENT.c.id == order[-1]).values(verdict="other"))

    def remove() -> None:
        fill(store, [("safe-networks", f"everyone {listed[-1]}", None)], first_offset=5 * ROWS)

    assert await taken(unreviewed, site, review) == order[:-1]
    assert await taken(networks, site, remove) == listed[:-1]
