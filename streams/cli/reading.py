"""
Reading topics from a moment to a moment: what `export`, `incidents` and the tables need.

Decision: the partitions of all topics are merged by timestamp, each kept in its own order, so that what is read is one
history that a replay can take in from top to bottom. Memory is bounded: a partition that runs ahead is paused.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from streams.bus.clients import Heard, new_consumer, reason, unavailable
from streams.bus.murmur2 import partition_for
from streams.bus.partitions import (
    ASK_TIMEOUT_S,
    MISSING,
    Place,
    bulk_config,
    partitions_of,
    watermarks,
)
from streams.bus.record import Record, from_message
from streams.errors import BrokerUnavailableError, LoginwatchError, TopicError
from streams.settings import Settings

MOST_WAITING = 20_000
"""Records kept of one partition while others are behind it."""
RESUME_WAITING = 2_000
MOST_QUEUED_KB = 16_384
"""Kilobytes that librdkafka fetches ahead."""
SETTLED_WITHIN_S = 4.0
"""Shorter than a single question to a broker that is away (`ASK_TIMEOUT_S`): that one is not asked twice."""
ASK_AGAIN_S = 0.1
FETCH_RECORDS = 5_000
FETCH_WAIT_S = 0.03
"""librdkafka waits for the whole of it unless that many records are there."""
SILENCE_S = 30.0
"""A broker that says nothing for this long, with records still to come, is taken for gone."""


class Span(NamedTuple):
    """Which records of a topic are wanted, by their Kafka timestamps; None is open."""

    since_ms: int | None = None
    until_ms: int | None = None


class Bounds(NamedTuple):
    """Offsets of a partition: the first that may be wanted, and the one after the last."""

    first: int
    end: int


class History:
    """What is on some topics now, of each within its span, in the order of the timestamps."""

    def __init__(self, settings: Settings, spans: Mapping[str, Span], *, key: str | None = None) -> None:
        """`key` reads only the partition where its records are. Raises BrokerUnavailableError or TopicError."""
        self._settings = settings
        self._spans = spans
        self._heard = Heard()
        config = bulk_config(settings, f"{settings.app}-reader", self._heard)
        self._consumer = new_consumer(config | {"queued.max.messages.kbytes": MOST_QUEUED_KB})
        try:
            self._bounds = self._settled(self._find_bounds, key)
        except LoginwatchError:
            self.close()
            raise
        self.total = sum(bounds.end - bounds.first for bounds in self._bounds.values())
        """Offsets to read, at most: compacted and later records make it fewer."""

    def __iter__(self) -> Iterator[Record]:
        """The records. Can be asked once; ends the connection, also when it is left early."""
        try:
            self._consumer.assign([TopicPartition(*place, bounds.first) for place, bounds in self._bounds.items()])
            for record in _Merge(self._consumer, self._settings, self._bounds):
                if _within(record, self._spans[record.topic]):
                    yield record
        finally:
            self.close()

    def close(self) -> None:
        """End the connection; needed only where the records are not asked for."""
        self._consumer.close()

    @property
    def _settled(self) -> Retrying:
        """Asks again for a moment: while a partition gets a new leader, Kafka has no answer about it."""
        return Retrying(
            retry=retry_if_exception_type(BrokerUnavailableError),
            stop=stop_after_delay(SETTLED_WITHIN_S),
            wait=wait_fixed(ASK_AGAIN_S),
            reraise=True,
        )

    def _find_bounds(self, key: str | None) -> dict[Place, Bounds]:
        places = partitions_of(self._consumer, self._settings, list(self._spans), self._heard)
        numbers = Counter(topic for topic, _ in places)
        found = {}
        for topic, partition in places:
            if key is None or partition == partition_for(key.encode(), numbers[topic]):
                bounds = self._bounds_of((topic, partition), self._spans[topic])
                if bounds.first < bounds.end:
                    found[topic, partition] = bounds
        return found

    def _bounds_of(self, place: Place, span: Span) -> Bounds:
        first, end = watermarks(self._consumer, self._settings, place)
        return Bounds(self._offset_at(place, span.since_ms, first), self._offset_at(place, span.until_ms, end))

    def _offset_at(self, place: Place, time_ms: int | None, otherwise: int) -> int:
        """
        The first offset at or after a time. `otherwise` where the broker knows none: then the records themselves are
        looked at (the embedded broker has no index of times).
        """
        if time_ms is None:
            return otherwise
        try:
            [found] = self._consumer.offsets_for_times([TopicPartition(*place, time_ms)], timeout=ASK_TIMEOUT_S)
        except KafkaException as error:
            raise unavailable(self._settings, error) from error
        return found.offset if found.offset >= 0 else otherwise


class _Merge:
    """Several partitions as one sequence. `_open` are those whose end has not arrived."""

    def __init__(self, consumer: Consumer, settings: Settings, bounds: Mapping[Place, Bounds]) -> None:
        self._consumer = consumer
        self._settings = settings
        self._bounds = bounds
        self._open = set(bounds)
        self._paused: set[Place] = set()
        self._waiting: dict[Place, deque[Record]] = {place: deque() for place in bounds}

    def __iter__(self) -> Iterator[Record]:
        heads: list[tuple[int, Place, Record]] = []
        for place in self._waiting:
            self._next_head(place, heads)
        while heads:
            _, place, record = heapq.heappop(heads)
            yield record
            self._next_head(place, heads)

    def _next_head(self, place: Place, heads: list[tuple[int, Place, Record]]) -> None:
        waiting = self._waiting[place]
        deadline = monotonic() + SILENCE_S
        while not waiting and place in self._open:
            if self._fetch():
                deadline = monotonic() + SILENCE_S
            elif monotonic() > deadline:
                raise BrokerUnavailableError(
                    f"Kafka at {self._settings.bootstrap_servers} sent nothing of {place[0]} for {SILENCE_S:g} s."
                    " Check that the brokers are up, and try again"
                )
        if waiting:
            record = waiting.popleft()
            heapq.heappush(heads, (record.timestamp_ms, place, record))
            if place in self._paused and len(waiting) < RESUME_WAITING:
                self._paused.discard(place)
                self._consumer.resume([TopicPartition(*place)])

    def _fetch(self) -> bool:
        messages = self._consumer.consume(FETCH_RECORDS, FETCH_WAIT_S)
        for message in messages:
            self._take(message)
        for place, waiting in self._waiting.items():
            if len(waiting) > MOST_WAITING and place not in self._paused:
                self._paused.add(place)
                self._consumer.pause([TopicPartition(*place)])
        return bool(messages)

    def _take(self, message: Message) -> None:
        error = message.error()
        place = (message.topic() or "", message.partition() or 0)
        if error is None:
            record = from_message(message)
            # compaction may have taken the last record before the end
            if place in self._open and record.offset < self._bounds[place].end:
                self._waiting[place].append(record)
            if record.offset >= self._bounds[place].end - 1:
                self._finish(place)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the name that confluent-kafka gives it
            self._finish(place)
        else:
            _complain(error)

    def _finish(self, place: Place) -> None:
        if place in self._open:
            self._open.discard(place)
            self._paused.add(place)
            self._consumer.pause([TopicPartition(*place)])


def _within(record: Record, span: Span) -> bool:
    after = span.since_ms is None or record.timestamp_ms >= span.since_ms
    return after and (span.until_ms is None or record.timestamp_ms < span.until_ms)


def _complain(error: KafkaError) -> None:
    """Raise for what does not pass; a lost connection does, and librdkafka takes care of it."""
    if error.code() in MISSING:
        raise TopicError(f"{reason(error)}: run `loginwatch topics create`")
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED or error.fatal():
        raise BrokerUnavailableError(
            f"Kafka refuses to hand out records: {reason(error)}. Check sasl_username and its rights"
        )
