"""The bus on a real Kafka: what the embedded broker cannot show."""

import threading

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.bus.clients import new_admin
from streams.bus.consumer import GroupReader
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.bus.view import Record, TableView
from streams.settings import Settings
from streams.topology import BLOCKS, LOGINS, NOTIFICATIONS, POLICIES, Topic, changelog
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

COMPACTING = """
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
"""


def compact_at_once(settings: Settings, topic: Topic) -> None:
    wanted = {"min.cleanable.dirty.ratio": "0.0", "segment.ms": "500", "max.compaction.lag.ms": "500"}
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
    admin = new_admin(settings)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def few(settings: Settings, topic: Topic, producer: Producer) -> list[Record]:
    """All records of the topic once compaction has left less than a hundred; one more record rolls its segment."""
    producer.send(topic.name, b"roll", key="roll", partition=0)
    producer.flush(20)
    records = list(tail(settings, [topic]))
    return records if len(records) < 100 else []


def start_view(settings: Settings, *topics: Topic) -> tuple[TableView, dict[bytes | None, bytes | None]]:
    rows: dict[bytes | None, bytes | None] = {}
    view = TableView(settings, topics, lambda record: rows.__setitem__(record.key, record.value))
    view.start()
    return view, rows


def test_timestamps_are_the_brokers_whatever_the_producer_says(kafka_settings: Settings) -> None:
    """LogAppendTime is the `now` of detection: no sender can choose it."""
    producer = Producer(kafka_settings)
    producer.send(LOGINS.name, b"x", key="k", timestamp_ms=1_000)
    producer.flush(20)

    (record,) = tail(kafka_settings, [LOGINS])

    assert record.timestamp_ms > 1_700_000_000_000


def test_a_view_of_a_compacted_topic_catches_up_over_the_gaps() -> None:
    """Compaction took most records, the newest of them too; the view still knows when it has everything."""
    with KafkaBroker(extra=COMPACTING) as broker:
        settings = broker.with_topics()
        topic = changelog(settings)
        compact_at_once(settings, topic)
        producer = Producer(settings)
        for number in range(30_000):
            producer.send(topic.name, b"%d" % number, key=f"account-{number % 10}", partition=0)
        producer.flush(30)

        records = eventually(lambda: few(settings, topic, producer), 60, what="compaction")

        view, rows = start_view(settings, topic)
        assert view.caught_up.wait(30)
        assert rows == {record.key: record.value for record in records}
        assert view.lag() == 0
        view.stop()


def test_producer_view_and_group_survive_a_broker_that_is_killed_and_started(fresh_kafka: KafkaBroker) -> None:
    """Every record sent meanwhile arrives once and in order; the view says that it may be old, and then does not."""
    settings = fresh_kafka.settings
    view, rows = start_view(settings, POLICIES, BLOCKS)
    assert view.caught_up.wait(30)
    reader = GroupReader(settings, "mailer", [NOTIFICATIONS])
    producer = Producer(settings)
    producer.send(NOTIFICATIONS.name, b"before", key="k")
    producer.flush(20)
    first = eventually(lambda: reader.read(0.1), 30)
    reader.done(first[0])
    reader.commit()

    fresh_kafka.kill()
    for number in range(100):
        producer.send(BLOCKS.name, b"%d" % number, key="user@example.org")
    producer.send(NOTIFICATIONS.name, b"after", key="k")
    problem = eventually(view.problem, 30)
    assert "topics create" not in problem  # librdkafka calls every partition unknown; the topics are not missing
    fresh_kafka.start()
    producer.flush(90)

    eventually(lambda: rows == {b"user@example.org": b"99"}, 60)
    eventually(lambda: view.problem() is None, 30)
    assert [record.value for record in tail(settings, [BLOCKS])] == [b"%d" % number for number in range(100)]
    assert [record.value for record in eventually(lambda: reader.read(0.1), 60)] == [b"after"]
    reader.close()
    view.stop()


def test_a_frozen_broker_delays_and_loses_nothing(fresh_kafka: KafkaBroker) -> None:
    """Connections stay open and nothing is answered for a while."""
    view, rows = start_view(fresh_kafka.settings, POLICIES)
    assert view.caught_up.wait(30)
    producer = Producer(fresh_kafka.settings)

    fresh_kafka.pause()
    producer.send(POLICIES.name, b"x", key="everyone")
    thawing = threading.Timer(3, fresh_kafka.resume)
    thawing.start()
    producer.flush(60)
    thawing.join()

    eventually(lambda: rows == {b"everyone": b"x"}, 30)
    view.stop()


def test_a_view_reads_a_recreated_topic_from_its_start(kafka: KafkaBroker, kafka_settings: Settings) -> None:
    """An operator deleted and made it again: what is on it now counts."""
    producer = Producer(kafka_settings)
    for number in range(5):
        producer.send(POLICIES.name, b"old", key=f"domain:{number}")
    producer.flush(20)
    view, rows = start_view(kafka_settings, POLICIES)
    assert view.caught_up.wait(30)

    kafka.wipe()
    kafka.with_topics(app=kafka_settings.app)
    again = Producer(kafka_settings)
    again.send(POLICIES.name, b"new", key="everyone")
    again.flush(20)

    eventually(lambda: rows.get(b"everyone") == b"new", 60)
    eventually(lambda: view.problem() is None, 30)
    view.stop()
