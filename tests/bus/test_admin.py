"""Topics made and checked, on a real Kafka."""

import shlex
import subprocess

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType
from pydantic import SecretStr

from streams.bus.admin import (
    check_topics,
    config_problems,
    ensure_topics,
    min_insync_replicas,
    replication_factor,
    wait_for_broker,
    writers_timestamps,
)
from streams.bus.clients import new_admin
from streams.bus.embedded import EmbeddedBroker
from streams.errors import BrokerUnavailableError, ConfigurationError, TopicError
from streams.settings import Settings
from streams.topology import BLOCKS, DAY_MS, LOGINS, POLICIES, Topic, all_topics
from tests.eventually import eventually
from tests.kafka_broker import RUN, KafkaBroker

JARS = RUN.parent / "lib"
KEPT = ("logins", "incidents")


def alter(settings: Settings, topic: Topic, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    admin = new_admin(settings)  # a client that is let go of ends its requests
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


@pytest.mark.kafka
def test_topics_are_made_once_and_then_left_alone(kafka: KafkaBroker) -> None:
    """All that are missing, with everything that the topology demands; a second call makes none."""
    kafka.wipe()
    settings = kafka.settings

    assert sorted(ensure_topics(settings)) == sorted(topic.name for topic in all_topics(settings))
    assert ensure_topics(settings) == []
    assert check_topics(settings) == []


@pytest.mark.kafka
def test_missing_topics_are_told_and_only_they_are_made(kafka_settings: Settings) -> None:
    """The others keep their records."""
    other = kafka_settings.model_copy(update={"app": "other"})

    assert check_topics(other) == ["topic other-accounts-changelog is missing: run `loginwatch topics create`"]
    assert ensure_topics(other) == ["other-accounts-changelog"]


@pytest.mark.kafka
def test_every_difference_is_told_with_what_to_do(kafka_settings: Settings) -> None:
    """Partitions, cleanup, timestamps, retention and in-sync replicas; nothing is changed by looking."""
    alter(kafka_settings, LOGINS, "message.timestamp.type", "CreateTime")
    alter(kafka_settings, LOGINS, "retention.ms", "1000")
    alter(kafka_settings, BLOCKS, "cleanup.policy", "compact")
    alter(kafka_settings, BLOCKS, "min.insync.replicas", "2")
    admin = new_admin(kafka_settings)
    admin.create_partitions([NewPartitions(POLICIES.name, 3)])[POLICIES.name].result(30)
    eventually(lambda: len(admin.list_topics(timeout=10).topics[POLICIES.name].partitions) == 3)

    problems = check_topics(kafka_settings)

    assert problems == check_topics(kafka_settings)
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "topic blocks demands 2 copies to acknowledge but has only 1",
        "topic blocks has cleanup.policy=compact, not compact,delete",
        "topic logins has message.timestamp.type=CreateTime, not LogAppendTime",
        "topic logins has retention.ms=1000, not 604800000",
        "topic policies has 3 partitions, not 1",
    ]


@pytest.mark.kafka
def test_the_commands_that_are_told_can_be_typed(kafka_settings: Settings) -> None:
    """Kafka's own tool takes them as they stand, values with commas too, and nothing is left to tell."""
    alter(kafka_settings, LOGINS, "retention.ms", "1000")
    alter(kafka_settings, BLOCKS, "cleanup.policy", "compact")
    eventually(lambda: len(check_topics(kafka_settings)) == 2)
    commands = [shlex.split(problem.split("`")[1]) for problem in check_topics(kafka_settings)]

    for tool, *arguments in commands:
        assert tool == "kafka-configs.sh"
        configs = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", "kafka.admin.ConfigCommand"]
        done = subprocess.run([*configs, *arguments], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    eventually(lambda: check_topics(kafka_settings) == [])


def test_a_command_for_a_kafka_that_asks_who_one_is_names_a_file_for_that() -> None:
    """Without it the tool would wait for an answer; the password itself stands in no sentence."""
    settings = Settings(
        security_protocol="SASL_SSL",
        sasl_username="u",
        sasl_password=SecretStr("hunter2"),
        bootstrap_servers="a:1, b:2",
    )
    [problem] = config_problems(LOGINS, settings, {**LOGINS.config(), "retention.ms": "1000"})

    assert problem.endswith(
        "`kafka-configs.sh --bootstrap-server a:1,b:2 --command-config client.properties"
        " --alter --topic logins --add-config retention.ms=604800000`"
    )


@pytest.mark.kafka
def test_where_one_topic_cannot_keep_the_writers_timestamps_none_does(kafka_settings: Settings) -> None:
    """Else whoever sends would say what time it is, from then on."""
    with (
        pytest.raises(TopicError, match=r"nowhere.*topics create"),
        writers_timestamps(kafka_settings, [LOGINS.name, "nowhere"]),
    ):
        pytest.fail("not to be begun")

    assert check_topics(kafka_settings) == []


@pytest.mark.kafka
def test_another_number_of_partitions_is_told_in_both_directions(kafka_settings: Settings) -> None:
    """Kafka never reduces them, and adding some would move accounts: a migration, not ours to start."""
    more = kafka_settings.model_copy(update={"partitions": 6})
    fewer = kafka_settings.model_copy(update={"partitions": 2})

    assert "topic logins has 4 partitions, not 6: either set partitions to 4" in "\n".join(check_topics(more))
    assert "topic logins has 4 partitions, not 2: set partitions to 4" in "\n".join(check_topics(fewer))
    assert ensure_topics(more) == []


@pytest.mark.kafka
def test_more_copies_than_brokers_are_refused_with_a_sentence(kafka: KafkaBroker) -> None:
    """And told as a difference where the topics exist."""
    kafka.wipe()
    three = kafka.settings.model_copy(update={"replication_factor": 3})

    with pytest.raises(TopicError, match=r"refused to make topic .* with 3 copies on 1 brokers"):
        ensure_topics(three)

    ensure_topics(kafka.settings)
    assert "topic logins has 1 copies, not 3" in "\n".join(check_topics(three))


@pytest.mark.kafka
def test_a_topic_that_another_made_first_is_no_error(kafka: KafkaBroker) -> None:
    """Two operators, or two containers that start at once."""
    kafka.wipe()
    admin = new_admin(kafka.settings)
    admin.create_topics([NewTopic(LOGINS.name, 4, 1)])[LOGINS.name].result(30)
    eventually(lambda: LOGINS.name in admin.list_topics(timeout=10).topics)

    made = ensure_topics(kafka.settings)

    assert LOGINS.name not in made
    assert len(made) == len(all_topics(kafka.settings)) - 1


def test_keeping_records_longer_is_no_problem() -> None:
    """Nor is an order of cleanup policies, nor tuning."""
    found = {**BLOCKS.config(), "cleanup.policy": "delete,compact", "retention.ms": "-1", "segment.bytes": "1"}

    assert config_problems(BLOCKS, Settings(), found) == []
    assert config_problems(BLOCKS, Settings(), {**found, "retention.ms": str(10**15)}) == []


@pytest.mark.parametrize(("brokers", "copies", "acknowledging"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (9, 3, 2)])
def test_copies_follow_the_number_of_brokers(brokers: int, copies: int, acknowledging: int) -> None:
    """As many as there are brokers, at most three; one broker may be away."""
    assert replication_factor(Settings(), brokers) == copies
    assert min_insync_replicas(Settings(), copies) == acknowledging
    assert replication_factor(Settings(replication_factor=5), brokers) == 5
    assert min_insync_replicas(Settings(min_insync_replicas=4), copies) == 4


def test_waiting_for_a_broker_ends_as_soon_as_it_answers(embedded: EmbeddedBroker) -> None:
    """The number of brokers is the answer."""
    assert wait_for_broker(embedded.settings, 20) == 1


def test_a_broker_that_does_not_answer_is_named_with_what_to_check(embedded: EmbeddedBroker) -> None:
    """After the time allowed, not before, and not for ever."""
    embedded.down()

    for ask in (wait_for_broker, ensure_topics, check_topics):
        with pytest.raises(BrokerUnavailableError, match=r"does not answer at 127.* Check bootstrap_servers"):
            ask(embedded.settings, timeout_s=0.5)


def test_a_time_that_an_operator_has_set_is_neither_shorter_nor_longer() -> None:
    """Whoever sets how long logins are kept has promised it to somebody."""
    settings = Settings(retention_days=("logins=3", "incidents=365"))
    logins, incidents = (next(topic for topic in all_topics(settings) if topic.name == name) for name in KEPT)

    assert logins.config()["retention.ms"] == str(3 * DAY_MS)
    assert incidents.config()["retention.ms"] == str(365 * DAY_MS)
    assert config_problems(logins, settings, logins.config()) == []
    [problem] = config_problems(logins, settings, LOGINS.config())
    assert "topic logins has retention.ms=604800000, not 259200000: set it with" in problem


@pytest.mark.parametrize("entry", ["policies=3", "nothing=3"])
def test_a_time_for_what_is_not_kept_for_a_time_is_refused(entry: str) -> None:
    """Tables are kept without end, or policies would be forgotten."""
    with pytest.raises(ConfigurationError, match=r"retention_days: .* is none of logins, "):
        all_topics(Settings(retention_days=(entry,)))


@pytest.mark.kafka
def test_topics_are_made_with_the_times_of_the_settings(kafka: KafkaBroker) -> None:
    """And what was made with other times is told."""
    kafka.wipe()
    settings = kafka.settings.model_copy(update={"retention_days": ("logins=3",)})
    ensure_topics(settings)

    assert check_topics(settings) == []
    assert "topic logins has retention.ms=259200000, not 604800000" in "\n".join(check_topics(kafka.settings))
