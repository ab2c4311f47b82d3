"""The states of a round and what Kafka has acknowledged of them, on a real Kafka; several leaders on librdkafka's."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from time import monotonic

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaError

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.errors import DeliveryError
from streams.settings import Settings
from streams.topology import changelog
from streams.worker import produce, state_delivery
from streams.worker.lease import Lease, LeaseLostError
from streams.worker.state_delivery import StateDeliveries
from tests.eventually import eventually_async
from tests.guarded_kafka import GuardedKafka
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import Seen, configure, everything
from tests.worker.test_batch_writer import laid_out

pytestmark = pytest.mark.kafka

Placed = tuple[int, bytes, bytes | None]


def stage(number: int, word: str = "value", size: int = 0) -> list[Placed]:
    """Records of many accounts over four partitions; each account once."""
    return [
        (index % 4, b"user%d@example.org" % index, b"%s %d %s" % (word.encode(), index, bytes(size)))
        for index in range(number)
    ]


class Sender:
    """Deliveries of a member of a group, whose heartbeats are answered as long as its lease is fresh."""

    def __init__(self, settings: Settings, session_timeout_s: float = 30) -> None:
        self.lease = Lease(session_timeout_s, 60)
        self.lease.joined()
        self.repeats: list[float] = []
        self.settings = settings
        self.topic = changelog(settings).name
        self.deliveries = StateDeliveries(
            settings, self.lease, self.topic, on_repeat=lambda: self.repeats.append(monotonic())
        )
        self._renewing = asyncio.ensure_future(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self.lease.fresh():
                self.lease.renewed(monotonic(), rebalancing=False)

    async def __call__(self, records: Sequence[Placed], epoch: int | None = None) -> None:
        await self.deliveries.deliver(*laid_out(records), self.lease.epoch if epoch is None else epoch)

    async def found(self) -> list[Seen]:
        return await asyncio.to_thread(everything, self.settings, self.topic)

    async def close(self) -> None:
        self._renewing.cancel()
        await self.deliveries.close()


@pytest.fixture
async def sender(kafka_settings: Settings) -> AsyncIterator[Sender]:
    """A member on the shared Kafka, with a changelog of its own."""
    made = Sender(kafka_settings)
    yield made
    await made.close()


def by_partition(records: Sequence[Placed]) -> dict[int, list[tuple[bytes, bytes | None]]]:
    parted = defaultdict(list)
    for partition, key, value in records:
        parted[partition].append((key, value))
    return dict(parted)


def seen_by_partition(seen: Sequence[Seen]) -> dict[int, list[tuple[bytes, bytes | None]]]:
    return by_partition([(record.partition, record.key or b"", record.value) for record in seen])


async def test_a_delivered_stage_is_on_the_changelog(sender: Sender) -> None:
    """Every record once, in its partition, in order, tombstones too; over many batches, and a second stage after it."""
    records: list[Placed] = [
        *stage(9_000, size=150),
        (2, b"gone@example.org", None),
        (1, b"large@example.org", bytes(900_000)),
    ]

    await sender(records)
    await sender([])
    await sender(stage(3, "again"))

    assert seen_by_partition(await sender.found()) == by_partition([*records, *stage(3, "again")])
    assert not sender.repeats


async def test_a_stage_without_an_answer_is_sent_again_and_taken_once(
    kafka: KafkaBroker, kafka_settings: Settings
) -> None:
    """A broker that hangs for longer than a record may wait loses nothing and gets nothing twice."""
    sender = Sender(kafka_settings, session_timeout_s=1.5)
    await sender(stage(1, "first"))
    kafka.pause()
    try:
        delivering = asyncio.ensure_future(sender(stage(20_000, size=150)))
        await eventually_async(lambda: sender.repeats, 30, what="the stage is repeated")
        assert not delivering.done()
    finally:
        kafka.resume()

    await asyncio.wait_for(delivering, 60)

    assert seen_by_partition(await sender.found()) == by_partition([*stage(1, "first"), *stage(20_000, size=150)])
    await sender.close()


async def test_a_stage_waits_for_kafka_to_come_back(fresh_kafka: KafkaBroker) -> None:
    """Away at the start, and away in the middle: delivered as soon as it answers, once."""
    fresh_kafka.kill()
    sender = Sender(fresh_kafka.settings, session_timeout_s=6)
    delivering = asyncio.ensure_future(sender(stage(100)))
    await eventually_async(lambda: sender.deliveries.last_error, 30, what="it is said that Kafka is away")
    await asyncio.to_thread(fresh_kafka.start)
    await asyncio.wait_for(delivering, 60)
    assert sender.deliveries.last_error is None

    await asyncio.to_thread(fresh_kafka.kill)
    delivering = asyncio.ensure_future(sender(stage(100, "second")))
    await eventually_async(lambda: sender.deliveries.last_error, 30, what="it is said again")
    await asyncio.to_thread(fresh_kafka.start)
    await asyncio.wait_for(delivering, 60)

    assert seen_by_partition(await sender.found()) == by_partition([*stage(100), *stage(100, "second")])
    await sender.close()


async def test_a_refused_record_is_an_error(sender: Sender) -> None:
    """What Kafka refuses for good is not repeated and not passed over; a batch that is too large alone is made smaller."""
    configure(sender.settings, sender.topic, max_message_bytes="1000")

    with pytest.raises(DeliveryError, match="changelog was not delivered"):
        await until_refused(sender)
    await sender(stage(40, "after"))

    after = [(key, value) for key, value in seen_by_partition(await sender.found())[3] if value and b"after" in value]
    assert after == by_partition(stage(40, "after"))[3]


async def until_refused(sender: Sender) -> None:
    """The broker takes a configuration in a moment after it has accepted it."""
    for _ in range(500):
        await sender([*stage(40), (0, b"a", bytes(5000))])


async def test_a_record_too_large_for_a_batch_is_an_error(sender: Sender) -> None:
    """It is refused before it is sent."""
    with pytest.raises(DeliveryError, match="too large"):
        await sender([(0, b"a", bytes(2_000_000))])

    assert await sender.found() == []


async def test_positions_outside_of_the_bytes_are_refused(sender: Sender) -> None:
    """Nothing that lies behind the array is sent."""
    data, records = laid_out(stage(10))
    records[7, 4] = len(data) + 1

    with pytest.raises(ValueError, match="record 7 is not within"):
        await sender.deliveries.deliver(data, records, sender.lease.epoch)

    assert await sender.found() == []


async def test_a_changelog_that_is_not_there_is_an_error(
    kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka answers and does not know the topic: that is not waited with for ever."""
    monkeypatch.setattr(state_delivery, "UNKNOWN_S", 0.3)
    sender = Sender(kafka_settings.model_copy(update={"app": "no-such"}))

    with pytest.raises(DeliveryError, match="Kafka does not know the topic"):
        await sender(stage(4))
    await sender.close()


async def test_nothing_is_sent_for_a_membership_that_is_over(sender: Sender) -> None:
    """A stage begun before the loss ends with an error and leaves no record."""
    epoch = sender.lease.epoch
    sender.lease.lost()
    sender.lease.joined()

    with pytest.raises(LeaseLostError):
        await sender(stage(10), epoch)

    assert await sender.found() == []


async def test_a_membership_that_ends_while_kafka_hangs_ends_the_stage(
    kafka: KafkaBroker, kafka_settings: Settings
) -> None:
    """What was on its way then does not come after what the next membership writes."""
    sender = Sender(kafka_settings)
    await sender(stage(4, "first"))
    kafka.pause()
    try:
        delivering = asyncio.ensure_future(sender(stage(20_000, "old", size=150)))
        await asyncio.wait({delivering}, timeout=0.5)
        sender.lease.lost()
        sender.lease.joined()
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(delivering, 10)
    finally:
        kafka.resume()

    await sender(stage(4, "new"))

    for number, pairs in seen_by_partition(await sender.found()).items():
        assert pairs[-1] == by_partition(stage(4, "new"))[number][0]
    await sender.close()


async def test_a_request_is_not_finished_when_the_lease_runs_out_on_the_way(sender: Sender) -> None:
    """A worker that was frozen while it wrote does not send the rest: Kafka gets a part of a request, and takes nothing."""
    await sender(stage(4, "first"))
    connection = await sender.deliveries._brokers.leader(0)
    waiting = state_delivery.Stage(*laid_out(stage(8_000, "old", size=150)), 4)
    request = sender.deliveries._request(waiting, connection, waiting.partitions())
    pieces = len(list(produce._pieces(request.body)))
    looks = 0

    def runs_out() -> bool:
        nonlocal looks
        looks += 1
        return looks <= pieces  # the size and all pieces but the last

    with pytest.raises(KafkaConnectionError, match="broken off"):
        await connection.produce(request.body, runs_out)
    connection.drop()
    await sender(stage(4, "new"))

    assert seen_by_partition(await sender.found()) == by_partition([*stage(4, "first"), *stage(4, "new")])


async def test_a_stale_lease_is_waited_for(sender: Sender) -> None:
    """Nothing is written until a heartbeat has been answered, then everything is."""
    sender.lease._renewed = monotonic() - 20
    delivering = asyncio.ensure_future(sender(stage(10)))
    await asyncio.wait({delivering}, timeout=0.3)
    assert not delivering.done()
    assert not sender.repeats

    sender.lease.renewed(monotonic(), rebalancing=False)
    await asyncio.wait_for(delivering, 30)

    assert len(await sender.found()) == 10


@pytest.mark.parametrize("lost", ["place", "epoch"])
async def test_a_producer_that_kafka_does_not_follow_goes_on(sender: Sender, lost: str) -> None:
    """With a new epoch when the numbers do not fit, under a new id when it was fenced."""
    await sender(stage(8, "first"))
    if lost == "place":
        sender.deliveries._sequences[1] += 5
    else:
        sender.deliveries._next_epoch()
        await sender(stage(8, "second"))
        identity = sender.deliveries._producer
        assert identity is not None
        sender.deliveries._producer = (identity[0], identity[1] - 1)

    await sender(stage(8, "last"))

    for number, pairs in seen_by_partition(await sender.found()).items():
        assert pairs[-2:] == by_partition(stage(8, "last"))[number]


@pytest.mark.parametrize("by", ["PLAIN", "SCRAM-SHA-512", "certificate"])
async def test_states_are_delivered_over_tls(guarded_kafka: GuardedKafka, by: str) -> None:
    """With a password or a client certificate, in requests of several pieces."""
    guarded_kafka.wipe()
    guarded_kafka.with_topics()
    settings = guarded_kafka.by_certificate() if by == "certificate" else guarded_kafka.by_password(by)
    sender = Sender(settings)

    await sender(stage(10_000, size=150))

    assert seen_by_partition(await sender.found()) == by_partition(stage(10_000, size=150))
    await sender.close()


async def test_several_leaders_and_passing_errors() -> None:
    """Each leader gets its partitions; what one refuses for the moment is sent again, and nothing else is."""
    with EmbeddedBroker(Settings(partitions=4), brokers=3) as broker:
        sender = Sender(broker.settings)
        await sender(stage(200, "first"))
        broker.fail(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 3)

        await sender(stage(200, "second"))

        assert seen_by_partition(await sender.found()) == by_partition([*stage(200, "first"), *stage(200, "second")])
        assert len(sender.deliveries._brokers._connections) > 1
        await sender.close()


def test_what_is_used_of_aiokafkas_connection_exists() -> None:
    """An upgrade that renames it must not pass by."""
    names = {*vars(AIOKafkaConnection), *AIOKafkaConnection.__init__.__code__.co_names}
    assert set(produce.USED) <= names
