"""The panel's PostgreSQL is lost: docs/operations.md, "What is lost with what". Topics tell the read model again."""

import subprocess
from pathlib import Path

import pytest

from streams.cli.store import Store as Topics
from streams.panel.store import Store, people
from streams.panel.store.follower import Follower
from streams.settings import Settings
from streams.topology import BY_NAME
from tests.cli.conftest import Loginwatch
from tests.panel.store.feeding import CODEC, Told, content
from tests.panel.store.population import Population
from tests.panel.store.postgres_server import PostgresServer, binaries
from tests.panel.store.test_people import person

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def tell(settings: Settings, told: list[Told]) -> None:
    """Put records on the topics."""
    topics = Topics(settings)
    for topic, key, value in told:
        raw = None if value is None else topics.codec.encode(BY_NAME[topic].record, value)
        topics.send_raw(topic, key, raw, 0)
    topics.flush(30)


def follow(settings: Settings, store: Store) -> None:
    """What a panel does with a database: read on from where it stands, to the end of the topics."""
    follower = Follower(settings, CODEC, store)
    follower.start()
    assert follower.caught_up.wait(60), follower.problem()
    follower.stop()
    assert follower.failure is None


def names(store: Store) -> list[str]:
    """Who can sign in."""
    with store.reading() as connection:
        return [found.name for found in people.everybody(connection)]


def postgres_program(name: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs."""
    programs = binaries()
    assert programs is not None
    programs = (programs / "initdb").resolve().parent  # where the others are, if only that one is on the path
    subprocess.run([str(programs / name), *arguments], check=True, timeout=60)


def test_a_database_comes_back_from_last_nights_backup_and_the_topics(
    postgres: PostgresServer, kafka_settings: Settings, tmp_path: Path
) -> None:
    """The panel reads on from where the backup stands; only people and deeds of the day in between are lost."""
    backup = str(tmp_path / "panel.dump")
    story = list(Population(1).story(60))
    url = postgres.database()
    with Store(url) as store:
        tell(kafka_settings, story[: len(story) // 2])
        follow(kafka_settings, store)
        person(store, "ann@example.org")
        postgres_program("pg_dump", "--format=custom", f"--file={backup}", url)
        tell(kafka_settings, story[len(story) // 2 :])
        follow(kafka_settings, store)
        person(store, "bob@example.org")
        before = content(store)

    new = postgres.database()
    postgres_program("pg_restore", f"--dbname={new}", backup)

    with Store(new) as store:
        assert content(store) != before
        follow(kafka_settings, store)
        assert content(store) == before
        assert names(store) == ["ann@example.org"]
    assert before["incident"]


def test_without_a_backup_the_topics_tell_everything_but_people(
    postgres: PostgresServer, kafka_settings: Settings, loginwatch: Loginwatch
) -> None:
    """An owner from the command line can let people in again."""
    with Store(postgres.database()) as store:
        tell(kafka_settings, list(Population(2).story(30)))
        follow(kafka_settings, store)
        person(store)
        before = content(store)

    new = postgres.database()
    made = loginwatch("panel", "create-owner", "ann@example.org", env={"panel_database": new})

    with Store(new) as store:
        follow(kafka_settings, store)
        assert {**content(store), "deed": []} == {**before, "deed": []}
        assert names(store) == []
    assert made.code == 0
    assert "it works once" in made.out
