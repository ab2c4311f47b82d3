"""The follower on the embedded broker: each record counts once, whatever is killed, wiped or made anew."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text

from streams.bus.embedded import EmbeddedBroker
from streams.bus.partitions import watermarks
from streams.bus.tail import tail
from streams.panel.store import EVERYTHING, Store, incidents, ingest
from streams.panel.store.follower import Follower
from streams.panel.store.login_counts import per_hour
from streams.panel.store.reading import Item
from streams.panel.store.tables import DEED, HOURLY, INCIDENT
from streams.settings import Settings
from streams.topology import DEAD_LETTERS
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.panel.store.conftest import require_postgres
from tests.panel.store.feeding import CODEC, content, produce
from tests.panel.store.population import HOUR_MS, START_MS, Population
from tests.panel.store.population import Record as Value
from tests.panel.store.postgres_server import PostgresServer

WAIT_S = 30
WATERMARKS = "streams.panel.store.follower.watermarks"


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


def produce_logins(broker: EmbeddedBroker | KafkaBroker, number: int) -> None:
    login = {"time": START_MS, "account": "a@example.org", "ip": "192.0.2.1", "success": True, "service": "imap"}
    login |= dict.fromkeys(("id", "session", "server", "client", "failure"))
    produce(broker, [("logins", f"a{n}@example.org", login) for n in range(number)])


def letters_of(broker: EmbeddedBroker) -> list[Value]:
    """The dead letters on a broker."""
    return [CODEC.decode("DeadLetter", record.value or b"") for record in tail(broker.settings, [DEAD_LETTERS])]


def once(act: Callable[[], None]) -> Callable[[], None]:
    """Does it the first time that it is called."""
    calls = itertools.count()
    return lambda: None if next(calls) else act()


def long_text() -> str:
    """3,000 bytes that do not pack."""
    draw = random.Random(1)
    return "".join(chr(draw.randrange(0x4E00, 0x9F00)) for _ in range(1000))


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


def test_a_wipe_while_a_follower_begins_is_noticed(
    embedded: EmbeddedBroker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`panel rebuild` beside a panel that starts: it knows where it was left, and asks Kafka for the ends meanwhile."""
    produce(embedded, Population(10).story(20))
    follow_to_the_end(embedded, store)
    before = content(store)
    wipe = once(store.wipe_read_model)
    monkeypatch.setattr(WATERMARKS, lambda *arguments: (wipe(), watermarks(*arguments))[1])

    with following(embedded, store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        eventually(lambda: content(store) == before, WAIT_S)


def test_a_wipe_while_logins_are_counted_is_noticed(
    embedded: EmbeddedBroker, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are counted again, and not only those since the last look."""
    now, wipe = [START_MS], once(sqlite_store.wipe_read_model)
    produce_logins(embedded, 20)
    with following(embedded, sqlite_store, clock_ms=lambda: now[0]) as follower:
        assert follower.caught_up.wait(WAIT_S)
        produce_logins(embedded, 5)
        monkeypatch.setattr(
            "streams.panel.store.login_counts.per_hour", lambda *arguments: (wipe(), per_hour(*arguments))[1]
        )
        now[0] += HOUR_MS

        eventually(lambda: sum(_logins(sqlite_store)) == 25, WAIT_S)


@pytest.mark.postgres
def test_a_batch_that_comes_within_a_wipe_is_not_wiped_in_part(
    embedded: EmbeddedBroker, postgres: PostgresServer
) -> None:
    """Its incidents would be known when they are read again, and never be counted."""
    population = Population(11)
    more = once(
        lambda: produce(embedded, [("incidents", "a@d0000.example", population.incident(account="a@d0000.example")[0])])
    )
    with Store(postgres.database()) as store, following(embedded, store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        produce(embedded, population.story(1))
        eventually(lambda: _number_of_incidents(store) == 1, WAIT_S)

        @event.listens_for(store.engine, "before_cursor_execute")
        def meanwhile(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("DELETE FROM network"):  # incidents are deleted, counts and offsets are not
                more()
                eventually(lambda: _waits(store) or _number_of_incidents(store) > 1, WAIT_S)

        store.wipe_read_model()

        eventually(lambda: _number_of_incidents(store) == 2, WAIT_S)
        eventually(lambda: follower.lag() == 0 and follower.problem() is None, WAIT_S)
        found = content(store)
    with Store(postgres.database()) as store:
        follow_to_the_end(embedded, store)
        assert content(store) == found


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


@pytest.mark.postgres
def test_a_database_that_goes_and_comes_is_waited_for(embedded: EmbeddedBroker) -> None:
    """One panel follows and one stands by while PostgreSQL is stopped hard: both say so, and go on when it is back."""
    require_postgres()
    with PostgresServer() as server:
        url = server.database()
        with (
            Store(url) as one,
            Store(url) as other,
            following(embedded, one) as first,
            following(embedded, other) as second,
        ):
            assert first.caught_up.wait(WAIT_S)
            assert second.caught_up.wait(WAIT_S)
            server.pause()
            for follower in (first, second):
                eventually(lambda it=follower: "does not answer" in (it.last_error or it.failure or ""), WAIT_S)

            server.resume()
            produce(embedded, Population(12).story(3))

            eventually(lambda: _number_of_incidents(one) == 3, WAIT_S)
            eventually(lambda: (first.problem(), second.problem()) == (None, None), WAIT_S)


@pytest.mark.postgres
def test_a_database_that_takes_no_changes_is_waited_for(embedded: EmbeddedBroker) -> None:
    """A primary that was demoted, or that an operator has closed."""
    require_postgres()
    with (
        PostgresServer() as server,
        Store(server.database()) as store,
        following(embedded, store) as follower,
        store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as operator,
    ):
        assert follower.caught_up.wait(WAIT_S)
        operator.execute(text("ALTER SYSTEM SET default_transaction_read_only = on"))
        operator.execute(text("SELECT pg_reload_conf()"))
        eventually(lambda: operator.execute(text("SHOW default_transaction_read_only")).scalar() == "on")
        produce(embedded, Population(13).story(3))
        eventually(lambda: "takes no changes" in (follower.problem() or ""), WAIT_S)

        operator.execute(text("SET default_transaction_read_only = off"))
        operator.execute(text("ALTER SYSTEM RESET default_transaction_read_only"))
        operator.execute(text("SELECT pg_reload_conf()"))

        eventually(lambda: _number_of_incidents(store) == 3, WAIT_S)
        eventually(lambda: follower.problem() is None, WAIT_S)


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

    assert sorted((letter["topic"], letter["reason"], letter["process"]) for letter in letters_of(embedded)) == [
        ("incidents", "unstorable", "panel"),
        ("policies", "bad-key", "panel"),
    ]
    assert _number_of_incidents(store) == 1


@pytest.mark.parametrize("network", ["somewhere", "192.0.2.0/40", "192.0.2.0/" + "1" * 5000])
def test_an_incident_with_a_network_that_is_none_becomes_a_dead_letter(
    embedded: EmbeddedBroker, sqlite_store: Store, network: str
) -> None:
    """With the reason that every reader gives of such a network."""
    population = Population(14)
    good, bad = population.incident()[0], population.incident()[0]
    bad["networks"] = [{**bad["networks"][0], "network": network}]
    produce(embedded, [("incidents", found["account"], found) for found in (bad, good)])

    follow_to_the_end(embedded, sqlite_store)

    assert [letter["reason"] for letter in letters_of(embedded)] == ["bad-network"]
    assert _number_of_incidents(sqlite_store) == 1


@pytest.mark.parametrize("field", ["id", "incident"])
def test_a_text_too_long_for_an_index_becomes_a_dead_letter(embedded: EmbeddedBroker, store: Store, field: str) -> None:
    """PostgreSQL has a limit there, which is no reason to wait for it; SQLite has none."""
    population = Population(15)
    good, bad = (population.review(population.incident()[0]) for _ in range(2))
    bad[field] = long_text()
    produce(embedded, [("reviews", found["account"], found) for found in (bad, good)])

    follow_to_the_end(embedded, store)

    on_postgres = store.engine.dialect.name == "postgresql"
    assert [letter["reason"] for letter in letters_of(embedded)] == ["unstorable"] * on_postgres
    assert len(content(store)["review"]) == 2 - on_postgres


def test_a_deed_of_somebody_with_an_endless_name_is_kept(embedded: EmbeddedBroker, store: Store) -> None:
    """The name is cut, as that of a header is: the worker has done what was ordered."""
    actor = long_text()
    order: Value = {"id": "1", "time": START_MS, "account": "a@example.org", "action": "unblock", "actor": actor}
    order |= {"reason": "they called", "minutes": None, "forget": False}
    policy = Population(16).policy("domain:example.org") | {"actor": actor}
    produce(embedded, [("account-commands", "a@example.org", order), ("policies", "domain:example.org", policy)])

    follow_to_the_end(embedded, store)

    assert letters_of(embedded) == []
    with store.reading() as connection:
        assert connection.execute(select(DEED.c.actor)).scalars().all() == [actor[:320]] * 2


def test_people_see_what_they_have_just_done(embedded: EmbeddedBroker, sqlite_store: Store) -> None:
    """Whoever wrote a record can wait until the read model has it."""
    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        seen = sqlite_store.changes.number
        produce(embedded, [("domains", "example.org", {"domain": "example.org", "group": "a/b"})])

        assert follower.wait_for([("domains", 0, 0), ("logins", 0, 99)], WAIT_S)
        assert not follower.wait_for([("domains", 0, 1)], 0)
        assert sqlite_store.changes.wait(seen, WAIT_S, ["rules"]) > seen


def test_records_are_taken_while_the_ends_are_asked_for(
    embedded: EmbeddedBroker, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many partitions that takes seconds, in which people wait for what they have just done."""
    asked, answer = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> tuple[int, int]:
        asked.set()
        answer.wait(WAIT_S)
        return watermarks(*arguments)

    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        monkeypatch.setattr("streams.bus.ends.watermarks", slow)
        assert asked.wait(WAIT_S)

        produce(embedded, [("domains", "example.org", {"domain": "example.org", "group": "a/b"})])
        assert follower.wait_for([("domains", 0, 0)], WAIT_S)

        assert not answer.is_set()
        answer.set()


def test_a_read_model_that_is_filled_anew_is_not_called_ready(
    embedded: EmbeddedBroker, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`panel rebuild` under a running panel: its pages are empty for a while, and it says why."""
    go, write = threading.Event(), ingest.write
    produce(embedded, Population(5).story(5))
    with following(embedded, sqlite_store) as follower:
        assert follower.caught_up.wait(WAIT_S)
        monkeypatch.setattr(ingest, "write", lambda *a: write(*a) if go.wait(WAIT_S) else {})

        sqlite_store.wipe_read_model()
        eventually(lambda: "still being filled" in (follower.problem() or ""), WAIT_S)

        go.set()
        eventually(lambda: follower.problem() is None, WAIT_S)
        assert _number_of_incidents(sqlite_store) == 5


@pytest.mark.kafka
def test_topics_made_anew_under_a_running_follower_are_noticed(
    kafka: KafkaBroker, kafka_settings: Settings, sqlite_store: Store
) -> None:
    """They end before what was read of them: the read model is built again of what is there now."""
    produce(kafka, Population(5).story(40))
    follower = Follower(kafka_settings, CODEC, sqlite_store)
    follower.start()
    try:
        assert follower.caught_up.wait(WAIT_S)

        kafka.wipe()
        kafka.with_topics(app=kafka_settings.app)
        produce(kafka, Population(6).story(5))

        eventually(lambda: _number_of_incidents(sqlite_store) == 5, 60)
        eventually(lambda: follower.problem() is None and follower.lag() == 0, WAIT_S)
    finally:
        follower.stop()  # or it would judge what later tests write on this Kafka


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
    produce_logins(embedded, 20)
    with following(embedded, sqlite_store, clock_ms=lambda: now[0]) as follower:
        assert follower.caught_up.wait(WAIT_S)
        assert _logins(sqlite_store) == [20]

        produce_logins(embedded, 5)
        now[0] += HOUR_MS  # when they are all there: there is one look in this hour

        eventually(lambda: sum(_logins(sqlite_store)) == 25, WAIT_S)


def _logins(store: Store) -> list[int]:
    with store.reading() as connection:
        return list(connection.execute(select(HOURLY.c.logins).where(HOURLY.c.logins > 0)).scalars())


def _number_of_incidents(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(INCIDENT)).scalar_one())


def _waits(store: Store) -> bool:
    """Does somebody wait for a lock of PostgreSQL?"""
    with store.reading() as connection:
        return bool(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())
