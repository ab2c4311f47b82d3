"""Forgetting one account, whatever has been told of it."""

import json
from typing import Any

import pytest

from streams.panel.store import EVERYTHING, Store, rules
from streams.panel.store.erase import erase_account
from streams.panel.store.prune import prune
from tests.panel.store.feeding import content, fill
from tests.panel.store.population import DAY_MS, HOUR_MS, START_MS, Population

USER = "user@example.org"
ERASED_MS = START_MS + DAY_MS
RESET = {"time": ERASED_MS, "account": USER, "actor": "root", "minutes": None, "id": "r"}


def a_life(population: Population, opened_ms: int) -> list[tuple[str, str, Any]]:
    """What is told of one account: an incident with its block and review, rules of its own, an order."""
    [incident] = population.incident(account=USER, opened_ms=opened_ms)
    incident["blocked_until"] = opened_ms + HOUR_MS
    safe = {"scope": f"account:{USER}", "network": "192.0.2.0/24", "description": "home", "actor": "a", "expires": None}
    order = {**RESET, "time": opened_ms, "action": "unblock", "reason": "called", "forget": False, "id": str(opened_ms)}
    return [
        ("policies", f"account:{USER}", population.policy(f"account:{USER}")),
        ("safe-networks", f"account:{USER} 192.0.2.0/24", {**safe, "time": opened_ms}),
        ("incidents", USER, incident),
        ("blocks", USER, population.block(incident)),
        ("reviews", USER, population.review(incident)),
        ("account-commands", USER, order),
    ]


def the_erasing(block: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """What `account erase` writes, and the worker for it: the topics are read in any order."""
    lifted = {**block, "state": "open", "until": ERASED_MS - 1, "reason": "erased", "actor": "root"}
    return [
        ("policies", f"account:{USER}", None),
        ("safe-networks", f"account:{USER} 192.0.2.0/24", None),
        ("account-commands", USER, {**RESET, "action": "reset", "reason": "erased", "forget": True}),
        ("blocks", USER, lifted),
        ("blocks", USER, None),
    ]


def test_nothing_of_the_account_is_left_and_the_others_stay_as_they_are(store: Store) -> None:
    """Its incidents, networks, reviews and audit are gone, and the sums of its domain are those without it."""
    population = Population(52, domains=2, accounts=3)
    found = [population.incident(opened_ms=START_MS + n * HOUR_MS)[0] for n in range(20)]
    fill(store, [("incidents", record["account"], record) for record in found])
    fill(store, [("reviews", r["account"], population.review(r)) for r in found[:6]], first_offset=100)
    account = found[0]["account"]
    others = [record for record in found if record["account"] != account]

    gone = erase_account(store, account, START_MS)

    rows = content(store)
    with store.reading() as connection:
        counted = rules.domains(connection, EVERYTHING)
    assert gone > 0
    assert account not in json.dumps(rows, default=str)
    assert sum(row.incidents for row in counted) == len(rows["incident"]) == len(others) == len(rows["incident_record"])
    assert erase_account(store, account, START_MS) == 0


@pytest.mark.parametrize("read_before", range(12))
def test_what_is_read_later_of_what_was_told_before_makes_no_rows(sqlite_store: Store, read_before: int) -> None:
    """However far behind the panel was, and whichever topic it reads first: the erasing's own records are passed over too."""
    population = Population(53)
    life = a_life(population, START_MS)
    told = [*life, *the_erasing(life[3][2])]
    fill(sqlite_store, told[:read_before])

    erase_account(sqlite_store, USER, ERASED_MS)
    fill(sqlite_store, told[read_before:], first_offset=read_before)

    rows = content(sqlite_store)
    assert USER not in json.dumps(rows, default=str)
    assert rows["deed"] == rows["block"] == rows["account"] == []


def test_rules_that_lie_under_other_keys_are_forgotten_too(store: Store) -> None:
    """The name is in those keys."""
    spelled = [(topic, key.replace("user", "User"), row) for topic, key, row in a_life(Population(54), START_MS)[:2]]
    fill(store, spelled)
    assert len(content(store)["spelling"]) == 2

    erase_account(store, USER, START_MS)

    assert USER not in json.dumps(content(store), default=str).lower()


def test_a_lift_that_the_worker_tells_late_makes_no_row(store: Store) -> None:
    """It comes a moment after the erasing was thought to be over, and is of a block that is erased."""
    life = a_life(Population(54), START_MS)
    fill(store, life)
    erase_account(store, USER, ERASED_MS)

    fill(store, the_erasing(life[3][2]), time_ms=ERASED_MS + 5)

    assert content(store)["block"] == []


def test_a_rebuilt_read_model_stays_without_it(store: Store) -> None:
    """The topics still tell everything; the wipe forgets what they told, not what was erased."""
    population = Population(55, domains=1, accounts=2)
    life = a_life(population, START_MS)
    [other] = population.incident(opened_ms=START_MS)
    told = [*life, ("incidents", other["account"], other), *the_erasing(life[3][2])]
    fill(store, told)
    erase_account(store, USER, ERASED_MS)

    store.wipe_read_model()
    fill(store, told)

    rows = content(store)
    assert USER not in json.dumps(rows, default=str)
    assert [row[0] for row in rows["incident"]] == [other["id"]]


def test_what_is_told_of_the_account_afterwards_is_shown(store: Store) -> None:
    """A new incident, its block, new rules and orders, and who lifted that block: all of it, and nothing of before."""
    population = Population(56)
    before, after = a_life(population, START_MS), a_life(population, ERASED_MS + HOUR_MS)
    fill(store, before)
    erase_account(store, USER, ERASED_MS)
    block = after[3][2]
    lifted = {**block, "state": "open", "until": block["from"] + 7, "reason": "called", "actor": "help@example.org"}

    fill(store, the_erasing(before[3][2]), first_offset=100)
    fill(store, [*after, ("blocks", USER, lifted)], first_offset=200, time_ms=ERASED_MS + HOUR_MS)

    rows = content(store)
    assert [row[0] for row in rows["incident"]] == [after[2][2]["id"]]
    assert [(row[0], row[5], row[9]) for row in rows["block"]] == [(block["id"], block["from"] + 7, "help@example.org")]
    assert (len(rows["policy"]), len(rows["safe_network"]), len(rows["review"])) == (1, 1, 1)
    assert sorted(row[3] for row in rows["deed"]) == ["account.unblock", "incident.review", "policy.set", "safe.add"]
    assert rows["account"] == [(USER, 1, 1)]


def test_that_it_was_erased_is_forgotten_when_nothing_can_tell_of_it(store: Store) -> None:
    """After the longest time for which topics or this database keep anything."""
    erase_account(store, USER, START_MS)

    prune(store, START_MS + 399 * DAY_MS)
    fill(store, a_life(Population(57), START_MS))
    passed_over = content(store)
    prune(store, START_MS + 401 * DAY_MS)
    fill(store, a_life(Population(57), START_MS), first_offset=50)

    assert passed_over["incident"] == []
    assert len(content(store)["incident"]) == 1
