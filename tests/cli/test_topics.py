"""`loginwatch topics` on a real Kafka."""

import pytest

from streams.bus.clients import new_admin
from streams.topology import TOPICS
from tests.cli.conftest import Loginwatch
from tests.kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka


def test_topics_are_created_once_and_then_as_they_should_be(loginwatch: Loginwatch, kafka: KafkaBroker) -> None:
    """On an empty broker; a second time there is nothing to do, and what is missing or differs is named with code 78."""
    kafka.wipe()
    env = {"bootstrap_servers": kafka.settings.bootstrap_servers, "partitions": "2"}

    missing = loginwatch("topics", "check", env=env)
    created = loginwatch("topics", "create", "--json", env=env).json
    again = loginwatch("topics", "create", env=env)
    checked = loginwatch("topics", "check", env=env)
    differing = loginwatch("topics", "check", "--json", env=env | {"partitions": "3"})

    assert missing.code == 78
    assert "topic logins is missing: run `loginwatch topics create`" in missing.out
    assert sorted(created["created"]) == sorted([*(topic.name for topic in TOPICS), "loginwatch-accounts-changelog"])
    assert again.out.startswith(f"Nothing to create. {len(TOPICS) + 1} topics were there already")
    assert (checked.code, checked.out) == (0, f"All {len(TOPICS) + 1} topics are as they should be.\n")
    assert differing.code == 78
    assert any("topic logins has 2 partitions, not 3" in problem for problem in differing.json["problems"])


def test_topics_are_found_wanting_one_by_one(loginwatch: Loginwatch, kafka: KafkaBroker) -> None:
    """A deleted topic is the only complaint, and `create` brings it back."""
    kafka.wipe()
    env = {"bootstrap_servers": kafka.settings.bootstrap_servers, "partitions": "2"}
    loginwatch("topics", "create", env=env)
    admin = new_admin(kafka.settings)  # answers only as long as it is there
    for future in admin.delete_topics(["reviews"], operation_timeout=30).values():
        future.result(30)

    problems = loginwatch("topics", "check", "--json", env=env).json["problems"]
    created = loginwatch("topics", "create", "--json", env=env).json["created"]

    assert problems == ["topic reviews is missing: run `loginwatch topics create`"]
    assert created == ["reviews"]
