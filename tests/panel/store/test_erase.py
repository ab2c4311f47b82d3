"""Forgetting one account, whatever has been told of it."""

import json

from streams.panel.store import EVERYTHING, Store, rules
from streams.panel.store.erase import erase_account
from tests.panel.store.feeding import content, fill
from tests.panel.store.population import HOUR_MS, START_MS, Population


def test_nothing_of_the_account_is_left_and_the_others_stay_as_they_are(store: Store) -> None:
    """Its incidents, networks, reviews and audit are gone, and the sums of its domain are those without it."""
    population = Population(52, domains=2, accounts=3)
    found = [population.incident(opened_ms=START_MS + n * HOUR_MS)[0] for n in range(20)]
    fill(store, [("incidents", record["account"], record) for record in found])
    fill(store, [("reviews", r["account"], population.review(r)) for r in found[:6]], first_offset=100)
    account = found[0]["account"]
    others = [record for record in found if record["account"] != account]

    gone = erase_account(store, account)

    rows = content(store)
    with store.reading() as connection:
        counted = rules.domains(connection, EVERYTHING)
    assert gone > 0
    assert account not in json.dumps(rows, default=str)
    assert sum(row.incidents for row in counted) == len(rows["incident"]) == len(others) == len(rows["incident_record"])
    assert erase_account(store, account) == 0
