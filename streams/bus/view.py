"""
A view of compacted topics: every record from the start, applied in order, and then whatever comes.

Decision: `assign` instead of a group, so each process reads everything, never commits and needs no rebalance; Faust's
GlobalTable does the same with known faults. The thread looks after itself: a broker that is away, or a topic that is
recreated, shows in `last_error` until it is over. Only a defect in `apply` ends it, and `failure` says so.
"""

import threading
from collections.abc import Callable, Iterable, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.bus.arrivals import arrived
from streams.bus.clients import Heard, new_consumer, reason
from streams.bus.ends import Ends
from streams.bus.partitions import MISSING, Place, bulk_config, partitions_of, watermarks
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.errors import BrokerUnavailableError, ConfigurationError, TopicError
from streams.settings import Settings
from streams.topology import Topic

__all__ = ["Record", "TableView"]

log = structlog.get_logger(__name__)

BATCH_RECORDS = 500
"""Fewer than Python's collector lets pass between two looks (700): with 5,000 at once loading took half as much CPU again."""
WAIT_S = 0.1
LONGEST_PAUSE_S = 5.0


class TableView:
    """
    Applies all records of `topics`, then follows them, in a thread of its own.

    Give `apply` for one record or `apply_batch` for many at once (in order of each partition). A Refused that leaves
    `apply` is counted in `refused` and the rest goes on; any other exception ends the view: see `failure`.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[Topic],
        apply: Callable[[Record], None] | None = None,
        *,
        apply_batch: Callable[[list[Record]], None] | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
        name: str = "view",
    ) -> None:
        if (apply is None) == (apply_batch is None):
            raise ValueError("give either apply or apply_batch")
        self.caught_up = threading.Event()
        """Set when everything that was on the topics at the first look is applied."""
        self.last_error: str | None = None
        self.failure: BaseException | None = None
        self.refused = 0
        self.applied = 0
        self._settings = settings
        self._topics = [topic.name for topic in topics]
        self._apply = apply
        self._apply_batch = apply_batch or self._one_by_one
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"kafka-{name}", daemon=True)
        self._next: dict[Place, int] = {}
        self._start_end: dict[Place, int] = {}
        self._behind: set[Place] = set()
        self._connected = False
        """Whether the settings have once made a client."""
        self._attempt = 0
        self._ends = Ends(settings, f"{settings.app}-view", lambda: self._next)

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def lag(self) -> int:
        """Records on the topics not yet applied, as far as the broker last said (every few seconds)."""
        known, applied = dict(self._ends.known), dict(self._next)
        return sum(max(0, end - applied.get(place, 0)) for place, end in known.items())

    def problem(self) -> str | None:
        """Why this view should not be relied on now; None when all is well. A sentence for `/health/ready`."""
        topics = ", ".join(self._topics)
        if self.failure is not None:
            return f"the view of {topics} ended: {self.failure}"
        if self.last_error is not None:
            return f"the view of {topics} may be old: {self.last_error}"
        if not self.caught_up.is_set():
            return f"the view of {topics} is still loading: {self.lag()} records to go"
        return None

    def _run(self) -> None:
        self._ends.start()
        try:
            self._read_until_stopped()
        except BaseException as error:
            self.failure = error
            log.critical("view ended", topics=self._topics, exc_info=True)
            if self._on_failure is not None:
                self._on_failure(error)
        finally:
            self._ends.stop()

    def _read_until_stopped(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (BrokerUnavailableError, TopicError) as error:
                self._trouble(str(error))
            except ConfigurationError as error:
                if not self._connected:
                    raise
                self._trouble(str(error))  # it was right: a certificate's file is being replaced
            except KafkaException as error:
                self._trouble(reason(error))
            self._attempt += 1
            self._stop.wait(_pause_s(self._attempt))

    def _read(self) -> None:
        heard = Heard()
        consumer = new_consumer(bulk_config(self._settings, f"{self._settings.app}-view", heard))
        self._connected = True
        try:
            self._open(consumer, heard)
            self._attempt = 0
            self._follow(consumer)
        finally:
            consumer.close()

    def _open(self, consumer: Consumer, heard: Heard) -> None:
        """Find all partitions and their ends and take each up where it was left, or at its start."""
        assignment = []
        for place in partitions_of(consumer, self._settings, self._topics, heard):
            first, end = watermarks(consumer, self._settings, place)
            self._ends.known[place] = end
            if place not in self._start_end and end > first:
                self._behind.add(place)
            left = self._next.get(place, -1)
            if not first <= left <= end:  # never read, deleted meanwhile, or another topic of that name
                left = first
                self._start_end[place] = end
            self._next[place] = left
            assignment.append(TopicPartition(*place, left))
        consumer.assign(assignment)
        self.last_error = None
        self._maybe_caught_up()

    def _follow(self, consumer: Consumer) -> None:
        """Read until stopped; raises BrokerUnavailableError or TopicError when the reading must begin anew."""
        while not self._stop.is_set():
            messages = arrived(consumer, BATCH_RECORDS, WAIT_S)
            if messages:
                self._take(messages)
            if self._ends.found():
                self.last_error = None

    def _take(self, messages: Iterable[Message]) -> None:
        records: list[Record] = []
        ended: list[Place] = []
        reached: dict[Place, int] = {}
        ends = self._start_end
        for message in messages:
            error = message.error()
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if error is None and topic is not None and partition is not None and offset is not None:
                place = topic, partition
                reached[place] = offset + 1
                live = offset >= ends[place]
                records.append(
                    Record(topic, partition, offset, message.timestamp()[1], message.key(), message.value(), live)
                )
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                ended.append((topic or "", partition or 0))
            elif error is not None:
                self._complain(error)
        if records:
            self._applied(records, reached)
        self._behind.difference_update(ended)
        self._maybe_caught_up()

    def _applied(self, records: list[Record], reached: dict[Place, int]) -> None:
        self._apply_batch(records)
        self.applied += len(records)
        self._next.update(reached)
        if self._behind:
            done = {place for place in self._behind if self._next[place] >= self._start_end[place]}
            self._behind -= done

    def _one_by_one(self, records: list[Record]) -> None:
        apply = self._apply
        assert apply is not None
        for record in records:
            try:
                apply(record)
            except Refused as refusal:
                self.refused += 1
                log.warning(
                    "record refused",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    reason=refusal.reason,
                )

    def _complain(self, error: KafkaError) -> None:
        if error.code() in MISSING:
            raise TopicError(f"{error.str()}: run `loginwatch topics create`")
        self._trouble(error.str())

    def _maybe_caught_up(self) -> None:
        if not self._behind and not self.caught_up.is_set():
            self.caught_up.set()
            log.debug("view caught up", topics=self._topics, records=self.applied)

    def _trouble(self, sentence: str) -> None:
        if self.last_error is None:
            log.warning("view waits", topics=self._topics, error=sentence)
        self.last_error = sentence


def _pause_s(attempt: int) -> float:
    return min(LONGEST_PAUSE_S, 0.1 * float(1 << min(attempt, 6)))
