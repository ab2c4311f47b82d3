"""The broker inside librdkafka."""

import pytest
from confluent_kafka.admin import AdminClient

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.errors import DeliveryError, TopicError
from streams.settings import Settings
from streams.topology import LOGINS, all_topics


def partitions(broker: EmbeddedBroker) -> dict[str, int]:
    topics = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def test_it_has_every_topic_with_the_right_number_of_partitions() -> None:
    """As streams/topology.py demands, the changelog included."""
    settings = Settings(partitions=5, app="somewhere")

    with EmbeddedBroker(settings) as broker:
        assert partitions(broker) == {topic.name: topic.partitions(settings) for topic in all_topics(settings)}


def test_several_live_in_one_process_and_know_nothing_of_each_other() -> None:
    """Each has its own address and records."""
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        producer = Producer(one.settings)
        producer.send(LOGINS.name, b"x", key="k")
        producer.flush(10)

        assert len(list(tail(one.settings, [LOGINS]))) == 1
        assert list(tail(other.settings, [LOGINS])) == []


def test_a_topic_that_exists_is_refused(embedded: EmbeddedBroker) -> None:
    """With a sentence that names it."""
    with pytest.raises(TopicError, match="cannot make topic logins with 4 partitions"):
        embedded.create_topic("logins", 4)


def test_records_outlive_an_outage(embedded: EmbeddedBroker) -> None:
    """Down closes connections, it does not forget."""
    producer = Producer(embedded.settings)
    producer.send(LOGINS.name, b"x", key="k")
    producer.flush(10)

    embedded.down()
    producer.send(LOGINS.name, b"y", key="k")
    with pytest.raises(DeliveryError):
        producer.flush(0.2)
    embedded.up()
    producer.flush(30)

    assert [record.value for record in tail(embedded.settings, [LOGINS])] == [b"x", b"y"]


def test_slow_answers_are_slow_and_at_once_again(embedded: EmbeddedBroker) -> None:
    """A round trip longer than the wait is not acknowledged in it."""
    producer = Producer(embedded.settings)
    producer.send(LOGINS.name, b"connected", key="k")
    producer.flush(10)
    embedded.slow(2_000)
    producer.send(LOGINS.name, b"slow", key="k")

    with pytest.raises(DeliveryError, match="did not acknowledge 1"):
        producer.flush(0.1)

    embedded.slow(0)
    producer.flush(30)


def test_closing_twice_is_harmless() -> None:
    """As leaving the with block after an explicit close."""
    with EmbeddedBroker() as broker:
        broker.close()


def test_nothing_is_said_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """librdkafka's warning about mock clusters would open every demo."""
    with EmbeddedBroker():
        pass

    assert capfd.readouterr().err == ""
