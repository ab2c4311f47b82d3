"""Reading topics for people."""

import threading

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import Tail, tail
from streams.errors import BrokerUnavailableError, TopicError
from streams.settings import Settings
from streams.topology import INCIDENTS, REVIEWS, Topic
from tests.eventually import eventually


def send(settings: Settings, *values: bytes, topic: Topic = INCIDENTS) -> None:
    producer = Producer(settings)
    for value in values:
        producer.send(topic.name, value, key="k")
    producer.close()


def test_everything_up_to_the_present_end_is_read_once(embedded: EmbeddedBroker) -> None:
    """Several topics, all partitions; then it ends by itself."""
    send(embedded.settings, *[b"%d" % n for n in range(2_500)])
    send(embedded.settings, b"r", topic=REVIEWS)

    records = list(tail(embedded.settings, [INCIDENTS, REVIEWS]))

    assert [r.value for r in records if r.topic == INCIDENTS.name] == [b"%d" % n for n in range(2_500)]
    assert [r.value for r in records if r.topic == REVIEWS.name] == [b"r"]


def test_what_comes_while_reading_to_the_end_is_left_out(embedded: EmbeddedBroker) -> None:
    """An export ends even on a busy topic."""
    send(embedded.settings, b"before")

    with Tail(embedded.settings, [INCIDENTS]) as reader:
        send(embedded.settings, b"after")
        assert reader.total == 1
        assert [record.value for record in reader.until_end()] == [b"before"]


def test_an_empty_topic_ends_at_once(embedded: EmbeddedBroker) -> None:
    """Nothing to wait for."""
    assert list(tail(embedded.settings, [INCIDENTS])) == []


@pytest.mark.kafka
def test_reading_begins_at_a_time(kafka_settings: Settings) -> None:
    """The first record that the broker took at that time or later, and nothing for a time after the last."""

    def times() -> list[int]:
        send(kafka_settings, b"x")
        return [record.timestamp_ms for record in tail(kafka_settings, [INCIDENTS])]

    taken = eventually(lambda: found if len(set(found := times())) > 1 else [])

    begun = [record.timestamp_ms for record in tail(kafka_settings, [INCIDENTS], start=taken[0] + 1)]
    assert begun == [time for time in taken if time > taken[0]]
    assert list(tail(kafka_settings, [INCIDENTS], start=taken[-1] + 1)) == []


def test_nothing_is_missed_between_opening_at_the_end_and_asking(embedded: EmbeddedBroker) -> None:
    """Open, ask, and only then wait for the answer."""
    send(embedded.settings, b"old")
    with Tail(embedded.settings, [INCIDENTS], start="end") as reader:
        send(embedded.settings, b"answer")

        assert [r.value for r in eventually(lambda: reader.read(0.1))] == [b"answer"]


def test_following_goes_on_until_told_to_stop(embedded: EmbeddedBroker) -> None:
    """Over an outage as well."""
    send(embedded.settings, b"1")
    stop = threading.Event()
    seen = []
    for record in tail(embedded.settings, [INCIDENTS], follow=True, stop=stop):
        seen.append(record.value)
        if seen == [b"1"]:
            embedded.down()
            embedded.up()
            send(embedded.settings, b"2")
        else:
            stop.set()

    assert seen == [b"1", b"2"]


def test_a_missing_topic_and_a_missing_broker_are_errors_that_say_what_to_do(embedded: EmbeddedBroker) -> None:
    """Before anything is read."""
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        Tail(embedded.settings, [Topic("nowhere", "Login", "account", "delete")])

    embedded.down()
    with pytest.raises(BrokerUnavailableError, match="does not answer at 127"):
        Tail(embedded.settings, [INCIDENTS])
