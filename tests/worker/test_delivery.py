"""The barrier between a batch's records and what Kafka has acknowledged, on a real Kafka."""

import asyncio
import random
from time import monotonic

import pytest

from streams.errors import DeliveryError
from streams.settings import Settings
from streams.worker.delivery import Deliveries, Sent
from streams.worker.lease import Lease, LeaseLostError
from tests.eventually import eventually_async
from tests.guarded_kafka import GuardedKafka
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import configure, everything

pytestmark = pytest.mark.kafka


def stage(number: int, topic: str = "incidents") -> list[Sent]:
    return [Sent(topic, b"value %d" % index, f"user{index}@example.org") for index in range(number)]


def member(session_timeout_s: float) -> Lease:
    lease = Lease(session_timeout_s, 60)
    lease.joined()
    return lease


async def test_a_delivered_stage_is_on_the_topic(kafka_settings: Settings) -> None:
    """When the call returns, every record is there, with its key deciding the partition as in Java."""
    lease = member(30)
    deliveries = Deliveries(kafka_settings, lease)

    await deliveries.deliver(stage(1000), lease.epoch)

    found = await asyncio.to_thread(everything, kafka_settings, "incidents")
    assert sorted(record.value for record in found if record.value) == sorted(
        sent.value for sent in stage(1000) if sent.value
    )
    deliveries.close()


async def test_a_stage_without_an_answer_is_sent_again(kafka: KafkaBroker, kafka_settings: Settings) -> None:
    """A broker that hangs for longer than a record may wait loses nothing: the stage is repeated, in order."""
    repeats: list[float] = []
    lease = member(6)
    deliveries = Deliveries(kafka_settings, lease, lambda: repeats.append(monotonic()))
    await deliveries.deliver(stage(1), lease.epoch)
    kafka.pause()
    try:
        delivering = asyncio.ensure_future(deliveries.deliver(stage(500), lease.epoch))
        await eventually_async(lambda: repeats, 30, what="the stage is repeated")
        assert not delivering.done()
        assert deliveries.trouble.sentence is not None
        assert "records of incidents: not acknowledged within 4 s" in deliveries.trouble.sentence
    finally:
        kafka.resume()

    async def renew() -> None:
        while True:
            lease.renewed(monotonic(), rebalancing=False)
            await asyncio.sleep(0.1)

    renewing = asyncio.ensure_future(renew())
    await asyncio.wait_for(delivering, 60)
    renewing.cancel()

    assert deliveries.trouble.sentence is None
    found = await asyncio.to_thread(everything, kafka_settings, "incidents")
    assert {record.value for record in found} == {sent.value for sent in stage(500)}
    deliveries.close()


async def test_a_refused_record_is_an_error(kafka_settings: Settings) -> None:
    """What Kafka refuses for good is not repeated and not passed over."""
    configure(kafka_settings, "incidents", max_message_bytes="1000")
    lease = member(30)
    deliveries = Deliveries(kafka_settings, lease)

    with pytest.raises(DeliveryError, match="a record for incidents was not delivered"):
        await until_refused(deliveries, lease.epoch)
    deliveries.close()


async def until_refused(deliveries: Deliveries, epoch: int) -> None:
    """The broker takes a configuration in a moment after it has accepted it."""
    for _ in range(500):
        await deliveries.deliver([*stage(10), Sent("incidents", random.Random(1).randbytes(5000), "a")], epoch)


async def test_a_record_too_large_for_the_client_is_an_error(kafka_settings: Settings) -> None:
    """librdkafka refuses it before it is sent."""
    lease = member(30)
    deliveries = Deliveries(kafka_settings, lease)

    with pytest.raises(DeliveryError, match="too large"):
        await deliveries.deliver([Sent("incidents", bytes(2_000_000), "a")], lease.epoch)
    deliveries.close()


async def test_a_worker_that_kafka_does_not_let_in_ends(guarded_kafka: GuardedKafka) -> None:
    """After as long as a record may wait; librdkafka itself would try without end and say only that time ran out."""
    lease = member(4.5)
    deliveries = Deliveries(guarded_kafka.by_password("PLAIN", "not-the-password"), lease)

    with pytest.raises(DeliveryError, match=r"not acknowledged within 3 s.*uthentication failed.*check sasl_username"):
        await asyncio.wait_for(deliveries.deliver(stage(10), lease.epoch), 60)
    assert deliveries.trouble.sentence is None
    deliveries.close()


async def test_nothing_is_sent_for_a_membership_that_is_over(kafka_settings: Settings) -> None:
    """A batch begun before the loss ends with an error and leaves no record."""
    lease = member(30)
    deliveries = Deliveries(kafka_settings, lease)
    epoch = lease.epoch
    lease.lost()
    lease.joined()

    with pytest.raises(LeaseLostError):
        await deliveries.deliver(stage(10), epoch)
    deliveries.close()

    assert await asyncio.to_thread(everything, kafka_settings, "incidents") == []
