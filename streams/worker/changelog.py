"""
Reads the changelog of the account table into memory, in bulk.

Decision: not Faust's recovery service, which hands over one event at a time, takes its exceptions for warnings, and
waits for ever for a record at the end of a partition whose tail was compacted. A librdkafka consumer reads the assigned
partitions up to the end that the broker itself reports (`enable.partition.eof`), in a thread, before the agent sees the
first batch. It reads into a dictionary of its own: a recovery that is cut off by the next rebalance leaves nothing.

A state knows which offsets it has applied, so an older record behind a newer one (a worker that came back from the dead)
never replaces it. Bytes that nobody can read stop the worker: starting without that account would forget what it did.
"""

import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.bus.clients import Config, Heard, new_consumer, reason
from streams.bus.partitions import MISSING, bulk_config
from streams.core.refusal import Refused
from streams.errors import ConfigurationError, StalledError
from streams.settings import Settings

States = dict[int, dict[str, bytes]]
"""Packed states by account, by partition."""

READ_AT_ONCE = 500
"""
Fewer than the 700 new objects at which Python's collector looks: reading 1,000,000 states took 1.75 s of CPU time so, 2.8 s
with 5,000 or 20,000 at once (least of three each, in turn).
"""
READ_S = 0.2
RETRY_S = 0.5
MISSING_S = 10.0
"""A topic that was just made may be unknown for so long."""
ASK_S = 10.0


class StateForm(Protocol):
    """What recovery must know of the packed state."""

    def check(self, packed: bytes) -> None:
        """Raises Refused when the bytes are no state that this version can read."""

    def is_newer(self, candidate: bytes, held: bytes) -> bool:
        """Whether a record may replace the one held: not when it had applied less of its input."""

    def login_offset(self, packed: bytes) -> int:
        """The offset of the last applied login; -1 = none."""


class Cancelled(Exception):  # noqa: N818 - not a fault: the next rebalance has begun
    """The recovery is not needed any more."""


class ChangelogReader:
    """
    One recovery of some partitions. `report(done, total)` is called as it proceeds, in records.

    `read()` blocks: run it in a thread, and call `cancel()` from any other.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        form: StateForm,
        report: Callable[[int, int], None],
        *,
        missing_s: float = MISSING_S,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._form = form
        self._report = report
        self._missing_s = missing_s
        self._cancelled = threading.Event()
        self._done = 0

    def cancel(self) -> None:
        """Let `read` raise Cancelled soon."""
        self._cancelled.set()

    def read(self, partitions: Iterable[int]) -> States:
        """
        The newest state of every account of these partitions.

        Raises ConfigurationError for a state that cannot be read, StalledError when Kafka answers but no records come,
        Cancelled after `cancel()`.
        """
        consumer = new_consumer(_config(self._settings))
        try:
            bounds = {partition: self._bounds(consumer, partition) for partition in sorted(partitions)}
            states: States = {partition: {} for partition in bounds}
            self._fill(consumer, states, bounds)
        finally:
            consumer.close()
        self._check(states)
        return states

    def _bounds(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        """First and next offset; asks until Kafka answers. A topic that was just made is unknown for a moment."""
        missing_until = monotonic() + self._missing_s
        while not self._cancelled.is_set():
            try:
                low, high = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=ASK_S)
            except KafkaException as error:
                if error.args[0].code() in MISSING and monotonic() > missing_until:
                    raise ConfigurationError(
                        f"the changelog {self._topic} [{partition}] does not exist: run `loginwatch topics create`"
                    ) from error
                self._cancelled.wait(RETRY_S)
                continue
            return low, high
        raise Cancelled

    def _fill(self, consumer: Consumer, states: States, bounds: dict[int, tuple[int, int]]) -> None:
        open_partitions = {partition for partition, (low, high) in bounds.items() if high > low}
        total = sum(bounds[partition][1] - bounds[partition][0] for partition in open_partitions)
        consumer.assign([TopicPartition(self._topic, p, bounds[p][0]) for p in sorted(open_partitions)])
        positions = {partition: bounds[partition][0] for partition in open_partitions}
        start = sum(positions.values())
        self._report(0, total)
        heard = monotonic()
        while open_partitions:
            if self._cancelled.is_set():
                raise Cancelled
            messages = consumer.consume(READ_AT_ONCE, READ_S)
            if messages:
                heard = monotonic()
            elif monotonic() - heard > self._settings.worker_stall_timeout:
                self._raise_if_kafka_answers(consumer, open_partitions)
                heard = monotonic()
            open_partitions -= self._apply(messages, states, positions)
            self._report(min(total, sum(positions.values()) - start), total)

    def _apply(self, messages: list[Message], states: States, positions: dict[int, int]) -> set[int]:
        """Take records into the states; returns the partitions that are read to their end."""
        ended = set()
        is_newer = self._form.is_newer
        for message in messages:
            partition = message.partition() or 0
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    ended.add(partition)
                elif error.fatal():
                    raise StalledError(f"reading {self._topic} [{partition}] failed: {reason(error)}")
                continue
            positions[partition] = (message.offset() or 0) + 1
            accounts, key, value = states[partition], message.key(), message.value()
            if key is None:
                continue  # nobody's state
            account = key.decode("utf-8", "replace")
            if value is None:
                accounts.pop(account, None)
                continue
            held = accounts.get(account)
            if held is None or self._replaces(is_newer, value, held, account):
                accounts[account] = value
        return ended

    def _replaces(self, is_newer: Callable[[bytes, bytes], bool], value: bytes, held: bytes, account: str) -> bool:
        try:
            return is_newer(value, held)
        except Refused as refused:
            raise self._unreadable(account, refused) from refused

    def _check(self, states: States) -> None:
        check = self._form.check
        for accounts in states.values():
            for account, packed in accounts.items():
                try:
                    check(packed)
                except Refused as refused:
                    raise self._unreadable(account, refused) from refused

    def _unreadable(self, account: str, refused: Refused) -> ConfigurationError:
        return ConfigurationError(
            f"{self._topic}, account {account!r}: {refused}. It was written by a newer version of loginwatch,"
            " or by something else: start that version, or write a tombstone for this key"
        )

    def _raise_if_kafka_answers(self, consumer: Consumer, waiting: set[int]) -> None:
        try:
            for partition in waiting:
                consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=ASK_S)
        except KafkaException:
            return  # Kafka is away: wait for it
        raise StalledError(
            f"no records of {self._topic} {sorted(waiting)} came for {self._settings.worker_stall_timeout} s although Kafka"
            " answers: start the worker again"
        )


def _config(settings: Settings) -> Config:
    return {
        **bulk_config(settings, f"{settings.app}-recovery", Heard()),
        "isolation.level": "read_uncommitted",  # the end that is waited for is the one without transactions
    }
