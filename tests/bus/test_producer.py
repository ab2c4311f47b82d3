"""Sending records, and what happens when they are lost."""

import asyncio
import gc
import threading
import weakref
from contextlib import nullcontext

import pytest

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.errors import DeliveryError
from streams.topology import LOGINS
from tests.eventually import eventually, eventually_async
from tests.kafka_clients import assert_at_most, kafka_clients, uncollected

INIT_PRODUCER_ID = 22
NOT_ENOUGH_REPLICAS, MESSAGE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED = 19, 10, 29, 31
TOO_LARGE = b"x" * 2_000_000  # above librdkafka's and Kafka's default of 1 MB
GIVEN_UP = r"Cluster authorization failed|line FATAL on standard error"
"""Which of the two depends on whether librdkafka tells of the end or of the record first."""


class Waiting:
    """Somebody who is told of a record."""

    def told(self, error: DeliveryError | None) -> None:
        raise AssertionError(f"told {error}")


def test_a_sent_record_arrives_as_it_was(embedded: EmbeddedBroker) -> None:
    """Key, value, timestamp and headers."""
    producer = Producer(embedded.settings)
    producer.send(
        LOGINS.name, b"value", key="user@example.org", timestamp_ms=1_700_000_000_000, headers=[("forwarded", b"1")]
    )
    producer.flush(10)

    (record,) = tail(embedded.settings, [LOGINS])

    assert (record.key, record.value, record.timestamp_ms) == (b"user@example.org", b"value", 1_700_000_000_000)
    assert record.headers == (("forwarded", b"1"),)
    assert len(producer) == 0


def test_a_record_can_be_a_tombstone_and_sent_to_a_chosen_partition(embedded: EmbeddedBroker) -> None:
    """No value; the partition is the caller's."""
    producer = Producer(embedded.settings)
    producer.send(LOGINS.name, None, key=b"k", partition=3)
    producer.flush(10)

    (record,) = tail(embedded.settings, [LOGINS])

    assert (record.value, record.partition) == (None, 3)


def test_errors_that_pass_are_retried_and_nothing_is_lost_or_doubled(embedded: EmbeddedBroker) -> None:
    """Three refusals for want of replicas, then it is taken, once."""
    embedded.fail(PRODUCE, [NOT_ENOUGH_REPLICAS] * 3)
    producer = Producer(embedded.settings)
    producer.send(LOGINS.name, b"once", key="k")
    producer.flush(30)

    assert [record.value for record in tail(embedded.settings, [LOGINS])] == [b"once"]


def test_a_lost_record_is_raised_from_every_later_call(embedded: EmbeddedBroker) -> None:
    """Nobody can go on by not looking, not even one who was told by a callback."""
    embedded.fail(PRODUCE, [TOPIC_AUTHORIZATION_FAILED])
    heard: list[DeliveryError | None] = []
    told: list[DeliveryError] = []
    producer = Producer(embedded.settings, on_fatal=told.append)
    producer.send(LOGINS.name, b"lost", key="k", on_delivery=heard.append)

    with pytest.raises(DeliveryError, match=r"a record for logins was not delivered: .*[Aa]uthorization"):
        producer.flush(30)

    for later in (producer.poll, lambda: producer.flush(1), lambda: producer.send("logins", b"", key="k")):
        with pytest.raises(DeliveryError):
            later()
    assert heard == told == [producer.failure]


@pytest.mark.parametrize("polls_itself", [False, True])
def test_a_producer_that_librdkafka_gives_up_is_a_lost_record(embedded: EmbeddedBroker, polls_itself: bool) -> None:
    """It tells of that by errors of its own, which nobody else has to know."""
    embedded.fail(INIT_PRODUCER_ID, [CLUSTER_AUTHORIZATION_FAILED])
    told: list[DeliveryError] = []
    producer = Producer(embedded.settings, on_fatal=told.append)
    if polls_itself:
        producer.start_polling()
    producer.send(LOGINS.name, b"lost", key="k", on_delivery=lambda _: None)

    if polls_itself:
        eventually(lambda: told, 30)
    with pytest.raises(DeliveryError, match=GIVEN_UP):
        producer.flush(30)
    with pytest.raises(DeliveryError, match=GIVEN_UP):
        producer.close(1)

    assert told == [producer.failure]


def test_a_record_too_large_for_kafka_is_an_error_at_once(embedded: EmbeddedBroker) -> None:
    """It never reaches the queue; the error is remembered like any other."""
    producer = Producer(embedded.settings)

    with pytest.raises(DeliveryError, match="too large"):
        producer.send(LOGINS.name, TOO_LARGE, key="k")
    with pytest.raises(DeliveryError):
        producer.flush(1)


def test_a_reporting_producer_hands_the_error_over_and_goes_on(embedded: EmbeddedBroker) -> None:
    """A door counts the lost record; the next one is delivered."""
    heard: list[DeliveryError | None] = []
    producer = Producer(embedded.settings, policy="report")
    producer.send(LOGINS.name, TOO_LARGE, key="k", on_delivery=heard.append)
    producer.send(LOGINS.name, b"good", key="k", on_delivery=heard.append)
    producer.flush(10)

    assert isinstance(heard[0], DeliveryError)
    assert heard[1:] == [None]


def test_a_reporting_producer_remembers_what_nobody_took(embedded: EmbeddedBroker) -> None:
    """Without `on_delivery` there is nobody to count it."""
    producer = Producer(embedded.settings, policy="report")

    with pytest.raises(DeliveryError):
        producer.send(LOGINS.name, TOO_LARGE, key="k")


def test_a_full_queue_is_refused_at_once_by_a_door(embedded: EmbeddedBroker) -> None:
    """The broker is away and the queue is short: the third report is refused, not waited for."""
    embedded.down()
    heard: list[DeliveryError | None] = []
    producer = Producer(embedded.settings, policy="report", queue_records=2, delivery_timeout_ms=60_000)
    for _ in range(3):
        producer.send(LOGINS.name, b"x", key="k", on_delivery=heard.append)

    assert len(heard) == 1
    assert "queue is full" in str(heard[0])
    embedded.up()
    producer.flush(30)
    assert heard[1:] == [None, None]


def test_a_strict_producer_waits_for_room_in_its_queue(embedded: EmbeddedBroker) -> None:
    """A hundred records through a queue of two."""
    producer = Producer(embedded.settings, queue_records=2, linger_ms=0)
    for number in range(100):
        producer.send(LOGINS.name, b"%d" % number, key="k")
    producer.flush(10)

    assert [record.value for record in tail(embedded.settings, [LOGINS])] == [b"%d" % number for number in range(100)]


def test_a_record_that_is_not_acknowledged_in_time_is_lost(embedded: EmbeddedBroker) -> None:
    """The broker stays away for longer than the delivery timeout."""
    embedded.down()
    producer = Producer(embedded.settings, delivery_timeout_ms=500)
    producer.send(LOGINS.name, b"x", key="k")

    with pytest.raises(DeliveryError, match="timed out"):
        eventually(lambda: producer.poll(0.1) < 0)


def test_flush_says_how_many_are_not_acknowledged_and_they_are_not_lost(embedded: EmbeddedBroker) -> None:
    """The wait ends, the records stay queued, and arrive when the broker is back."""
    embedded.down()
    producer = Producer(embedded.settings)
    producer.send(LOGINS.name, b"x", key="k")
    with pytest.raises(DeliveryError, match="did not acknowledge 1 records"):
        producer.flush(0.3)

    embedded.up()
    producer.flush(30)

    assert [record.value for record in tail(embedded.settings, [LOGINS])] == [b"x"]
    assert producer.failure is None
    assert producer.last_error is None


def test_a_polling_thread_serves_the_callbacks(embedded: EmbeddedBroker) -> None:
    """For processes that send little and do not poll themselves."""
    heard: list[DeliveryError | None] = []
    producer = Producer(embedded.settings, policy="report")
    producer.start_polling()
    producer.send(LOGINS.name, b"x", key="k", on_delivery=heard.append)

    eventually(lambda: heard == [None])

    producer.close()


@pytest.mark.parametrize("polls_itself", [False, True])
@pytest.mark.parametrize("trouble", ["none", "away", "given up", "refused"])
def test_a_closed_producer_leaves_no_threads(embedded: EmbeddedBroker, trouble: str, polls_itself: bool) -> None:
    """Nor connections, whatever became of its records, and without a look for garbage; it takes no more of them."""
    heard: list[DeliveryError | None] = []
    with uncollected():
        clients, threads = kafka_clients(), threading.active_count()
        producer = Producer(embedded.settings, policy="report")
        if trouble == "away":
            embedded.down()
        elif trouble == "given up":
            embedded.fail(INIT_PRODUCER_ID, [CLUSTER_AUTHORIZATION_FAILED])
        elif trouble == "refused":
            embedded.fail(PRODUCE, [TOPIC_AUTHORIZATION_FAILED])
        if polls_itself:
            producer.start_polling()
        for number in range(10):
            producer.send(LOGINS.name, b"%d" % number, key=None, on_delivery=heard.append)
        with pytest.raises(DeliveryError) if trouble in ("away", "given up") else nullcontext():
            producer.close(0.2 if trouble == "away" else 30)

        assert_at_most(clients)
        assert threading.active_count() <= threads
    assert len(producer) == 0
    told = len(heard)
    for later in (producer.poll, lambda: producer.flush(1), lambda: producer.send("logins", b"", key="k")):
        with pytest.raises(DeliveryError):
            later()
    producer.close()
    assert len(heard) == told


def test_what_a_closed_producer_had_is_forgotten_by_all(embedded: EmbeddedBroker) -> None:
    """Records that were never acknowledged hold nothing of the process: not the producer, not who waits for them."""
    embedded.down()
    producer = Producer(embedded.settings)
    waiting = Waiting()
    producer.send(LOGINS.name, b"x", key="k", on_delivery=waiting.told)
    with pytest.raises(DeliveryError, match="did not acknowledge 1 records"):
        producer.close(0)
    assert producer.failure is None

    gone = weakref.ref(producer), weakref.ref(waiting)
    del producer, waiting
    gc.collect()

    assert [one() for one in gone] == [None, None]


async def test_a_polling_task_serves_the_callbacks_on_the_loop(embedded: EmbeddedBroker) -> None:
    """For the doors: callbacks run where the requests run."""
    heard: list[DeliveryError | None] = []
    producer = Producer(embedded.settings, policy="report")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(producer.poll_forever())
        producer.send(LOGINS.name, b"x", key="k", on_delivery=heard.append)
        await eventually_async(lambda: heard == [None])
        task.cancel()
