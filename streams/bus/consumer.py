"""
Readers that share the work of a topic: a consumer group, at least once, committed only after handling.

Decision: records may be finished in any order (the mailer lets a mail wait), but the committed offset of a partition
never passes its first unfinished record. Positions are committed every second and when partitions move, so a crash
repeats at most what was open, and whoever handles records must recognise a repetition.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.bus.arrivals import arrived
from streams.bus.clients import new_consumer, reason
from streams.bus.partitions import Place, reader_config
from streams.bus.record import Record, from_message
from streams.settings import Settings
from streams.topology import Topic

log = structlog.get_logger(__name__)

COMMIT_EVERY_S = 1.0
LEAVE_S = 10.0
PROBE_EVERY_S = 3.0
PROBE_TIMEOUT_S = 1.0


@dataclass
class _Open:
    """What was read of one partition and is not committed: offsets in order, and those of them that are finished."""

    read: deque[int] = field(default_factory=deque)
    finished: set[int] = field(default_factory=set)
    next_commit: int | None = None

    def advance(self) -> None:
        """Move the position to commit past every finished record at the front."""
        while self.read and self.read[0] in self.finished:
            offset = self.read.popleft()
            self.finished.remove(offset)
            self.next_commit = offset + 1


class GroupReader:
    """
    A member of the consumer group `<app>-<name>`; call everything from one thread.

    `read` must be called at least every five minutes, also while `pause`d, or Kafka gives the partitions to another
    member. At most `most_open` records are unfinished at a time: beyond that `read` returns nothing new.
    A member that died is noticed after `session_timeout_ms`.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        topics: Sequence[Topic],
        *,
        most_open: int = 10_000,
        session_timeout_ms: int = 15_000,
    ) -> None:
        self.group = f"{settings.app}-{name}"
        self.last_error: str | None = None
        """Why Kafka cannot be read or committed to; None while all is well."""
        self._most_open = most_open
        self._open: dict[Place, _Open] = {}
        self._held = False
        self._paused = False
        self._next_commit = monotonic() + COMMIT_EVERY_S
        self._next_probe = monotonic() + PROBE_EVERY_S
        self._leaving = False
        self._unanswered: list[threading.Thread] = []
        self._consumer = new_consumer(
            {
                **reader_config(settings, self.group),
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": session_timeout_ms // 5,
                "error_cb": self._on_error,
                "on_commit": self._committed,
            }
        )
        self._consumer.subscribe(
            [topic.name for topic in topics],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, timeout_s: float, most: int = 500) -> list[Record]:
        """The next records, at most `most`; empty when none came in time, or while paused."""
        self._hold_if_needed()
        records = []
        for message in arrived(self._consumer, most, timeout_s):
            error = message.error()
            if error is not None:
                self._on_error(error)
                continue
            record = from_message(message)
            self._open.setdefault((record.topic, record.partition), _Open()).read.append(record.offset)
            records.append(record)
        if records:
            self.last_error = None
        self._now_and_then()
        return records

    def done(self, record: Record) -> None:
        """This record is handled: it need not be read again. A record of a partition that has moved on is ignored."""
        place = self._open.get((record.topic, record.partition))
        if place is not None and place.read and record.offset >= place.read[0]:
            place.finished.add(record.offset)
            place.advance()

    def open_records(self) -> int:
        """Records read and not finished."""
        return sum(len(place.read) - len(place.finished) for place in self._open.values())

    def assigned(self) -> list[Place]:
        """The partitions that this member has now."""
        return [(part.topic, part.partition) for part in self._consumer.assignment()]

    def committed(self, timeout_s: float = 10) -> list[tuple[str, int, int]]:
        """Topic, partition and committed position of every assigned partition that has one, asked from Kafka."""
        found = self._consumer.committed(self._consumer.assignment(), timeout=timeout_s)
        return [(part.topic, part.partition, part.offset) for part in found if part.offset >= 0]

    def lag(self) -> int:
        """Records on the assigned partitions not yet read, as far as the broker last said."""
        behind = 0
        parts = self._consumer.assignment()
        for part in self._consumer.position(parts):
            low, high = self._consumer.get_watermark_offsets(part, cached=True)
            behind += max(0, high - max(part.offset, low))
        return behind

    def pause(self) -> None:
        """Read nothing new until `resume` (the destination is away); keep calling `read`."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    def commit(self) -> None:
        """Commit every finished record now and wait for it; a failure shows in `last_error` and is tried again."""
        self._commit(self._positions(), wait=True)

    def close(self) -> None:
        """
        Commit what is finished and leave the group.

        Both are bounded: in the middle of a rebalance librdkafka can wait for ever for an answer (seen on the embedded
        broker with two members that left together), as it can for the commit while the broker takes longer than the session
        for each answer. What is not committed comes again.
        """
        leaving = threading.Thread(target=self._leave, name="leaving-the-group", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)
        if leaving.is_alive():
            log.warning(
                "Kafka did not confirm in time that this process left its group", group=self.group, seconds=LEAVE_S
            )

    def _leave(self) -> None:
        self._leaving = True
        for committing in self._unanswered:  # librdkafka must not be taken away from under them
            committing.join()
        self.commit()
        self._consumer.close()

    def _now_and_then(self) -> None:
        now = monotonic()
        if now >= self._next_commit:
            self._commit(self._positions(), wait=False)
            self._next_commit = now + COMMIT_EVERY_S
        if now >= self._next_probe and self.last_error is not None:
            self._probe()
            self._next_probe = monotonic() + PROBE_EVERY_S

    def _probe(self) -> None:
        """Silence does not say whether Kafka is back: ask."""
        try:
            self._consumer.list_topics(timeout=PROBE_TIMEOUT_S)
        except KafkaException as error:
            self.last_error = reason(error)
        else:
            self.last_error = None

    def _hold_if_needed(self) -> None:
        """Keep the number of unfinished records bounded."""
        count = self.open_records()
        if not self._held and count >= self._most_open:
            self._held = True
            self._consumer.pause(self._consumer.assignment())
        elif self._held and count <= self._most_open // 2:
            self._held = False
            if not self._paused:
                self._consumer.resume(self._consumer.assignment())

    def _positions(self) -> list[TopicPartition]:
        found = []
        for place, state in self._open.items():
            if state.next_commit is not None:
                found.append(TopicPartition(*place, state.next_commit))
        return found

    def _commit(self, positions: list[TopicPartition], *, wait: bool) -> None:
        if not positions:
            return
        for position in positions:
            self._open[position.topic, position.partition].next_commit = None
        try:
            if wait:
                self._consumer.commit(offsets=positions, asynchronous=False)
            else:
                self._consumer.commit(offsets=positions, asynchronous=True)  # ends in _committed
        except KafkaException as error:
            self._committed(error.args[0], positions)

    def _committed(self, error: KafkaError | None, positions: list[TopicPartition]) -> None:
        """What could not be committed is committed with the next round."""
        for position in positions:
            failed = error or position.error
            state = self._open.get((position.topic, position.partition))
            if failed is not None:
                self.last_error = f"cannot commit for group {self.group}: {failed.str()}"
                if state is not None and state.next_commit is None:
                    state.next_commit = position.offset

    def _assigned(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        log.debug("partitions assigned", group=self.group, partitions=len(parts))
        consumer.assign(parts)
        if self._paused or self._held:
            consumer.pause(parts)

    def _revoked(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        moving = {(part.topic, part.partition) for part in parts}
        positions = [p for p in self._positions() if (p.topic, p.partition) in moving]
        if positions:
            self._commit_in_time(positions)
        self._forget(parts)

    def _commit_in_time(self, positions: list[TopicPartition]) -> None:
        """
        Commit and wait for it, but not longer than `close` does, and for its reason; in `close` that bounds this too.

        What became of it is heard here or never: later the partitions may be here again, at other positions.
        """
        failed = ["Kafka did not confirm it in time before the partitions moved"]

        def commit() -> None:
            try:
                self._consumer.commit(offsets=positions, asynchronous=False)
                failed.clear()
            except KafkaException as error:
                failed[:] = [reason(error)]

        committing = threading.Thread(target=commit, name="committing-what-moves", daemon=True)
        committing.start()
        committing.join(None if self._leaving else LEAVE_S)
        if committing.is_alive():
            self._unanswered.append(committing)
        for why in tuple(failed):
            log.warning("what was finished comes again: it could not be committed", group=self.group, error=why)
            self.last_error = f"cannot commit for group {self.group}: {why}"

    def _lost(self, _consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._forget(parts)

    def _forget(self, parts: list[TopicPartition]) -> None:
        for part in parts:
            self._open.pop((part.topic, part.partition), None)

    def _on_error(self, error: KafkaError) -> None:
        self.last_error = error.str()
