"""
Sends the records of a batch by librdkafka and waits until Kafka has acknowledged all of them.

Decision: one barrier per stage instead of one callback per record. librdkafka reports failures only, and a stage is
acknowledged when nothing of it is left in its queues; that costs nothing per record. A failure that says "no answer in
time" repeats the whole stage once the lease is fresh again: the bytes are the same, readers know the ids, and the
order within an account is kept. Any other failure is a DeliveryError, and the worker stops rather than commit past it.

Decision: a worker that Kafka does not let in (`SHUT_OUT`: a password, a certificate) waits for as long as a record may be on
its way, since brokers that start may refuse for a moment; then it is a DeliveryError. A worker that starts reads password and
certificates anew, and waits at its start, saying why. It comes to that only while heartbeats are answered: when the whole of
Kafka refuses it, the lease is not fresh, and the worker waits as it does for a Kafka that is away.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from streams.bus.clients import client_config, new_producer, reason
from streams.errors import DeliveryError
from streams.settings import Settings
from streams.worker.lease import Lease
from streams.worker.trouble import Trouble

POLL_S = 0.0003
"""With this and without Nagle's algorithm a stage of three records takes 3.5 ms instead of 4.7 (median of 200, three turns)."""
CHECK_EVERY = 256
"""The lease is looked at again after so many records, and after the last: less time than `linger.ms` to queue them."""
QUEUE_RECORDS = 200_000
QUEUE_KIB = 512 * 1024
CHECK_TOPIC = "Check the topic (loginwatch topics check), its size limit, and that enough replicas are in sync"
SHUT_OUT = (
    "Kafka has not let this worker in for all that time: check sasl_username, the password, the TLS files, and this user on"
    " the broker; they are read anew when the worker starts"
)
RETRIED = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001


class Sent(NamedTuple):
    """
    One record on its way: the arguments of librdkafka's `produce`, in its order.

    `partition` -1 lets the key decide (murmur2), `timestamp_ms` 0 is now. A plain tuple of the first four will do as well:
    by keywords, and through a record of our own order, sending a state took 1.3 µs instead of 0.7.
    """

    topic: str
    value: bytes | None
    key: str | bytes | None
    partition: int = -1
    callback: None = None
    on_delivery: None = None
    timestamp_ms: int = 0
    headers: list[tuple[str, bytes | None]] | None = None


Stage = Sequence[tuple[Any, ...]]
"""Records to be acknowledged together, each as `Sent`."""


class Deliveries:
    """The worker's producer; one stage of one batch at a time. `trouble` says why it waits."""

    def __init__(self, settings: Settings, lease: Lease, on_repeat: Callable[[], None] = lambda: None) -> None:
        self.trouble = Trouble()
        self._heard: KafkaError | None = None
        self._lease = lease
        self._on_repeat = on_repeat
        self._failures: list[tuple[str, KafkaError]] = []
        self._fatal: KafkaError | None = None
        self._client = new_producer({**_config(settings, lease, self._on_error), "on_delivery": self._on_delivery})

    async def deliver(self, stage: Stage, epoch: int) -> None:
        """
        Return when every record is acknowledged; waits for as long as Kafka is away.

        Raises DeliveryError when Kafka refuses a record, LeaseLostError when the membership of `epoch` has ended.
        """
        if not stage:
            return
        self._client.poll(0)
        self._heard = None  # what went wrong while nothing was sent says nothing of this stage
        try:
            while not await self._sent(stage, epoch):
                self._on_repeat()
        except BaseException:
            self._client.purge()
            self.trouble.given_up()
            raise
        self.trouble.over()

    async def _sent(self, stage: Stage, epoch: int) -> bool:
        """Whether all of it was acknowledged; otherwise it is to be sent again."""
        await self._lease.hold(epoch)
        await self._send(stage, epoch)
        await self._acknowledged(epoch)
        self._raise_unless_retried()
        return not self._failures

    async def _send(self, stage: Stage, epoch: int) -> None:
        self._failures.clear()
        produce = self._client.produce
        for number, record in enumerate(stage, 1):
            while True:
                try:
                    produce(*record)
                    break
                except BufferError:
                    await self._breathe(epoch)
                except KafkaException as error:
                    raise refused(record[0], reason(error)) from error
            if number % CHECK_EVERY == 0:
                self._client.poll(0)
                if not self._lease.fresh():
                    break
        if not self._lease.fresh():
            # perhaps a freeze while they were queued: taken back within the linger, and queued anew if the lease holds
            self._client.purge()
            self._failures.append(("any topic", KafkaError(KafkaError._PURGE_QUEUE)))  # noqa: SLF001 - repeat the stage

    async def _acknowledged(self, epoch: int) -> None:
        while len(self._client):
            await self._breathe(epoch)
        self._client.poll(0)

    async def _breathe(self, epoch: int) -> None:
        self._client.poll(0)
        self._lease.check(epoch)
        if self._fatal is not None:
            raise refused("any topic", self._fatal.str())
        await asyncio.sleep(POLL_S)

    def _raise_unless_retried(self) -> None:
        for topic, error in self._failures:
            if error.code() not in RETRIED:
                raise refused(topic, error.str())
        late = [topic for topic, error in self._failures if error.code() == KafkaError._MSG_TIMED_OUT]  # noqa: SLF001
        if late:
            self._judge_silence(late[0])

    def _judge_silence(self, topic: str) -> None:
        """Of the answers after which it tried again librdkafka tells nothing; of a connection that failed it does."""
        heard = "" if self._heard is None else f": {self._heard.str()}"
        why = f"not acknowledged within {self._lease.delivery_timeout_s:g} s{heard}"
        if self._heard is not None and self._heard.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
            raise refused(topic, why, SHUT_OUT)
        self.trouble.goes_on(topic, why)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append((message.topic() or "", error))

    def _on_error(self, error: KafkaError) -> None:
        if self._heard is None or error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - the least telling one
            self._heard = error
        if error.fatal():
            self._fatal = error

    def close(self) -> None:
        """Let go of what was not acknowledged: its batch is not committed and comes again."""
        self._client.purge()
        self._client.flush(1)


def _config(settings: Settings, lease: Lease, on_error: Callable[[KafkaError], None]) -> dict[str, Any]:
    return {
        **client_config(settings),
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "delivery.timeout.ms": int(lease.delivery_timeout_s * 1000),
        "delivery.report.only.error": True,
        "linger.ms": 1,  # the agent waits for every stage: little is gained by lingering
        "batch.size": 1 << 20,
        "socket.nagle.disable": True,  # a second request waited for the acknowledgement of the first one's packets
        "queue.buffering.max.messages": QUEUE_RECORDS,
        "queue.buffering.max.kbytes": QUEUE_KIB,
        "error_cb": on_error,
    }


def refused(topic: str, why: str, todo: str = CHECK_TOPIC) -> DeliveryError:
    """The error after which the worker stops: which topic, why, and what to do."""
    return DeliveryError(f"a record for {topic} was not delivered: {why}. Nothing was committed past it. {todo}")
