"""The states of a round and what Kafka has acknowledged of them, on a real Kafka; several leaders on librdkafka's."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import monotonic

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from structlog.testing import capture_logs

from streams.bus.clients import new_admin
from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.errors import DeliveryError
from streams.settings import Settings
from streams.topology import changelog
from streams.worker import produce, state_delivery
from streams.worker.lease import Lease, LeaseLostError
from streams.worker.state_delivery import StateDeliveries
from tests.bus.certificates import make_certificates
from tests.conftest import require_kafka
from tests.eventually import eventually_async
from tests.guarded_kafka import PASSWORD, GuardedKafka
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import Seen, configure, everything
from tests.worker.test_batch_writer import laid_out

pytestmark = pytest.mark.kafka

INIT_PRODUCER_ID = 22
"""Kafka's number of this request."""
AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""Who comes without a name may do everything, as these tests do; nobody else may do anything."""

Placed = tuple[int, bytes, bytes | None]


def stage(number: int, word: str = "value", size: int = 0, partitions: int = 4) -> list[Placed]:
    """Records of many accounts over the partitions; each account once."""
    return [
        (index % partitions, b"user%d@example.org" % index, b"%s %d %s" % (word.encode(), index, bytes(size)))
        for index in range(number)
    ]


class Sender:
    """Deliveries of a member of a group, whose heartbeats are answered as long as its lease is fresh."""

    def __init__(self, settings: Settings, session_timeout_s: float = 30) -> None:
        self.lease = Lease(session_timeout_s, 60)
        self.repeats: list[float] = []
        self.settings = settings
        self.topic = changelog(settings).name
        self.deliveries = StateDeliveries(
            settings, self.lease, self.topic, on_repeat=lambda: self.repeats.append(monotonic())
        )
        self.lease.joined()  # not before: the first sender of a version compiles
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
    sender.repeats.clear()  # a topic that was just made may have no leader yet
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
    await eventually_async(lambda: sender.deliveries.trouble.sentence, 30, what="it is said that Kafka is away")
    await asyncio.to_thread(fresh_kafka.start)
    await asyncio.wait_for(delivering, 60)
    assert sender.deliveries.trouble.sentence is None

    await asyncio.to_thread(fresh_kafka.kill)
    delivering = asyncio.ensure_future(sender(stage(100, "second")))
    await eventually_async(lambda: sender.deliveries.trouble.sentence, 30, what="it is said again")
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
    many = 16  # leaders are drawn: four partitions have the same one now and then
    first, second = stage(200, "first", partitions=many), stage(200, "second", partitions=many)
    with EmbeddedBroker(Settings(partitions=many), brokers=3) as broker:
        sender = Sender(broker.settings)
        await sender(first)
        broker.fail(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 3)

        await sender(second)

        assert seen_by_partition(await sender.found()) == by_partition([*first, *second])
        assert len(sender.deliveries._brokers._connections) > 1
        await sender.close()


async def test_what_kafka_refuses_for_the_moment_is_told() -> None:
    """Once when it begins, with the topic and Kafka's reason, once when it is over; every repetition is counted."""
    with EmbeddedBroker(Settings(partitions=4)) as broker, capture_logs() as said:
        sender = Sender(broker.settings)
        broker.fail(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 4)
        delivering = asyncio.ensure_future(sender(stage(200)))

        sentence = await eventually_async(lambda: sender.deliveries.trouble.sentence, 30, what="it is said why")
        await asyncio.wait_for(delivering, 30)

        assert sentence == (
            f"Kafka does not take records of {sender.topic}: Broker: Not enough in-sync replicas (NOT_ENOUGH_REPLICAS)"
        )
        assert sender.deliveries.trouble.sentence is None
        assert [(line["log_level"], line.get("topic"), line.get("reason")) for line in said] == [
            ("warning", sender.topic, "Broker: Not enough in-sync replicas (NOT_ENOUGH_REPLICAS)"),
            ("info", sender.topic, None),
        ]
        assert len(sender.repeats) == 4
        await sender.close()


async def test_a_membership_that_ends_takes_its_trouble_with_it() -> None:
    """A worker that has nothing to send any more is ready again, whatever Kafka refuses."""
    with EmbeddedBroker(Settings(partitions=4)) as broker:
        sender = Sender(broker.settings)
        broker.fail(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 100)
        delivering = asyncio.ensure_future(sender(stage(20)))
        await eventually_async(lambda: sender.deliveries.trouble.sentence, 30, what="it is said why")

        sender.lease.lost()
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(delivering, 30)

        assert sender.deliveries.trouble.sentence is None
        await sender.close()


async def test_a_batch_that_arrived_damaged_is_sent_again() -> None:
    """Once in a while a checksum does not fit and the next time does; where it never fits the worker says what may be broken."""
    with EmbeddedBroker(Settings(partitions=4)) as broker:
        sender = Sender(broker.settings)
        for _ in range(2):
            broker.fail(PRODUCE, [KafkaError.INVALID_MSG] * 3)
            await sender(stage(200))

        broker.fail(PRODUCE, [KafkaError.INVALID_MSG] * 100)
        with pytest.raises(DeliveryError, match=r"INVALID_MSG.*The bytes changed on their way"):
            await asyncio.wait_for(sender(stage(200)), 30)

        assert len(sender.repeats) == 6 + state_delivery.MOST_CORRUPT
        await sender.close()


@pytest.mark.parametrize(
    ("request_kind", "code", "right"),
    [
        (PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED, "to describe the topic and to write to it"),
        (INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED, "to write idempotently"),
    ],
)
async def test_a_right_that_is_missing_is_an_error(request_kind: int, code: int, right: str) -> None:
    """Waiting gives nobody a right: it says which one to give."""
    with EmbeddedBroker(Settings(partitions=4)) as broker:
        sender = Sender(broker.settings)
        broker.fail(request_kind, [code] * 100)

        with pytest.raises(DeliveryError, match=rf"authorization failed.*the right {right}"):
            await asyncio.wait_for(sender(stage(20)), 30)
        await sender.close()


async def test_a_topic_that_the_user_may_not_see_is_an_error(tmp_path: Path) -> None:
    """Kafka does not say that it exists: the worker does not look for it, it says which right to give."""
    require_kafka()
    kafka = GuardedKafka(tmp_path)
    kafka.configure(AUTHORIZER)
    with kafka:
        kafka.with_topics()
        sender = Sender(kafka.by_password("PLAIN"))

        with pytest.raises(DeliveryError, match=r"Topic authorization failed.*the right to describe the topic"):
            await asyncio.wait_for(sender(stage(20)), 30)
        await sender.close()


def guard(kafka: GuardedKafka, user: str) -> Settings:
    """Settings of a user that this Kafka does not know yet."""
    kafka.wipe()
    kafka.with_topics()
    return kafka.by_password("SCRAM-SHA-512").model_copy(update={"sasl_username": user})


def change_user(kafka: GuardedKafka, *changes: UserScramCredentialAlteration) -> None:
    admin = new_admin(kafka.settings)
    for future in admin.alter_user_scram_credentials(list(changes)).values():
        future.result(30)


def addition(user: str) -> UserScramCredentialUpsertion:
    return UserScramCredentialUpsertion(user, SCRAM, PASSWORD.encode())


SCRAM = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)


async def test_a_password_that_is_refused_for_a_while_is_waited_with(guarded_kafka: GuardedKafka) -> None:
    """The reason is said, as Kafka gives it, and the states are delivered as soon as Kafka lets the worker in."""
    sender = Sender(guard(guarded_kafka, "newcomer"))
    delivering = asyncio.ensure_future(sender(stage(100)))
    sentence = await eventually_async(lambda: sender.deliveries.trouble.sentence, 30, what="it is said why")
    assert "uthentication failed" in sentence

    await asyncio.to_thread(change_user, guarded_kafka, addition("newcomer"))
    await asyncio.wait_for(delivering, 30)

    assert sender.deliveries.trouble.sentence is None
    assert seen_by_partition(await sender.found()) == by_partition(stage(100))
    await sender.close()


async def test_a_worker_that_kafka_lets_in_no_more_ends(guarded_kafka: GuardedKafka) -> None:
    """Its heartbeats are answered on connections that are older than the new password: it says what to do."""
    settings = guard(guarded_kafka, "leaver")
    await asyncio.to_thread(change_user, guarded_kafka, addition("leaver"))
    sender = Sender(settings, session_timeout_s=4.5)
    await sender(stage(4))
    await asyncio.to_thread(
        change_user, guarded_kafka, UserScramCredentialDeletion("leaver", ScramMechanism.SCRAM_SHA_512)
    )
    sender.deliveries._brokers.drop()

    with pytest.raises(DeliveryError, match=r"uthentication failed.*check sasl_username, the password"):
        await asyncio.wait_for(sender(stage(4)), 30)
    await sender.close()


async def test_a_kafka_whose_certificate_is_not_believed_ends_the_worker(
    guarded_kafka: GuardedKafka, tmp_path: Path
) -> None:
    """The reason is OpenSSL's, not only that there is no connection."""
    settings = guarded_kafka.by_password("PLAIN", ca=make_certificates(tmp_path).ca)
    sender = Sender(settings, session_timeout_s=4.5)

    with pytest.raises(DeliveryError, match=r"certificate verify failed.*the TLS files"):
        await asyncio.wait_for(sender(stage(4)), 30)
    await sender.close()


def test_what_is_used_of_aiokafkas_connection_exists() -> None:
    """An upgrade that renames it must not pass by."""
    names = {*vars(AIOKafkaConnection), *AIOKafkaConnection.__init__.__code__.co_names}
    assert set(produce.USED) <= names
