"""Messages are handed over when they come."""

import threading

from confluent_kafka import TopicPartition

from streams.bus.arrivals import arrived
from streams.bus.clients import new_consumer
from streams.bus.embedded import EmbeddedBroker
from streams.bus.partitions import reader_config
from streams.bus.producer import Producer
from streams.topology import POLICIES
from tests.eventually import eventually


def test_one_message_does_not_wait_for_others(embedded: EmbeddedBroker) -> None:
    """A block is no use to a door that waits for five hundred."""
    consumer = new_consumer(reader_config(embedded.settings, "a-reader"))
    consumer.assign([partition_of(POLICIES.name)])
    found: list[bytes | None] = []
    reading = threading.Thread(
        target=lambda: found.extend(each.value() for each in arrived(consumer, 500, 60)), daemon=True
    )
    reading.start()

    producer = Producer(embedded.settings)
    producer.send(POLICIES.name, b"one", key="everyone")
    producer.close()

    eventually(lambda: found == [b"one"], 30)
    reading.join(60)
    assert arrived(consumer, 500, 0) == []
    consumer.close()


def test_all_that_is_there_is_taken_at_once(embedded: EmbeddedBroker) -> None:
    """At most as many as were asked for."""
    producer = Producer(embedded.settings)
    for number in range(10):
        producer.send(POLICIES.name, b"%d" % number, key="everyone")
    producer.close()
    consumer = new_consumer(reader_config(embedded.settings, "a-reader"))
    consumer.assign([partition_of(POLICIES.name)])
    found: list[list[bytes | None]] = []
    while sum(map(len, found)) < 10:
        found.append([each.value() for each in arrived(consumer, 4, 10)])

    assert [value for part in found for value in part] == [b"%d" % number for number in range(10)]
    assert all(len(part) <= 4 for part in found)
    consumer.close()


def partition_of(topic: str) -> TopicPartition:
    return TopicPartition(topic, 0, 0)
