"""
Topics on the broker: made as `streams/topology.py` demands, and compared with it.

Decision: nothing that exists is ever changed or reduced here. A difference is a sentence with what to do, because the
right moment for a change of partitions or retention is the operator's to choose.
"""

import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic
from typing import Any

import structlog
import tenacity
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs forget to export them
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from streams.bus.clients import Heard, new_admin, reason, unavailable
from streams.errors import TopicError
from streams.settings import Settings
from streams.topology import Topic, all_topics

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT_S = 10.0
CREATE_TIMEOUT_S = 30.0
MOST_COPIES_BY_DEFAULT = 3
TIMESTAMPS = "message.timestamp.type"
FOREVER = -1  # retention.ms of a topic that is kept without end


def wait_for_broker(settings: Settings, timeout_s: float) -> int:
    """
    The number of brokers, as soon as Kafka answers; asks again with backoff.

    Raises BrokerUnavailableError when it has not answered within `timeout_s`.
    """
    heard = Heard()
    admin = new_admin(settings, heard)
    deadline = monotonic() + timeout_s

    @tenacity.retry(
        stop=tenacity.stop_after_delay(timeout_s),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2),
        retry=tenacity.retry_if_exception_type(KafkaException),
        reraise=True,
    )
    def ask() -> int:
        return len(admin.list_topics(timeout=max(0.1, min(5.0, deadline - monotonic()))).brokers)

    try:
        return ask()
    except KafkaException as error:
        admin.poll(0)  # serves error_cb
        raise unavailable(settings, error, heard) from error


def ensure_topics(settings: Settings, *, timeout_s: float = ANSWER_TIMEOUT_S) -> list[str]:
    """
    Make the topics that are missing; returns their names. Those that exist are left as they are.

    Raises BrokerUnavailableError, and TopicError when Kafka refuses (rights, too few brokers).
    """
    heard = Heard()
    admin = new_admin(settings, heard)
    brokers, known = _known(admin, settings, heard, timeout_s)
    missing = [topic for topic in all_topics(settings) if topic.name not in known]
    if not missing:
        return []
    copies = replication_factor(settings, brokers)
    made = admin.create_topics(
        [_new_topic(topic, settings, copies) for topic in missing],
        operation_timeout=CREATE_TIMEOUT_S,
        request_timeout=CREATE_TIMEOUT_S,
    )
    created = [name for name, future in made.items() if _created(name, future, settings, copies, brokers)]
    _wait_until_served(admin, settings, created)
    log.info("topics created", topics=created)
    return created


def check_topics(settings: Settings, *, timeout_s: float = ANSWER_TIMEOUT_S) -> list[str]:
    """
    Every difference between the broker's topics and what loginwatch needs, a sentence each; empty = all is well.

    Raises BrokerUnavailableError, and TopicError when Kafka refuses to tell.
    """
    heard = Heard()
    admin = new_admin(settings, heard)
    brokers, known = _known(admin, settings, heard, timeout_s)
    topics = all_topics(settings)
    present = [topic for topic in topics if topic.name in known]
    embedded = is_embedded(admin)
    configs = {} if embedded else _configs(admin, settings, [topic.name for topic in present])
    problems = [
        f"topic {topic.name} is missing: run `loginwatch topics create`" for topic in topics if topic.name not in known
    ]
    copies = replication_factor(settings, brokers)
    for topic in present:
        problems += _partition_problems(topic, settings, known[topic.name])
        if embedded:
            continue  # it has no configurations to tell
        problems += _copy_problems(topic, settings, known[topic.name], copies, configs[topic.name])
        problems += config_problems(topic, settings, configs[topic.name])
    return problems


@contextmanager
def writers_timestamps(settings: Settings, names: Sequence[str]) -> Iterator[None]:
    """
    While it lasts these topics keep the timestamps that records are written with; afterwards the broker's clock again.

    Only for records that had a timestamp of the broker before. Raises BrokerUnavailableError and TopicError.
    """
    admin = new_admin(settings, Heard())
    if is_embedded(admin):  # it keeps them anyway
        yield
        return
    try:
        _set_config(admin, settings, names, TIMESTAMPS, "CreateTime")  # where one topic cannot be set the others were
        yield
    finally:
        _set_config(admin, settings, names, TIMESTAMPS, "LogAppendTime")


def _set_config(admin: AdminClient, settings: Settings, names: Sequence[str], name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry]) for topic in names]
    for resource, future in admin.incremental_alter_configs(resources, request_timeout=ANSWER_TIMEOUT_S).items():
        try:
            future.result(2 * ANSWER_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):  # noqa: SLF001
                raise unavailable(settings, error) from error
            todo = "Give this user the right to alter topic configurations"
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                todo = "Run `loginwatch topics create`"
            raise TopicError(
                f"Kafka refuses to set {name}={value} of topic {resource.name}: {reason(error)}. {todo}"
            ) from error


def is_embedded(admin: AdminClient) -> bool:
    """Whether the broker is the one inside librdkafka, which does not answer requests for configurations."""
    cluster_id = admin.list_topics(timeout=ANSWER_TIMEOUT_S).cluster_id
    return (cluster_id or "").startswith("mockCluster")


def replication_factor(settings: Settings, brokers: int) -> int:
    """Copies of every topic: the setting, or as many as there are brokers, at most 3."""
    return settings.replication_factor or max(1, min(MOST_COPIES_BY_DEFAULT, brokers))


def min_insync_replicas(settings: Settings, copies: int) -> int:
    """Copies that must acknowledge: the setting, or one less than there are, so that one broker may be away."""
    return settings.min_insync_replicas or max(1, copies - 1)


def config_problems(topic: Topic, settings: Settings, found: dict[str, str]) -> list[str]:
    """
    How the configuration found on the broker falls short of the topic's. Keeping records longer is no problem, unless
    an operator has set how long (`retention_days`).

    >>> from streams.topology import LOGINS
    >>> config_problems(LOGINS, Settings(), {**LOGINS.config(), "retention.ms": "-1"})
    []
    """
    problems = []
    for name, wanted in topic.config().items():
        value = found.get(name, "")
        if _falls_short(name, wanted, value) or (topic.retention_is_set and name == "retention.ms" and value != wanted):
            problems.append(
                f"topic {topic.name} has {name}={value or 'nothing'}, not {wanted}: set it with"
                f" `{_command(topic, settings, name, wanted)}`"
            )
    return problems


def _command(topic: Topic, settings: Settings, name: str, value: str) -> str:
    """What an operator types to set it with Kafka's own tool, which takes a value with commas in brackets only."""
    words = ["kafka-configs.sh", "--bootstrap-server", settings.bootstrap_servers.replace(" ", "")]
    if settings.security_protocol != "PLAINTEXT":
        words += ["--command-config", "client.properties"]  # how to sign in is not for a sentence that is logged
    value = f"[{value}]" if "," in value else value
    return shlex.join([*words, "--alter", "--topic", topic.name, "--add-config", f"{name}={value}"])


def _falls_short(name: str, wanted: str, value: str) -> bool:
    if name == "cleanup.policy":
        return set(wanted.split(",")) != set(value.split(","))
    if name == "retention.ms":
        return int(value or 0) != FOREVER and int(value or 0) < int(wanted)
    if name == TIMESTAMPS:
        return value != wanted
    return False  # tuning is the operator's


def _partition_problems(topic: Topic, settings: Settings, found: TopicMetadata) -> list[str]:
    wanted, there = topic.partitions(settings), len(found.partitions)
    if there == wanted:
        return []
    if not topic.by_account:
        advice = "its records would no longer come in one order: make it anew with one partition"
    elif there < wanted:
        advice = f"either set partitions to {there}, if all topics have that many, or migrate to topics with {wanted}"
    else:
        advice = f"set partitions to {there}, if all topics have that many; Kafka never reduces partitions"
    return [f"topic {topic.name} has {there} partitions, not {wanted}: {advice}"]


def _copy_problems(
    topic: Topic, settings: Settings, found: TopicMetadata, copies: int, config: dict[str, str]
) -> list[str]:
    problems = []
    there = min((len(partition.replicas) for partition in found.partitions.values()), default=0)
    if there < copies:
        problems.append(
            f"topic {topic.name} has {there} copies, not {copies}: add some with `kafka-reassign-partitions.sh`,"
            f" or set replication_factor to {there}"
        )
    wanted = min_insync_replicas(settings, copies)
    acknowledging = int(config.get("min.insync.replicas") or 1)
    if acknowledging < wanted:
        problems.append(
            f"topic {topic.name} has min.insync.replicas={acknowledging}, not {wanted}: a broker's loss may lose"
            f" records; set it with `{_command(topic, settings, 'min.insync.replicas', str(wanted))}`"
        )
    elif acknowledging > there:
        problems.append(
            f"topic {topic.name} demands {acknowledging} copies to acknowledge but has only {there}:"
            " nothing can be written; lower min.insync.replicas or add copies"
        )
    return problems


def _new_topic(topic: Topic, settings: Settings, copies: int) -> NewTopic:
    config = {**topic.config(), "min.insync.replicas": str(min_insync_replicas(settings, copies))}
    return NewTopic(topic.name, topic.partitions(settings), copies, config=config)


def _created(name: str, future: "Future[Any]", settings: Settings, copies: int, brokers: int) -> bool:
    """Whether this call made it; False when another was faster."""
    try:
        future.result(2 * CREATE_TIMEOUT_S)  # the request's own end comes first
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if code in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):  # noqa: SLF001
            raise unavailable(settings, error) from error
        raise TopicError(
            f"Kafka refused to make topic {name} with {copies} copies on {brokers} brokers: {reason(error)}."
            " Check replication_factor and this user's right to create topics"
        ) from error
    return True


def _wait_until_served(admin: AdminClient, settings: Settings, names: Sequence[str]) -> None:
    """A topic that was made is known to every broker, and has leaders, only a moment later."""

    @tenacity.retry(
        stop=tenacity.stop_after_delay(CREATE_TIMEOUT_S),
        wait=tenacity.wait_exponential(multiplier=0.05, max=1),
        retry=tenacity.retry_if_result(lambda served: not served),
    )
    def served() -> bool:
        known = _known(admin, settings, None, ANSWER_TIMEOUT_S)[1]
        return all(
            name in known and all(part.leader >= 0 for part in known[name].partitions.values()) for name in names
        )

    try:
        served()
    except tenacity.RetryError as error:
        raise TopicError(
            f"topics {', '.join(names)} were made but no broker serves all of them after {CREATE_TIMEOUT_S:g} s:"
            " look at the brokers' logs"
        ) from error


def _known(
    admin: AdminClient, settings: Settings, heard: Heard | None, timeout_s: float
) -> tuple[int, dict[str, TopicMetadata]]:
    """How many brokers there are, and every topic that this user may see."""
    try:
        cluster = admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        admin.poll(0)  # serves error_cb
        raise unavailable(settings, error, heard) from error
    return len(cluster.brokers), {name: topic for name, topic in cluster.topics.items() if topic.error is None}


def _configs(admin: AdminClient, settings: Settings, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    found = {}
    for resource, future in admin.describe_configs(resources, request_timeout=ANSWER_TIMEOUT_S).items():
        try:
            entries = future.result(2 * ANSWER_TIMEOUT_S)  # the request's own timeout comes first
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):  # noqa: SLF001
                raise unavailable(settings, error) from error
            raise TopicError(
                f"Kafka does not tell the configuration of topic {resource.name}: {reason(error)}."
                " Give this user the right to describe topic configurations"
            ) from error
        found[resource.name] = {name: entry.value or "" for name, entry in entries.items()}
    return found
