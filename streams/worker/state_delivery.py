"""
Sends the states of a round to the changelog and waits until Kafka has acknowledged all of them.

The contract is that of `delivery`; what differs is the way: batches written by compiled code (`batch_writer`) on connections
of our own (`produce`), because a changelog record cost 1.0 µs of processor time by librdkafka, and costs 0.1 by this.

Decision: one batch of a partition on its way at a time, with a producer id and sequence numbers. So what has got no answer
is sent again as it was, by itself and not with the whole stage, and Kafka takes it once and in order. A stage that is given up
raises the epoch of the producer: whatever of it is still on its way is refused as soon as a later one has been written.
"""

import asyncio
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, TypeVar

import numpy as np
from aiokafka import errors
from confluent_kafka import KafkaError

from streams.engine.compiled.numbers import Bytes
from streams.settings import Settings
from streams.worker.batch_writer import HEADER, Origin, Table, by_partition, compile_now, write_batch
from streams.worker.delivery import CHECK_TOPIC, SHUT_OUT, refused
from streams.worker.lease import Lease
from streams.worker.produce import Brokers, ProduceConnection
from streams.worker.trouble import Trouble

CHECK_S = 0.05
"""So often the membership is looked at while an answer is waited for."""
RETRY_S, LONGEST_RETRY_S = 0.1, 1.0
UNKNOWN_S = 30.0
"""A topic that Kafka does not know for so long is not there."""
BATCH_BYTES = 256 * 1024
LARGEST_BYTES = 1_000_000
"""Of a batch, as librdkafka's `message.max.bytes`; a record above `BATCH_BYTES` gets a batch of its own."""
MOST_CORRUPT = 5
"""A batch whose checksum was wrong when it arrived is sent again so often; librdkafka and Java's client send it again too."""
SEQUENCES = 1 << 31
LAST_EPOCH = (1 << 15) - 1

PLACE = struct.Struct(">ii")
"""Before each batch in a request: its partition and its length."""
TAKEN = (errors.NoError, errors.DuplicateSequenceNumber)
NO_ANSWER = (errors.KafkaError, OSError, TimeoutError)
LOST_ITS_PLACE = (errors.OutOfOrderSequenceNumber, errors.UnknownProducerId)
"""Kafka has forgotten what this producer wrote: it goes on under a new epoch."""
FORBIDDEN = (errors.ClusterAuthorizationFailedError, errors.TopicAuthorizationFailedError)
NOT_LET_IN = (errors.SaslAuthenticationFailed, errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError)
TODO = {
    errors.ClusterAuthorizationFailedError: "Give the worker's user the right to write idempotently",
    errors.TopicAuthorizationFailedError: "Give the worker's user the right to describe the topic and to write to it",
    errors.CorruptRecordException: (
        "The bytes changed on their way, each time: check the network, the memory of this machine, and the brokers' logs"
    ),
}
"""What to do where it is not to check the topic."""

Result = TypeVar("Result")


class Stage:
    """The records that are not acknowledged yet, by partition."""

    def __init__(self, data: bytes | Bytes, records: Table, partitions: int) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.data.flags.writeable = False  # one kind of array for the compiled code
        self.records = np.ascontiguousarray(records, np.int64)
        self._order, starts, wrong = by_partition(self.records, len(self.data), partitions)
        if wrong >= 0:
            raise ValueError(f"record {wrong} is not within {len(self.data)} bytes and {partitions} partitions")
        self._next, self._ends = starts[:-1].tolist(), starts[1:].tolist()

    def partitions(self) -> list[int]:
        """Those with records left."""
        return [number for number, end in enumerate(self._ends) if self._next[number] < end]

    def rows(self, partition: int) -> Table:
        """What is left of a partition, in order."""
        return self._order[self._next[partition] : self._ends[partition]]

    def acknowledged(self, partition: int, count: int) -> None:
        """Kafka has the next so many of a partition."""
        self._next[partition] += count


@dataclass
class Request:
    """Batches for one broker: how many records of which partition."""

    connection: ProduceConnection
    body: memoryview
    counts: dict[int, int]


class StateDeliveries:
    """The worker's producer of changelog records; one stage at a time. `trouble` says why it waits."""

    def __init__(
        self, settings: Settings, lease: Lease, topic: str, on_repeat: Callable[[], None] = lambda: None
    ) -> None:
        self.trouble = Trouble()
        self._lease = lease
        self._topic = topic
        self._partitions = settings.partitions
        self._on_repeat = on_repeat
        self._brokers = Brokers(settings, topic, lease.delivery_timeout_s)
        self._producer: tuple[int, int] | None = None
        self._sequences = [0] * settings.partitions
        self._batch_bytes = BATCH_BYTES
        self._unknown_since: float | None = None
        self._shut_out_since: float | None = None
        self._corrupt = 0
        self._retry_s = RETRY_S
        compile_now()

    async def deliver(self, data: bytes | Bytes, records: Table, epoch: int) -> None:
        """
        Return when every record is acknowledged; waits for as long as Kafka is away.

        `data` holds the bytes; `records` is (n, 5): partition, key start, key end, value start, value end (-1: a tombstone).
        Records of a partition are written in their order. Raises DeliveryError when Kafka refuses a record, LeaseLostError
        when the membership of `epoch` has ended, ValueError for positions outside of `data`.
        """
        stage = Stage(data, records, self._partitions)
        try:
            while waiting := stage.partitions():
                await self._lease.hold(epoch)
                try:
                    await self._send(stage, waiting, epoch)
                except NO_ANSWER as error:
                    await self._without_answer(error, epoch)
        except BaseException:
            self._abandon()
            raise
        self.trouble.over()

    async def close(self) -> None:
        """Let go of what was not acknowledged: its round is not committed and comes again."""
        await self._brokers.close()

    async def _send(self, stage: Stage, waiting: list[int], epoch: int) -> None:
        leaders = await self._held(self._leaders(waiting), epoch)
        if self._producer is None:
            self._producer = await self._held(self._brokers.new_producer_id(), epoch)
            self._sequences = [0] * self._partitions
        self._shut_out_since = None
        requests = [self._request(stage, connection, led) for connection, led in leaders.items()]
        sent = [self._held(each.connection.produce(each.body, self._lease.fresh), epoch) for each in requests]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        declined: dict[int, int] = {}
        for request, answer in zip(requests, answers, strict=True):
            if not isinstance(answer, BaseException):
                self._take(stage, request.counts, answer, declined)
        for code, fewest in declined.items():  # when all that was taken has been counted: the numbers may begin anew
            self._judge(code, fewest)
        missing = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if declined or isinstance(missing, NO_ANSWER):
            self._on_repeat()
        if missing is not None:
            raise missing
        if declined:
            await self._pause(epoch)
        else:
            self._retry_s, self._corrupt = RETRY_S, 0

    async def _leaders(self, waiting: list[int]) -> dict[ProduceConnection, list[int]]:
        if not await self._brokers.partitions() >= set(waiting):
            self._raise_if_unknown_for_long()
            raise errors.UnknownTopicOrPartitionError(self._topic)
        self._unknown_since = None
        found: dict[ProduceConnection, list[int]] = {}
        for partition in waiting:
            found.setdefault(await self._brokers.leader(partition), []).append(partition)
        return found

    def _raise_if_unknown_for_long(self) -> None:
        if self._unknown_since is None:
            self._unknown_since = monotonic()
        if monotonic() - self._unknown_since > UNKNOWN_S:
            raise refused(self._topic, "Kafka does not know the topic, or not as many partitions of it")

    def _request(self, stage: Stage, connection: ProduceConnection, partitions: list[int]) -> Request:
        """One batch of each partition, as long as there is room."""
        out = connection.buffer
        topic = self._topic.encode()
        timeout_ms = int(self._lease.delivery_timeout_s * 1000)
        # no transaction, acks of all, one topic: version 7 of Kafka's ProduceRequest
        head = struct.Struct(f">hhiih{len(topic)}si")
        at, counts = head.size, dict[int, int]()
        for partition in partitions:
            if at + PLACE.size + LARGEST_BYTES > len(out):
                break
            at, counts[partition] = self._batch(stage, partition, out, at)
        head.pack_into(out.data, 0, -1, -1, timeout_ms, 1, len(topic), topic, len(counts))
        return Request(connection, out.data[:at], counts)

    def _batch(self, stage: Stage, partition: int, out: Bytes, at: int) -> tuple[int, int]:
        assert self._producer is not None
        start, rows = at + PLACE.size, stage.rows(partition)
        origin = Origin(*self._producer, self._sequences[partition])
        for largest, some in ((self._batch_bytes, rows), (LARGEST_BYTES, rows[:1])):
            limit = start + largest
            end, count = write_batch(stage.data, stage.records, some, out, start, limit, int(time() * 1000), origin)
            if count:
                PLACE.pack_into(out.data, at, partition, end - start)
                return end, count
        raise refused(self._topic, f"Message size too large: a batch has at most {LARGEST_BYTES} bytes")

    def _take(self, stage: Stage, counts: dict[int, int], answer: Any, declined: dict[int, int]) -> None:
        """Take in what Kafka says to each batch; `declined` gets the error codes, each with the fewest records of a batch."""
        for _, partitions in answer.topics:
            for partition, code, *_ in partitions:
                count = counts[partition]
                if errors.for_code(code) in TAKEN:
                    stage.acknowledged(partition, count)
                    self._sequences[partition] = (self._sequences[partition] + count) % SEQUENCES
                else:
                    declined[code] = min(count, declined.get(code, count))

    def _judge(self, code: int, fewest: int) -> None:
        """Return when it helps to send the batch again. Raises DeliveryError."""
        error = errors.for_code(code)
        if error is errors.MessageSizeTooLargeError and fewest > 1:
            self._batch_bytes = max(self._batch_bytes // 2, HEADER.size)
        elif error in LOST_ITS_PLACE:
            self._next_epoch()
        elif error is errors.InvalidProducerEpoch:
            self._producer = None
        elif error is errors.CorruptRecordException and self._corrupt < MOST_CORRUPT:
            self._corrupt += 1
        elif not error.retriable:
            raise refused(self._topic, _named(code), TODO.get(error, CHECK_TOPIC))
        self._tell(error, _named(code))

    async def _without_answer(self, error: BaseException, epoch: int) -> None:
        why = _why(error)
        if isinstance(error, FORBIDDEN):
            raise refused(self._topic, why, TODO[type(error)]) from error
        self._raise_if_shut_out_for_long(error, why)
        self._tell(error, why)
        self._brokers.drop()
        await self._pause(epoch)

    def _tell(self, error: BaseException | type[BaseException], why: str) -> None:
        """A leader that has moved is found at the second try: that is no trouble."""
        if self._retry_s > RETRY_S or not getattr(error, "invalid_metadata", False):
            self.trouble.goes_on(self._topic, why)

    def _raise_if_shut_out_for_long(self, error: BaseException, why: str) -> None:
        if not _is_shut_out(error):
            self._shut_out_since = None
            return
        if self._shut_out_since is None:
            self._shut_out_since = monotonic()
        if monotonic() - self._shut_out_since > self._lease.delivery_timeout_s:
            raise refused(self._topic, why, SHUT_OUT) from error

    async def _pause(self, epoch: int) -> None:
        """Before something is sent again: ask who leads the partitions now."""
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        with suppress(*NO_ANSWER):  # whoever sends next will say it
            await self._held(self._brokers.refresh(), epoch)

    async def _held(self, work: Coroutine[Any, Any, Result], epoch: int) -> Result:
        """
        What `work` returns, while the membership lasts and for no longer than a record may be on its way.

        Raises LeaseLostError, and TimeoutError; what was on its way is broken off then.
        """
        task = asyncio.ensure_future(work)
        deadline = monotonic() + self._lease.delivery_timeout_s
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=CHECK_S)
                self._lease.check(epoch)
                if not task.done() and monotonic() > deadline:
                    raise TimeoutError(f"no answer within {self._lease.delivery_timeout_s:g} s")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                self._brokers.drop()
            elif not task.cancelled():
                task.exception()  # looked at, even where the membership's end goes first

    def _abandon(self) -> None:
        self.trouble.given_up()
        self._shut_out_since, self._corrupt = None, 0
        self._brokers.drop()
        self._next_epoch()

    def _next_epoch(self) -> None:
        """Records numbered from 0 again, and no older one after them (KIP-360: without a transaction the client counts)."""
        self._sequences = [0] * self._partitions
        if self._producer is not None:
            number, last = self._producer
            self._producer = (number, last + 1) if last < LAST_EPOCH else None


def _named(code: int) -> str:
    """An error of Kafka's in words, and by the name under which it is found."""
    error = KafkaError(code)
    return f"{error.str()} ({error.name()})"


def _why(error: BaseException) -> str:
    """What happened, with what caused it: aiokafka says of a connection only that it is closed."""
    if isinstance(error, errors.BrokerResponseError):
        return ": ".join([_named(error.errno), *map(str, error.args)])
    text, cause = str(error) or type(error).__name__, error.__cause__
    return f"{text}: {_why(cause)}" if isinstance(cause, Exception) else text


def _is_shut_out(error: BaseException) -> bool:
    """Whether Kafka does not accept who we are, or we do not accept Kafka's certificate."""
    if isinstance(error, ssl.SSLError):
        return any(word in (error.reason or "") for word in ("CERTIFICATE", "UNKNOWN_CA"))
    return isinstance(error, NOT_LET_IN) or (error.__cause__ is not None and _is_shut_out(error.__cause__))
