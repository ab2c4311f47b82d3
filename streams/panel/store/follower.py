"""
The thread that keeps the read model up with the topics.

Decision: no consumer group and no commit to Kafka: where to go on stands in the database, written in the transaction that
writes the rows, so each record counts once, whatever is killed when. Of several panels on one database one follows (it
holds a lock); the others stand by and only pass on what changed. A batch is only written if the database still is where
this follower left it, so a wipe, or a second follower, is noticed and not written over.

Decision: nothing is asked of Kafka by the client that reads, where an answer waits behind a fetch (see `bus.ends`).
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from time import monotonic

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from streams.bus.clients import Heard, new_consumer, reason
from streams.bus.ends import Ends
from streams.bus.partitions import MISSING, Place, bulk_config, partitions_of, reader_config, watermarks
from streams.bus.record import Record, from_message
from streams.core.refusal import Refused
from streams.errors import LoginwatchError, TopicError
from streams.metrics import PANEL_RECORDS, Metrics
from streams.panel.store import ingest, prune
from streams.panel.store.engine import exclusive
from streams.panel.store.letters import Letters
from streams.panel.store.login_counts import LoginCounts
from streams.panel.store.progress import numbers, offsets, raise_numbers, set_offsets
from streams.panel.store.reading import TOPICS, Item, Reader
from streams.panel.store.store import Store
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import all_topics

log = structlog.get_logger(__name__)

BATCH_RECORDS = 4_000
"""In one transaction: a second at most, for which other writers of SQLite wait."""
BATCH_WAIT_S = 0.05
LONGEST_PAUSE_S = 5.0
PROBE_EVERY_S = 3.0
"""Between two looks whether the database is where it was left."""
STAND_BY_S = 0.5
TIDY_EVERY_S = 600.0
PURPOSE = "follower"
MOVED = "the database was wiped, or another panel writes to it"
IMPOSSIBLE = (DataError, IntegrityError, OperationalError, OverflowError, Refused)
"""
What databases and their drivers say of values that no column holds, and what rows cannot be made of. An OperationalError
among them is a limit of PostgreSQL: for a database that is away the store has an error of its own.
"""
NAMES = tuple(topic.name for topic in TOPICS)


class _MovedError(LoginwatchError):
    """The database is at other offsets than this follower left it: it was wiped, or another one writes. Begin anew."""


class Follower:
    """
    Follows `reading.TOPICS` into a store, in a thread of its own.

    It looks after itself: Kafka or a database that is away shows in `last_error` until it is over. Only a defect ends it,
    and `failure` says so.
    """

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        store: Store,
        metrics: Metrics | None = None,
        *,
        clock_ms: Callable[[], int] | None = None,
        batch_records: int = BATCH_RECORDS,
        probe_every_s: float = PROBE_EVERY_S,
    ) -> None:
        self.caught_up = threading.Event()
        """Set when everything that was on the topics at the first look is in the database; not while it is filled anew."""
        self.last_error: str | None = None
        self.failure: BaseException | None = None
        self._settings = settings
        self._store = store
        self._reader = Reader(codec, settings.default_domain, is_canary=settings.is_canary)
        self._metrics = metrics or Metrics("panel")
        self._letters = Letters(settings, codec, self._metrics)
        self._clock_ms = clock_ms or _now_ms
        self._logins = LoginCounts(settings, store, self._clock_ms)
        self._topics = {topic.name: topic for topic in all_topics(settings)}
        self._batch_records = batch_records
        self._probe_every_s = probe_every_s
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="panel-follower", daemon=True)
        self._next: dict[Place, int] = {}
        self._end: Mapping[Place, int] = {}
        self._behind: dict[Place, int] = {}
        """Where each partition ended at the first look, until that is reached."""

    def start(self) -> None:
        """Begin to follow; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it: a transaction under way is finished."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def lag(self) -> int:
        """Records on the topics that are not in the database yet, as far as the broker last said (every few seconds)."""
        following = dict(self._next)
        return sum(max(0, end - following.get(place, 0)) for place, end in dict(self._end).items())

    def problem(self) -> str | None:
        """Why pages may be old; None when all is well. A sentence for health and for the home page."""
        if self.failure is not None:
            return f"the read model is no longer kept up: {self.failure}"
        if self.last_error is not None:
            return f"the read model may be old: {self.last_error}"
        if not self.caught_up.is_set():
            return f"the read model is still being filled: {self.lag()} records to go"
        return None

    def wait_for(self, placed: Iterable[tuple[str, int, int]], timeout_s: float) -> bool:
        """
        Wait until records (topic, partition, offset) are in the database: to show people what they have just done.

        False after the timeout. Topics that are not followed are not waited for.
        """
        wanted = [(topic, partition, offset) for topic, partition, offset in placed if topic in NAMES]
        with self._moved:
            return self._moved.wait_for(
                lambda: all(self._next.get((topic, partition), 0) > offset for topic, partition, offset in wanted),
                timeout_s,
            )

    # --- the thread

    def _run(self) -> None:
        attempt = 0
        try:
            while not self._stop.is_set():
                try:
                    with exclusive(self._store.engine, PURPOSE, wait=False) as leads:
                        if leads:
                            self._lead()
                        else:
                            self._stand_by()
                    attempt = 0
                except _MovedError as error:
                    log.warning("panel follower begins anew", reason=str(error))
                except LoginwatchError as error:
                    self._trouble(str(error))
                except KafkaException as error:
                    self._trouble(reason(error))
                attempt += 1
                self._stop.wait(min(LONGEST_PAUSE_S, 0.1 * float(1 << min(attempt, 6))))
        except BaseException as error:
            self.failure = error
            log.critical("panel follower ended", exc_info=True)
        finally:
            self._letters.close()

    def _stand_by(self) -> None:
        """Another panel follows: pass on what it says, and how far it is."""
        with self._store.reading() as connection:
            known, following = numbers(connection), offsets(connection)
        self._store.changes.publish(known)
        self._reached(following)
        self.last_error = None
        self.caught_up.set()
        self._stop.wait(STAND_BY_S)

    def _lead(self) -> None:
        heard, group = Heard(), f"{self._settings.app}-panel"
        ends = Ends(self._settings, group, lambda: self._next)
        with (
            closing(new_consumer(bulk_config(self._settings, group, heard))) as consumer,
            closing(new_consumer({**reader_config(self._settings, group), "error_cb": heard})) as asking,
        ):
            self._open(consumer, heard, ends)
            self._logins.count(asking, heard)
            self.last_error = None
            self._reached({})
            ends.start()
            try:
                self._follow(consumer, asking, ends)
            finally:
                ends.stop()

    def _open(self, consumer: Consumer, heard: Heard, ends: Ends) -> None:
        """Take up every partition where the database is, or at its start."""
        with self._store.reading() as connection:
            left, known = offsets(connection), numbers(connection)
        bounds = {
            place: watermarks(consumer, self._settings, place)
            for place in partitions_of(consumer, self._settings, NAMES, heard)
        }
        beyond = [place for place, (_, end) in bounds.items() if left.get(place, 0) > end]
        if beyond:
            log.warning("topic was made anew: the read model is built again from the start", topic=beyond[0][0])
            self._store.wipe_read_model()
            left = {}
        self._next = {place: max(left.get(place, 0), first) for place, (first, _) in bounds.items()}
        ends.known.update((place, end) for place, (_, end) in bounds.items())
        self._end = ends.known
        if not left:  # at the first start, and wherever all of it is read anew
            self.caught_up.clear()
        if not self.caught_up.is_set():
            self._behind = {place: end for place, end in self._end.items() if end > self._next[place]}
        with self._store.writing() as connection:
            if offsets(connection, lock=True) != left:  # while Kafka was asked
                raise _MovedError(MOVED)
            set_offsets(connection, self._next)
        consumer.assign([TopicPartition(*place, following) for place, following in self._next.items()])
        self._store.changes.publish(known)

    def _follow(self, consumer: Consumer, asking: Consumer, ends: Ends) -> None:
        """Read until stopped; an error means that the reading must begin anew."""
        next_probe, next_tidy = monotonic() + self._probe_every_s, monotonic() + TIDY_EVERY_S
        while not self._stop.is_set():
            self._take(consumer.consume(self._batch_records, BATCH_WAIT_S))
            if ends.found():
                self.last_error = None
            if monotonic() >= next_probe:
                self._probe(asking)
                next_probe = monotonic() + self._probe_every_s
            if monotonic() >= next_tidy:
                prune.prune(self._store, self._clock_ms(), self._topics)
                next_tidy = monotonic() + TIDY_EVERY_S

    def _take(self, messages: Sequence[Message]) -> None:
        """Write a batch: rows, offsets and change numbers together or not at all."""
        records, following = [], {}
        for message in messages:
            error = message.error()
            if error is None:
                record = from_message(message)
                records.append(record)
                following[record.topic, record.partition] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._behind.pop((message.topic() or "", message.partition() or 0), None)
            elif error.code() in MISSING:
                raise TopicError(f"{error.str()}: run `loginwatch topics create`")
            else:
                self._trouble(error.str())
        if records:
            self._write(records, following)
        self._reached({})

    def _write(self, records: Sequence[Record], following: dict[Place, int]) -> None:
        items = [self._item(record) for record in records]
        # before the offsets move on, or a crash would lose them
        self._letters.flush()
        try:
            self._commit(items, following)
        except IMPOSSIBLE:
            for record, item in zip(records, items, strict=True):
                self._write_one(record, item)

    def _write_one(self, record: Record, item: Item | None) -> None:
        """Some record of a batch is one that the database cannot hold: refuse that one, and write the others."""
        following = {(record.topic, record.partition): record.offset + 1}
        try:
            self._commit([item], following)
        except IMPOSSIBLE as error:
            self._letters.write(record, _refusal(error))
            self._letters.flush()
            self._commit([], following)

    def _item(self, record: Record) -> Item | None:
        try:
            return self._reader.read(record)
        except Refused as refusal:
            self._letters.write(record, refusal)
            return None

    def _commit(self, items: Sequence[Item | None], following: dict[Place, int]) -> None:
        with self._store.writing(again=True) as connection:
            there = offsets(connection, lock=True)
            if any(there.get(place) != self._next[place] for place in following):
                raise _MovedError(MOVED)
            changed = ingest.write(connection, [item for item in items if item is not None])
            set_offsets(connection, following)
            known = raise_numbers(connection, changed) if changed else {}
        for topic, number in Counter(item.topic for item in items if item is not None).items():
            self._metrics.of(PANEL_RECORDS, topic=topic).inc(number)
        self._reached(following)
        self._store.changes.publish(known)

    def _probe(self, asking: Consumer) -> None:
        """Look whether the database was wiped, and count logins."""
        with self._store.reading() as connection:
            there = offsets(connection)
        if any(there.get(place) != following for place, following in self._next.items()):
            raise _MovedError(MOVED)
        self._logins.count(asking, Heard())

    def _reached(self, following: dict[Place, int]) -> None:
        with self._moved:
            self._next.update(following)
            self._moved.notify_all()
        for place in [place for place, end in self._behind.items() if self._next[place] >= end]:
            del self._behind[place]
        if not self._behind and not self.caught_up.is_set():
            log.debug("read model caught up")
            self.caught_up.set()

    def _trouble(self, sentence: str) -> None:
        if self.last_error is None:
            log.warning("read model waits", error=sentence)
        self.last_error = sentence


def _refusal(error: Exception) -> Refused:
    """Why a record makes no rows: in the database's own words, without the statement and its values."""
    if isinstance(error, Refused):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    return Refused("unstorable", f"the panel's database refuses it: {cause}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
