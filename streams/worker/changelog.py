"""
Reads the changelog of the account table into memory, in bulk.

Decision: not Faust's recovery service, which hands over one event at a time, takes its exceptions for warnings, and
waits for ever for a record at the end of a partition whose tail was compacted. A consumer without a group reads the assigned
partitions up to the end that the broker itself reports, as columns (`changelog_fetch`), in a thread, before the agent sees the
first batch. It reads into accounts of its own: a recovery that is cut off by the next rebalance leaves nothing.

A state knows which offsets it has applied, so an older record behind a newer one (a worker that came back from the dead)
never replaces it. Bytes that nobody can read stop the worker: starting without that account would forget what it did.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from time import monotonic
from typing import Protocol

from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.bus.clients import Heard, new_consumer
from streams.bus.partitions import MISSING, bulk_config
from streams.core.refusal import Refused
from streams.engine.accounts import Accounts, PlainAccounts
from streams.engine.compiled.layout import KEY_END, NULL
from streams.errors import ConfigurationError, StalledError
from streams.settings import Settings
from streams.worker.changelog_fetch import ChangelogFetch, changelog_fetch
from streams.worker.fetched import Fetched

States = dict[int, Accounts]
"""By partition."""

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

    def newest_login(self, accounts: Accounts) -> int:
        """The greatest offset of a login that some account has applied; -1 = none."""


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
        new_accounts: Callable[[], Accounts] = PlainAccounts,
        missing_s: float = MISSING_S,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._form = form
        self._report = report
        self._new_accounts = new_accounts
        self._missing_s = missing_s
        self._unreadable: dict[str, Refused] = {}
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
        consumer = new_consumer(bulk_config(self._settings, f"{self._settings.app}-recovery", Heard()))
        try:
            bounds = {partition: self._bounds(consumer, partition) for partition in sorted(partitions)}
            states: States = {partition: self._new_accounts() for partition in bounds}
            self._fill(consumer, states, bounds)
        finally:
            consumer.close()
        for account, refused in self._unreadable.items():
            raise self._sentence(account, refused)
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
        """
        Read up to the ends, and load what came while the next is read: of a million accounts the first takes half a second,
        the other four tenths. `consumer` is asked whether Kafka answers, when nothing comes.
        """
        ends = {partition: high for partition, (low, high) in bounds.items() if high > low}
        starts = {partition: bounds[partition][0] for partition in ends}
        total = sum(ends.values()) - sum(starts.values())
        self._report(0, total)
        if not ends:
            return
        heard, done = monotonic(), 0
        with self._fetching(starts) as fetch, ThreadPoolExecutor(1, "changelog") as loader:
            loading = loader.submit(self._load, states, {})
            while any(position < ends[partition] for partition, position in fetch.positions().items()):
                if self._cancelled.is_set():
                    raise Cancelled
                found = fetch.read(READ_S)
                loading.result()
                loading = loader.submit(self._load, states, found)
                read = sum(min(ends[partition], at) - starts[partition] for partition, at in fetch.positions().items())
                if read > done:
                    heard, done = monotonic(), read
                    self._report(done, total)
                elif monotonic() - heard > self._settings.worker_stall_timeout:
                    self._raise_if_kafka_answers(consumer, set(ends))
                    heard = monotonic()
            loading.result()

    @contextmanager
    def _fetching(self, starts: dict[int, int]) -> Iterator[ChangelogFetch]:
        """Connected; asks until Kafka answers."""
        with ExitStack() as stack:
            while True:
                try:
                    fetch = stack.enter_context(changelog_fetch(self._settings, self._topic, starts))
                    break
                except (KafkaConnectionError, OSError):
                    if self._cancelled.wait(RETRY_S):
                        raise Cancelled from None
            yield fetch

    def _load(self, states: States, found: Mapping[int, Fetched]) -> None:
        for partition, records in found.items():
            self._apply(states[partition], records)

    def _apply(self, accounts: Accounts, records: Fetched) -> None:
        """Take records of a partition into its states."""
        table = records.table[records.table[:, KEY_END] != NULL]  # else nobody's state
        keyed = Fetched(records.data, table)
        accounts.load(keyed.data, table, partial(self._take, accounts, keyed))

    def _take(self, accounts: Accounts, records: Fetched, number: int) -> None:
        """Take in one record that is not as usual."""
        _, _, key, value, _ = records.record(number)
        account = (key or b"").decode("utf-8", "replace")
        if value is None:
            accounts.discard(account)
            self._unreadable.pop(account, None)
            return
        try:
            self._form.check(value)
            held = accounts.get(account)
            if held is None or self._form.is_newer(value, held):
                accounts.put(account, value)
        except Refused as refused:  # a tombstone may follow
            self._unreadable.setdefault(account, refused)

    def _sentence(self, account: str, refused: Refused) -> ConfigurationError:
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
