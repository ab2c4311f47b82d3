"""Blocks and how they really ended."""

import pytest

from streams.panel.store import EVERYTHING, Store, Visible, activity, blocks, incidents
from tests.panel.store.feeding import fill
from tests.panel.store.population import HOUR_MS, START_MS, Population, Record

ACCOUNT = "x@one.example"
HOUR = START_MS // HOUR_MS * HOUR_MS


def blocking(population: Population, at_ms: int, account: str = ACCOUNT) -> tuple[Record, Record]:
    """An incident that blocks for a day, and its block."""
    record = population.incident(account=account, opened_ms=at_ms)[0]
    record["blocked_until"] = at_ms + 24 * HOUR_MS
    return record, population.block(record)


def ends(store: Store, now_ms: int) -> list[tuple[int, int]]:
    with store.reading() as connection:
        found = blocks.listed(connection, EVERYTHING, blocks.Wanted(in_force=False), now_ms=now_ms).rows
        return [(row.from_ms, row.ends_ms) for row in found]


def incident_end(store: Store, incident: str) -> int | None:
    with store.reading() as connection:
        found = incidents.one(connection, EVERYTHING, incident)
        assert found is not None
        return found.row.blocked_until_ms


@pytest.mark.parametrize("batch", [1, 10])
def test_a_block_ends_when_it_is_lifted_or_replaced(store: Store, batch: int) -> None:
    """Lifted: at that moment. Replaced by one by hand, even a shorter one: when that begins. Incidents say the same."""
    population = Population(31)
    first, block = blocking(population, START_MS)
    second, other = blocking(population, START_MS + 48 * HOUR_MS)
    lifted = population.lifted(block, START_MS + HOUR_MS)
    by_hand = population.block_by_hand(ACCOUNT, START_MS + 50 * HOUR_MS)

    told = [("incidents", first), ("blocks", block), ("blocks", lifted)]
    told += [("incidents", second), ("blocks", other), ("blocks", by_hand)]
    fill(store, [(topic, ACCOUNT, record) for topic, record in told], batch=batch)

    assert ends(store, START_MS) == [
        (START_MS + 50 * HOUR_MS, START_MS + 51 * HOUR_MS),
        (START_MS + 48 * HOUR_MS, START_MS + 50 * HOUR_MS),
        (START_MS, START_MS + HOUR_MS),
    ]
    assert incident_end(store, first["id"]) == START_MS + HOUR_MS
    assert incident_end(store, second["id"]) == START_MS + 50 * HOUR_MS


def test_an_incident_whose_block_was_compacted_away_ends_with_the_next_one(store: Store) -> None:
    """Kafka keeps the last block of an account only: the incident's own word holds until that one began."""
    population = Population(32)
    first, _ = blocking(population, START_MS)
    by_hand = population.block_by_hand(ACCOUNT, START_MS + 2 * HOUR_MS)

    fill(store, [("incidents", ACCOUNT, first)])
    assert incident_end(store, first["id"]) == START_MS + 24 * HOUR_MS
    fill(store, [("blocks", ACCOUNT, by_hand)], first_offset=10)

    assert incident_end(store, first["id"]) == START_MS + 2 * HOUR_MS


def test_repeated_records_change_nothing(store: Store) -> None:
    """A worker that repeats a batch after a crash writes the same records again."""
    population = Population(33)
    record, block = blocking(population, START_MS)
    told = [
        ("incidents", ACCOUNT, record),
        ("blocks", ACCOUNT, block),
        ("blocks", ACCOUNT, population.lifted(block, START_MS + 9)),
    ]

    fill(store, told)
    before = ends(store, START_MS)
    fill(store, told, first_offset=10)

    assert ends(store, START_MS) == before == [(START_MS, START_MS + 9)]
    with store.reading() as connection:
        hours = activity.hourly(connection, EVERYTHING, since_ms=HOUR, until_ms=HOUR + 1)
        assert incidents.unreviewed(connection, EVERYTHING) == 1
    assert [(hour.incidents, hour.blocks) for hour in hours] == [(1, 1)]


def test_blocks_are_listed_by_scope_and_text(store: Store) -> None:
    """Who is blocked now, in view; others when asked for."""
    population = Population(34)
    told = [("domains", "one.example", {"domain": "one.example", "group": "a"})]
    for number, account in enumerate(("a@one.example", "b@two.example", "c_d@one.example")):
        told.append(
            ("blocks", account, population.block_by_hand(account, START_MS + number, minutes=10 * (number + 1)))
        )
    fill(store, told)

    def names(visible: Visible = EVERYTHING, at: int = START_MS + 5, **wanted: object) -> list[str]:
        with store.reading() as connection:
            page = blocks.listed(connection, visible, blocks.Wanted(**wanted), now_ms=at)  # type: ignore[arg-type]
            return [row.account[0] for row in page.rows]

    assert names() == ["c", "b", "a"]
    assert names(at=START_MS + 15 * 60_000) == ["c", "b"]
    assert names(at=START_MS + 99 * HOUR_MS) == []
    assert names(at=START_MS + 99 * HOUR_MS, in_force=False) == ["c", "b", "a"]
    assert names(Visible.of(["group:a"])) == ["c", "a"]
    assert names(group="a", text="C_") == ["c"]
    assert names(domain="two.example") == ["b"]
    assert names(Visible()) == []
    with store.reading() as connection:
        assert blocks.of_account(connection, Visible.of(["domain:two.example"]), "a@one.example") == ()
        assert len(blocks.of_account(connection, EVERYTHING, "a@one.example")) == 1


def test_the_plot_counts_by_hour_for_each_reader(store: Store) -> None:
    """Empty hours too; logins only for those who see everything, since they are not counted by domain."""
    population = Population(35)
    told = []
    for hour, account in ((0, "a@one.example"), (0, "b@two.example"), (2, "a@one.example")):
        record, block = blocking(population, HOUR + hour * HOUR_MS + 5, account)
        told += [("incidents", account, record), ("blocks", account, block)]
    fill(store, told)
    span = {"since_ms": HOUR - 10, "until_ms": HOUR + 3 * HOUR_MS}

    with store.reading() as connection:
        whole = activity.hourly(connection, EVERYTHING, **span)
        part = activity.hourly(connection, Visible.of(["domain:one.example"]), **span)

    assert [(hour.logins, hour.incidents, hour.blocks) for hour in whole] == [(0, 2, 2), (0, 0, 0), (0, 1, 1)]
    assert [(hour.logins, hour.incidents, hour.blocks) for hour in part] == [(None, 1, 1), (None, 0, 0), (None, 1, 1)]
    assert [hour.hour_ms for hour in whole] == [HOUR, HOUR + HOUR_MS, HOUR + 2 * HOUR_MS]
