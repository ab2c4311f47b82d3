"""
Reading a topic for people: from a point on to its end, or on and on. No group, nothing is committed.

The command line exports, lists and follows with it; an answer to a question is waited for with it (begin at the end,
then ask).
"""

from collections.abc import Iterator, Sequence
from threading import Event
from types import TracebackType
from typing import Literal, Self

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.bus.arrivals import arrived
from streams.bus.clients import Heard, new_consumer, unavailable
from streams.bus.partitions import ASK_TIMEOUT_S, MISSING, Place, bulk_config, partitions_of, watermarks
from streams.bus.record import Record, from_message
from streams.errors import TopicError
from streams.settings import Settings
from streams.topology import Topic

BATCH_RECORDS = 1_000
POLL_S = 0.2

Start = Literal["start", "end"] | int
"""From the first record kept, from what comes next, or from a time in ms since the epoch."""


class Tail:
    """
    Reads `topics` from `start`; positions are fixed when it is made, so nothing that comes after that is missed.

    Raises BrokerUnavailableError, or TopicError for a topic that is not there.
    """

    def __init__(self, settings: Settings, topics: Sequence[Topic], *, start: Start = "start") -> None:
        self._settings = settings
        self._heard = Heard()
        self._consumer = new_consumer(bulk_config(settings, f"{settings.app}-tail", self._heard))
        self._ends: dict[Place, int] = {}
        self._to_go: set[Place] = set()
        try:
            self._open([topic.name for topic in topics], start)
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def at_end(self) -> bool:
        """Whether everything that was on the topics when this was made has been read."""
        return not self._to_go

    @property
    def total(self) -> int:
        """How many offsets lie between the start and the end seen when this was made (for a progress bar)."""
        return self._total

    def read(self, timeout_s: float = POLL_S) -> list[Record]:
        """The next records, in order of each partition; empty when none came in time."""
        records = []
        for message in arrived(self._consumer, BATCH_RECORDS, timeout_s):
            error = message.error()
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                record = from_message(message)
                records.append(record)
                if record.offset + 1 >= self._ends[place]:
                    self._to_go.discard(place)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._to_go.discard(place)
            elif error.code() in MISSING:
                raise TopicError(f"topic {place[0]} is gone: {error.str()}")
            elif error.code() in (KafkaError._AUTHENTICATION, KafkaError.TOPIC_AUTHORIZATION_FAILED):  # noqa: SLF001
                raise unavailable(self._settings, error)
        return records

    def until_end(self) -> Iterator[Record]:
        """
        Every record up to the end seen when this was made.

        Raises BrokerUnavailableError when Kafka goes away meanwhile.
        """
        while not self.at_end:
            records = self.read()
            if not records and not self.at_end:
                watermarks(self._consumer, self._settings, next(iter(self._to_go)))
            for record in records:
                if record.offset < self._ends[record.topic, record.partition]:
                    yield record

    def follow(self, stop: Event | None = None) -> Iterator[Record]:
        """Every record, and then whatever comes, until `stop`; a broker that is away is waited for."""
        while stop is None or not stop.is_set():
            yield from self.read()

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _open(self, topics: Sequence[str], start: Start) -> None:
        self._total = 0
        assignment = []
        for place in partitions_of(self._consumer, self._settings, topics, self._heard):
            first, end = watermarks(self._consumer, self._settings, place)
            begin = self._begin(place, first, end, start)
            self._ends[place] = end
            self._total += end - begin
            if begin < end:
                self._to_go.add(place)
            assignment.append(TopicPartition(*place, begin))
        self._consumer.assign(assignment)

    def _begin(self, place: Place, first: int, end: int, start: Start) -> int:
        if start == "start":
            return first
        if start == "end":
            return end
        try:
            found = self._consumer.offsets_for_times([TopicPartition(*place, start)], timeout=ASK_TIMEOUT_S)
        except KafkaException as error:
            raise unavailable(self._settings, error) from error
        return found[0].offset if found[0].offset >= 0 else end


def tail(
    settings: Settings,
    topics: Sequence[Topic],
    *,
    start: Start = "start",
    follow: bool = False,
    stop: Event | None = None,
) -> Iterator[Record]:
    """Records of `topics` from `start` to their present end, or on and on with `follow`. Raises as `Tail`."""
    with Tail(settings, topics, start=start) as reader:
        yield from reader.follow(stop) if follow else reader.until_end()
