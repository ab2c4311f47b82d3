"""The follower on the embedded broker: each record counts once, whatever is killed, wiped or made anew."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from streams.bus.embedded import EmbeddedBroker
from streams.bus.tail import tail
from streams.panel.store import EVERYTHING, Store, incidents, ingest
from streams.panel.store.follower import Follower
from streams.panel.store.reading import Item
from streams.panel.store.tables import HOURLY, INCIDENT
from streams.topology import DEAD_LETTERS
from tests.eventually import eventually
from tests.panel.store.feeding import CODEC, content, produce
from tests.panel.store.population import HOUR_MS, START_MS, Population

WAIT_S = 30


@contextmanager
def following(broker: EmbeddedBroker, store: Store, **options: Any) -> Iterator[Follower]:
    follower = Follower(broker.settings, CODEC, store, probe_every_s=0.1, **options)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()
        assert follower.failure is None


def follow_to_the_end(broker: EmbeddedBroker, store: Store, **options: Any) -> None:
    with following(broker, store, **options) as follower:
        assert follower.caught_up.wait(WAIT_S), follower.problem()


def test_what_is_on_the_topics_comes_into_the_database(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """A follower with small batches writes the same rows as one that had all records at once."""
    told = list(Population(1).story(60))
    produce(embedded, told)

    follow_to_the_end(embedded, sqlite_store, batch_records=7)

    with sqlite_store.reading() as connection:
        page = incidents.listed(connection, EVERYTHING, incidents.Wanted(), now_ms=START_MS, size=500)
    assert {row.id for row in page.rows} == {value["id"] for topic, _, value in told if topic == "incidents" and value}
    assert all(
        row.revision == max(v["revision"] for t, _, v in told if t == "incidents" and v and v["id"] == row.id)
        for row in page.rows
    )


def test_a_wiped_read_model_comes_again_from_the_topics(embedded: EmbeddedBroker, store: Store) -> None:
    """After a wipe every row is as it was, and the audit has nothing twice."""
    produce(embedded, Population(2).story(60))
    follow_to_the_end(embedded, store, batch_records=11)
    before = content(store)

    store.wipe_read_model()
    assert content(store)["incident"] == []
    follow_to_the_end(embedded, store, batch_records=500)

    assert content(store) == before
    assert all(
        before[name] for name in ("incident", "network", "block", "review", "policy", "domain", "deed", "hourly")
    )


def test_a_wipe_under_a_running_follower_is_noticed(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """`panel rebuild` beside a running panel: the follower finds that its place is gone, and begins anew."""
    produce(embedded, Population(3).story(20))
    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        before = content(sqlite_store)
        sqlite_store.wipe_read_model()

        eventually(lambda: content(sqlite_store) == before)


def test_a_follower_that_dies_within_a_batch_applies_each_record_once(
    embedded: EmbeddedBroker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies again and again, before and after it has written rows; counts, which would double, are right in the end."""
    produce(embedded, Population(4).story(15))
    write, calls = ingest.write, itertools.count()

    def dying(connection: Connection, found: Sequence[Item]) -> set[str]:
        call = next(calls)
        if call in (1, 8):
            raise RuntimeError("killed before it wrote")
        changed = write(connection, found)
        if call in (3, 4, 12):
            raise RuntimeError("killed before it committed")
        return changed

    monkeypatch.setattr(ingest, "write", dying)
    finished = False
    while not finished:
        follower = Follower(embedded.settings, CODEC, store, batch_records=4)
        follower.start()
        eventually(lambda running=follower: running.failure is not None or running.caught_up.is_set(), WAIT_S)
        follower.stop()
        finished = follower.failure is None
    died = content(store)
    monkeypatch.undo()

    store.wipe_read_model()
    follow_to_the_end(embedded, store)

    assert died == content(store)
    assert next(calls) > 12


def test_a_topic_made_anew_rebuilds_the_read_model(sqlite_store: Store, embedded: EmbeddedBroker) -> None:
    """The database is further than the topics are: they are others now, and what stands there is forgotten."""
    with EmbeddedBroker(embedded.settings) as first:
        produce(first, Population(5).story(40))
        follow_to_the_end(first, sqlite_store)
    produce(embedded, Population(6).story(5))

    follow_to_the_end(embedded, sqlite_store)

    with sqlite_store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(INCIDENT)).scalar_one() == 5


def test_a_broker_that_is_away_is_waited_for(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """While Kafka is away the follower says so; when it is back, it goes on where it was."""
    population = Population(7)
    produce(embedded, population.story(3))
    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        embedded.down()
        eventually(lambda: follower.last_error, WAIT_S)
        assert "may be old" in (follower.problem() or "")

        embedded.up()
        eventually(lambda: follower.last_error is None, WAIT_S)
        produce(embedded, [("incidents", "a@d0000.example", population.incident(account="a@d0000.example")[0])])
        eventually(lambda: _number_of_incidents(sqlite_store) == 4, WAIT_S)


def test_a_bad_record_becomes_a_dead_letter_and_the_rest_goes_on(embedded: EmbeddedBroker, store: Store) -> None:
    """Bytes that are no record, a rule that the worker would refuse, and a number that no database can hold."""
    population = Population(8)
    good, huge = population.incident()[0], population.incident()[0]
    huge["revised"] = (1 << 63) - 1  # its episode would last beyond the last number there is
    policy = population.policy("domain:example.org")
    told = [
        ("incidents", good["account"], good),
        ("incidents", huge["account"], huge),
        ("policies", "domain:other.example", policy),
    ]
    produce(embedded, told)

    follow_to_the_end(embedded, store)

    letters = [CODEC.decode("DeadLetter", record.value or b"") for record in tail(embedded.settings, [DEAD_LETTERS])]
    assert sorted((letter["topic"], letter["reason"], letter["process"]) for letter in letters) == [
        ("incidents", "unstorable", "panel"),
        ("policies", "bad-key", "panel"),
    ]
    assert _number_of_incidents(store) == 1


def test_people_see_what_they_have_just_done(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """Whoever wrote a record can wait until the read model has it."""
    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        seen = sqlite_store.changes.number
        produce(embedded, [("domains", "example.org", {"domain": "example.org", "group": "a/b"})])

        assert follower.wait_for([("domains", 0, 0), ("logins", 0, 99)], WAIT_S)
        assert not follower.wait_for([("domains", 0, 1)], 0)
        assert sqlite_store.changes.wait(seen, WAIT_S, ["rules"]) > seen


def test_a_second_panel_stands_by_and_takes_over(embedded: EmbeddedBroker, database: str) -> None:
    """Two panels on one database: one writes, the other hears of changes, and follows when the first is gone."""
    population = Population(9)
    with Store(database) as one, Store(database) as other:
        first, second = Follower(embedded.settings, CODEC, one), Follower(embedded.settings, CODEC, other)
        first.start()
        assert first.caught_up.wait(WAIT_S)
        second.start()
        assert second.caught_up.wait(WAIT_S)
        produce(embedded, population.story(5))
        assert other.changes.wait(0, WAIT_S, ["incidents"]) > 0

        first.stop()
        produce(embedded, [("incidents", "a@d0000.example", population.incident(account="a@d0000.example")[0])])

        eventually(lambda: _number_of_incidents(other) == 6, WAIT_S)
        second.stop()


def test_logins_are_counted_by_the_hour_without_being_read(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """What came before the panel started counts for now, where the broker cannot tell; then every login once."""
    now = [START_MS]
    login = {"time": START_MS, "account": "a@example.org", "ip": "192.0.2.1", "success": True, "service": "imap"}
    login |= dict.fromkeys(("id", "session", "server", "client", "failure"))
    produce(embedded, [("logins", f"a{n}@example.org", login) for n in range(20)])
    with following(embedded, sqlite_store, clock_ms=lambda: now[0]) as follower:
        assert follower.caught_up.wait(WAIT_S)
        assert _logins(sqlite_store) == [20]

        now[0] += HOUR_MS
        produce(embedded, [("logins", f"a{n}@example.org", login) for n in range(5)])

        eventually(lambda: sum(_logins(sqlite_store)) == 25, WAIT_S)


def _logins(store: Store) -> list[int]:
    with store.reading() as connection:
        return list(connection.execute(select(HOURLY.c.logins).where(HOURLY.c.logins > 0)).scalars())


def _number_of_incidents(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(INCIDENT)).scalar_one())
