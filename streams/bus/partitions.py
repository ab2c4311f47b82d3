"""Which partitions topics have and where they end: what every reader without a group asks first."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.bus.clients import Config, Heard, client_config, reason, unavailable
from streams.errors import TopicError
from streams.settings import Settings

Place = tuple[str, int]
"""A topic's name and a partition number."""

ASK_TIMEOUT_S = 5.0
MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)  # noqa: SLF001


def reader_config(settings: Settings, group: str) -> Config:
    """
    Settings of a reader that never commits by itself and never makes topics.

    A group name is needed even by readers that only `assign`; they neither join nor commit.
    """
    return {
        **client_config(settings),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 100,
    }


def bulk_config(settings: Settings, group: str, heard: Heard) -> Config:
    """As `reader_config`, for reading a whole topic fast: a long local queue, refilled without pauses."""
    return {
        **reader_config(settings, group),
        "error_cb": heard,
        "enable.partition.eof": True,
        "queued.min.messages": 200_000,
        "queued.max.messages.kbytes": 65_536,
        "fetch.queue.backoff.ms": 5,  # librdkafka's default of a second would halve the rate
        "max.partition.fetch.bytes": 8 << 20,
    }


def partitions_of(consumer: Consumer, settings: Settings, topics: Sequence[str], heard: Heard) -> list[Place]:
    """
    Every partition of these topics, in order.

    Raises BrokerUnavailableError, and TopicError for a topic that is not there.
    """
    try:
        known = consumer.list_topics(timeout=ASK_TIMEOUT_S).topics
    except KafkaException as error:
        consumer.poll(0)  # serves error_cb
        raise unavailable(settings, error, heard) from error
    missing = [name for name in topics if name not in known or not known[name].partitions]
    if missing:
        raise TopicError(f"there is no topic {', '.join(missing)} on this Kafka: run `loginwatch topics create`")
    return [(name, partition) for name in topics for partition in sorted(known[name].partitions)]


def watermarks(consumer: Consumer, settings: Settings, place: Place) -> tuple[int, int]:
    """First and next offset of a partition, asked from the broker. Raises as `partitions_of`."""
    try:
        return consumer.get_watermark_offsets(TopicPartition(*place), timeout=ASK_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() in MISSING and _is_gone(consumer, place):
            raise TopicError(f"topic {place[0]} is gone: {reason(error)}. Run `loginwatch topics create`") from error
        raise unavailable(settings, error) from error


def _is_gone(consumer: Consumer, place: Place) -> bool:
    """Ask the broker itself: a librdkafka that has just lost its only broker calls every partition unknown."""
    try:
        known = consumer.list_topics(timeout=ASK_TIMEOUT_S).topics
    except KafkaException:
        return False
    return place[0] not in known or place[1] not in known[place[0]].partitions
