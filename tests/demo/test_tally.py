"""What the demo counts: takeovers set against incidents, refusals and blocks."""

import pytest

from streams.demo.tally import Tally, middle_and_tail
from streams.simulator.door import Outcome
from streams.simulator.simulation import Event
from streams.simulator.thieves import Takeover

ANNA, BEN, CLARA = (f"{name}@example.org" for name in ("anna", "ben", "clara"))


def takeover(account: str) -> Takeover:
    """A thief in this account."""
    return Takeover("takeover-1", account, "abroad", 0, 60_000, ["RO"])


def attempt(tally: Tally, account: str, outcome: Outcome, *, thief: bool = True) -> None:
    """One login as the demo hears of it."""
    truth = tally.raids[account].takeover if thief else None
    tally.login(Event("logins", 0, {"account": account}, truth), outcome)


def incident(account: str, number: int = 1, revised: int = 1000) -> dict:
    """An Incident as far as it is looked at."""
    return {"id": f"incident-{account}-{number}", "account": account, "revised": revised}


def test_a_raid_is_over_when_the_thief_was_caught_and_refused() -> None:
    """Both are needed, for every thief."""
    tally = Tally.of([takeover(ANNA), takeover(BEN)])

    attempt(tally, ANNA, Outcome.IN)
    assert not tally.raids[ANNA].over
    assert tally.incident(incident(ANNA))
    assert not tally.raids[ANNA].over
    attempt(tally, ANNA, Outcome.REFUSED)

    assert tally.raids[ANNA].over
    assert not tally.all_over
    assert [raid.takeover.account for raid in tally.begun] == [ANNA]


def test_closing_time_is_from_the_login_to_the_closed_door() -> None:
    """It needs both the incident, which knows the login, and the door."""
    tally = Tally.of([takeover(ANNA), takeover(BEN)])
    attempt(tally, ANNA, Outcome.IN)
    tally.incident(incident(ANNA, revised=5000))
    assert tally.closing_times() == []

    tally.raids[ANNA].closed_ms = 5120

    assert tally.closing_times() == [120]


def test_a_further_revision_is_no_new_incident() -> None:
    """Revisions of an incident keep its id; the first one is what counts."""
    tally = Tally.of([takeover(ANNA)])
    attempt(tally, ANNA, Outcome.IN)

    assert tally.incident(incident(ANNA, revised=5000))
    assert not tally.incident(incident(ANNA, revised=9000))
    assert tally.raids[ANNA].incident == incident(ANNA, revised=5000)


def test_honest_people_who_are_blocked_are_counted() -> None:
    """A block of an account without a thief, or before its thief came, is a false alarm."""
    tally = Tally.of([takeover(ANNA), takeover(BEN)])
    attempt(tally, ANNA, Outcome.IN)
    for account in (ANNA, BEN, CLARA):
        tally.block({"account": account, "state": "blocked"})

    assert tally.honest_blocked == [BEN, CLARA]


def test_a_thief_who_finds_the_account_blocked_already_is_caught() -> None:
    """An earlier incident that keeps the thief out counts as catching them."""
    tally = Tally.of([takeover(ANNA)])
    tally.incident(incident(ANNA))

    attempt(tally, ANNA, Outcome.REFUSED)

    assert tally.raids[ANNA].over
    assert tally.has_incident(ANNA)
    assert not tally.has_incident(BEN)


def test_owners_who_are_refused_are_told_from_thieves() -> None:
    """While an account is blocked its owner is refused, too; that is no refused thief."""
    tally = Tally.of([takeover(ANNA)])

    attempt(tally, ANNA, Outcome.REFUSED, thief=False)

    assert tally.owners_refused == 1
    assert tally.raids[ANNA].refused == 0


def test_nobody_is_not_everybody() -> None:
    """Without thieves nothing was shown."""
    assert not Tally().all_over


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], None), ([7], (7, 7)), ([1, 2, 3, 10], (2.5, 10)), (list(range(1, 201)), (100.5, 198))],
)
def test_median_and_99th_percentile(times: list[int], expected: tuple[float, int] | None) -> None:
    """The percentile is the nearest rank: at least 99 of 100 times are not longer."""
    assert middle_and_tail(times) == expected
