"""A run of the simulation: the same seed gives the same bytes, in order, at the wanted rate, with the truth beside."""

import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import orjson
import pytest

from streams.geo import Places
from streams.records.codec import Codec
from streams.simulator import habits
from streams.simulator.people import Population
from streams.simulator.simulation import Event, Options, Simulation, simulate
from streams.simulator.thieves import KINDS, Plan, plan_takeovers
from streams.simulator.world import write_geo

START_MS = 1_767_693_600_000
HOUR_MS = 3_600_000
PLANS = tuple(Plan(kind, 60_000 * (number + 1), 30_000, 1_800_000) for number, kind in enumerate(KINDS))


def run(seed: int = 1, accounts: int = 60, **options: object) -> tuple[Simulation, list[Event]]:
    """An hour of a small population, and its truth."""
    simulation = Simulation(Population(seed, accounts), Options(START_MS, HOUR_MS, **{"takeovers": PLANS, **options}))
    return simulation, list(simulation.events())


def as_bytes(events: list[Event]) -> bytes:
    """Everything about the events."""
    return b"\n".join(orjson.dumps([event.topic, event.timestamp_ms, event.value]) for event in events)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Two runs of one seed are alike to the last byte; another seed is another world."""
    assert as_bytes(run(guesses=0.1)[1]) == as_bytes(run(guesses=0.1)[1])
    assert as_bytes(run(seed=1)[1]) != as_bytes(run(seed=2)[1])


def test_the_order_of_hashes_has_no_influence() -> None:
    """Another process with another hash seed makes the same logins."""
    program = (
        "import hashlib, sys; from tests.simulator.test_simulation import as_bytes, run;"
        " sys.stdout.write(hashlib.sha256(as_bytes(run()[1])).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1


def test_thieves_do_not_change_what_the_honest_do() -> None:
    """The same people log in at the same times from the same addresses, with thieves among them or not."""
    with_thieves = [event.value for event in run()[1] if event.takeover is None]
    without = [event.value for event in run(takeovers=())[1]]

    assert with_thieves == without


def test_events_are_in_order_inside_the_duration() -> None:
    """Times never go back, and each event's time is that of its record."""
    _, events = run(guesses=0.2)

    assert all(first.timestamp_ms <= second.timestamp_ms for first, second in pairwise(events))
    assert all(event.value["time"] == event.timestamp_ms for event in events)
    assert events[0].timestamp_ms >= START_MS
    assert events[-1].timestamp_ms < START_MS + HOUR_MS


def test_records_are_those_of_the_schemas() -> None:
    """Every login and submission has exactly the fields of its record, and can be written to its topic."""
    codec = Codec()
    records = {"logins": "Login", "submissions": "Submission"}
    _, events = run(guesses=0.1)

    assert {event.topic for event in events} == set(records)
    for event in events:
        record = records[event.topic]
        assert codec.decode(record, codec.encode(record, event.value)) == event.value


def test_ids_are_unique() -> None:
    """No two logins, and no two submissions, share an id."""
    _, events = run(guesses=0.2)
    ids = [(event.topic, event.value["id"]) for event in events]

    assert len(set(ids)) == len(ids)


def test_a_rate_is_met() -> None:
    """A wanted rate is the average over a day: above it by day, below it at night."""
    simulation = Simulation(Population(1, 300), Options(START_MS, 24 * HOUR_MS, takeovers=(), submissions=False))
    simulation.set_rate(2.0)

    number = sum(1 for _ in simulation.events())

    assert 0.93 < number / (24 * 3600 * 2.0) < 1.07


def test_the_truth_is_what_the_thieves_did() -> None:
    """Counts, networks and first and last times of each takeover are those of its logins, all inside its time."""
    simulation, events = run()

    assert [takeover.kind for takeover in simulation.takeovers] == list(KINDS)
    assert len({takeover.account for takeover in simulation.takeovers}) == len(KINDS)
    for takeover in simulation.takeovers:
        logins = [event.value for event in events if event.takeover is takeover and event.topic == "logins"]
        assert {login["account"] for login in logins} == {takeover.account}
        assert takeover.logins == len(logins)
        assert (takeover.first_login, takeover.last_login) == (logins[0]["time"], logins[-1]["time"])
        assert takeover.start == takeover.first_login
        assert takeover.last_login < takeover.end
        assert set(takeover.networks) == {login["ip"] for login in logins}
        messages = [event for event in events if event.takeover is takeover and event.topic == "submissions"]
        assert takeover.messages - len(messages) in range(2)


def test_each_kind_of_thief_comes_from_where_it_should(tmp_path: Path) -> None:
    """Abroad: one hoster elsewhere. Home: the victim's country only. Botnet: many countries. Slow: three countries."""
    write_geo(tmp_path / "world.mmdb")
    places = Places([tmp_path / "world.mmdb"])
    simulation, _ = run()
    countries = {takeover.kind: {places.country(ip) for ip in takeover.networks} for takeover in simulation.takeovers}
    homes = {person.account: person.home.provider.country for person in simulation.people}
    abroad, botnet, home, slow = simulation.takeovers

    assert len(countries["abroad"]) == 1
    assert homes[abroad.account] not in countries["abroad"]
    assert len(countries["botnet"]) > 8
    assert len(botnet.networks) == botnet.logins
    assert countries["home"] == {homes[home.account]}
    assert len(countries["slow"]) == 3
    assert homes[slow.account] not in countries["slow"]
    for takeover in simulation.takeovers:
        assert countries[takeover.kind] <= set(takeover.countries)


def test_thieves_send_more_than_the_honest() -> None:
    """A thief's login to the submission service is followed by a burst, an honest one by a message of one's own."""
    simulation, events = run()
    honest = [event.value for event in events if event.topic == "submissions" and event.takeover is None]

    assert max(takeover.messages for takeover in simulation.takeovers) >= habits.SPAM_BURST[0]
    assert honest
    assert all(message["sender"] == message["account"] for message in honest)


def test_guesses_have_the_wanted_share_and_never_succeed() -> None:
    """A fifth of all logins are failing guesses when that is wanted."""
    _, events = run(accounts=400, guesses=0.2, takeovers=(), submissions=False)
    guesses = [event.value for event in events if event.value["id"].startswith("guess")]

    assert not any(guess["success"] for guess in guesses)
    # noon is busier than the average day, on which the share is based
    assert 0.1 < len(guesses) / len(events) < 0.25


def test_takeovers_come_at_the_published_rate_and_mixture() -> None:
    """161 of 100,000 accounts in 180 days; about 7 % of them from the home country."""
    plans = plan_takeovers(
        Population(1, 1_000_000),
        180 * habits.DAY_MS,
        per_thousand_days=habits.TAKEOVERS_PER_THOUSAND_DAYS,
    )

    assert 1609 <= len(plans) <= 1611
    assert 0.05 < sum(plan.kind == "home" for plan in plans) / len(plans) < 0.09


@pytest.mark.parametrize(("tempo", "topic"), [*product((1, 10), ("logins", "submissions"))])
def test_a_faster_tempo_means_more_logins_not_more_places(tmp_path: Path, tempo: float, topic: str) -> None:
    """Ten times the tempo is about ten times the logins, while people move no faster."""
    options = Options(START_MS, HOUR_MS, tempo=tempo, takeovers=())
    number = sum(event.topic == topic for event in simulate(Population(9, 200), options))
    usual = sum(
        event.topic == topic for event in simulate(Population(9, 200), Options(START_MS, HOUR_MS, takeovers=()))
    )

    assert 0.7 * tempo < number / usual < 1.3 * tempo
