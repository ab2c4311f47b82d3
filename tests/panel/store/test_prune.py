"""Forgetting what is older than the topics keep it."""

from streams.panel.store import EVERYTHING, Store, activity, incidents, rules
from streams.panel.store.prune import prune
from streams.settings import Settings
from streams.topology import all_topics
from tests.panel.store.feeding import content, fill
from tests.panel.store.population import DAY_MS, HOUR_MS, START_MS, Population


def test_old_incidents_go_with_all_that_belongs_to_them_and_counts_stay_right(store: Store) -> None:
    """What is left is what would be there if the old ones had never been."""
    population = Population(51, domains=3, accounts=5)
    old = [population.incident(opened_ms=START_MS + n * HOUR_MS) for n in range(30)]
    new = [population.incident(opened_ms=START_MS + 60 * DAY_MS + n * HOUR_MS) for n in range(10)]
    told = [("incidents", found[0]["account"], found[0]) for found in (*old, *new)]
    told += [("reviews", found[0]["account"], population.review(found[0])) for found in (*old[:9], *new[:3])]
    fill(store, told)

    prune(store, START_MS + 100 * DAY_MS)

    with store.reading() as connection:
        kept = incidents.listed(connection, EVERYTHING, incidents.Wanted(), now_ms=START_MS).rows
        counted = rules.domains(connection, EVERYTHING)
        assert incidents.unreviewed(connection, EVERYTHING) == 7
        hours = activity.hourly(connection, EVERYTHING, since_ms=START_MS, until_ms=START_MS + 70 * DAY_MS)
    assert {row.id for row in kept} == {found[0]["id"] for found in new}
    assert sum(row.incidents for row in counted) == 10
    assert sum(hour.incidents for hour in hours) == 10
    rows = content(store)
    assert len(rows["incident_record"]) == 10
    assert len(rows["review"]) == 3
    assert sum(incidents for _, incidents, _ in rows["account"]) == 10
    assert sum(blocked for _, _, blocked in rows["account"]) == len(rows["block"])
    assert len(rows["deed"]) == 12


def test_what_an_operator_keeps_longer_or_shorter_is_kept_so_here(sqlite_store: Store) -> None:
    """`retention_days` of a topic holds for the panel's rows of it; reviews without a setting stay with their incidents."""
    population = Population(52, domains=1, accounts=3)
    found = [population.incident(opened_ms=START_MS + n * HOUR_MS) for n in range(4)]
    told = [("incidents", item[0]["account"], item[0]) for item in found]
    told += [("reviews", item[0]["account"], population.review(item[0])) for item in found]
    fill(sqlite_store, told)

    def left(days: int, *retention: str) -> tuple[int, int]:
        settings = Settings(retention_days=retention)
        prune(sqlite_store, START_MS + days * DAY_MS, {topic.name: topic for topic in all_topics(settings)})
        rows = content(sqlite_store)
        return len(rows["incident"]), len(rows["review"])

    assert left(100, "incidents=365") == (4, 4)
    assert left(100, "incidents=365", "reviews=30") == (4, 0)
    assert left(20, "incidents=10") == (0, 0)
