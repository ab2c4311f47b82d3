"""
Faust's aiokafka transport, with one Faust event per round of fetched records and bookkeeping of our own.

Stock Faust spends 50 µs and more on every record, and its list of acknowledged offsets does not carry batches: commits
crawl, the list grows without bound, and an event that Faust skips (a stale generation, an agent that died) is
acknowledged like one that was processed. So the value of a message is a whole round (`rounds`), its partition and offset
are those of the first records in it, and **only `delivered()`, called by the agent when Kafka has acknowledged everything,
moves the offsets to commit**. Faust's own acknowledgement merely says that the agent is free again.

The overridden methods are listed in `OVERRIDDEN`; a test holds that they exist, so that an upgrade cannot pass by them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from time import monotonic
from typing import Any, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT
from faust.types.tuples import ConsumerMessage, Message
from mode.utils.futures import notify

from streams import topology
from streams.worker import fetches
from streams.worker.crash import crash_point
from streams.worker.fetched import Fetched
from streams.worker.lease import Lease
from streams.worker.progress import Progress
from streams.worker.rounds import Round

BATCH_TOPICS = frozenset(topic.name for topic in topology.WORKER_INPUTS)

FETCH_WAIT_MS = 100
LONGEST_LOOK_S = 0.1
"""aiokafka does not wake who began to wait in a rebalance: with Faust's second of patience nothing was decided for that long after one."""
MOST_BYTES = 64 << 20
"""A round with so many takes no more, however few its records: 40,000 of the largest kind would be gigabytes. Usual ones have 8 MiB."""
PACE_S = 0.005
"""So often what has come is added to the round that waits for the agent: every look is a call into the consumer's thread."""

OVERRIDDEN = {
    "Consumer": (
        "getmany",
        "_getmany",
        "ack",
        "on_partitions_revoked",
        "on_partitions_assigned",
        "resume_flow",
        "_add_gap",
        "_new_offset",
        "_should_commit",
        "_commit_offsets",
        "_filter_tps_with_pending_acks",
        "_new_consumer_thread",
        "_wait_next_records",
        "perform_seek",
        "verify_event_path",
        "on_buffer_full",
    ),
    "AIOKafkaConsumerThread": (
        "_create_worker_consumer",
        "_ensure_consumer",
        "_fetch_records",
        "_commit",
        "seek_to_committed",
        "on_start",
    ),
}


class LeasedThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread; tells the lease about every heartbeat, and does not let an empty fetch wait for long."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """
        Faust's consumer, with a shorter wait of a fetch that finds nothing (Faust has 1.5 s fixed).

        Kafka answers as soon as there is a record; the embedded broker holds the fetch for all of that time: measured there,
        from login to closed door, a median of 0.75 s became 0.14 to 0.22 s.
        """
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        return consumer

    async def fetch(self, partitions: Any, timeout_s: float, most: int) -> Any:
        """At most so many records by partition, as soon as there are any; from the consumer's thread."""
        consumer = self._ensure_consumer()
        return await self.call_thread(self._fetch_records, consumer, partitions, timeout=timeout_s, max_records=most)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """
        As stock, and to the beginning where nothing was committed yet.

        Such a partition aiokafka leaves where it is: records that were fetched during a rebalance and dropped, to be read
        again after this, were lost.
        """
        committed = await super().seek_to_committed()
        new = [tp for tp, offset in committed.items() if tp.topic in BATCH_TOPICS and not offset]
        if new:
            await self.call_thread(self._ensure_consumer().seek_to_beginning, *new)
        return committed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """
        As stock, unless the partitions are not ours any more (after a freeze): then nothing is committed.

        Stock Faust ends the worker for it, or says that what it left out was committed.
        """
        if not offsets.keys() <= self.assignment():
            return False
        return bool(await super()._commit(offsets))

    async def on_start(self) -> None:
        """Start the aiokafka consumer, then listen to its coordinator's heartbeats."""
        await super().on_start()
        consumer = cast("BatchConsumer", self.consumer)
        coordinator = cast("Any", self._consumer)._coordinator  # noqa: SLF001
        beat = coordinator._do_heartbeat  # noqa: SLF001

        async def watched() -> bool:
            sent = monotonic()
            alive: bool = await beat()
            if alive:
                consumer.lease.renewed(sent, rebalancing=coordinator._rejoin_needed_fut.done())  # noqa: SLF001
            elif coordinator.generation < 0:
                consumer.lease.lost()
            return alive

        coordinator._do_heartbeat = watched  # noqa: SLF001


class BatchConsumer(driver.Consumer):
    """Hands over whole batches; commits what the agent says was delivered, and nothing else."""

    lease: Lease
    progress: Progress

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        transport = cast("Transport", self.transport)
        self.lease = transport.lease
        self.progress = transport.progress
        self._on_commit = transport.on_commit
        self._delivered: dict[TP, int] = {}
        self._stored: dict[TP, int] = {}
        self._open = Round(-1)
        self._recovering = False
        self._most = self.app.conf.broker_max_poll_records

    def _new_consumer_thread(self) -> LeasedThread:
        return LeasedThread(self, loop=self.loop, beacon=self.beacon)

    def delivered(self, done: Round) -> None:
        """Everything that follows from this round is acknowledged by Kafka: its offsets may be committed."""
        if done.generation != self.app.consumer_generation_id:
            return
        for tp, records in done:
            offset = records.offset + 1
            self._delivered[tp] = max(offset, self._delivered.get(tp, 0))
            self.progress.processed(tp, offset)

    def ack(self, message: Message) -> bool:
        """Faust is done with the event; whether its offset may be committed is another question."""
        if message.topic not in BATCH_TOPICS:
            return bool(super().ack(message))
        first = not message.acked
        message.acked = True
        self._unacked_messages.discard(message)
        self._n_acked += first
        notify(self._waiting_for_ack)
        return first

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's signature
        """
        A message with a new round when no other waits for the agent; else what was fetched joins the one that waits.

        Stale records are dropped, and read again after the seek.
        """
        await self._until_there_is_room()
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_back()
            return
        waiting, generation = self._open, self.app.consumer_generation_id
        new = waiting.taken.is_set() or waiting.generation != generation
        if new:
            waiting = Round(generation)
        for tp, fetched in records.items():
            if fetched and (active is None or tp in active or tp in self._buffered_partitions):
                waiting.add(tp, cast("Fetched", fetched))
        if not new:
            await asyncio.sleep(PACE_S)  # the agent is busy: give Kafka time to gather
        elif waiting.records:
            self._open = waiting
            tp, batch = next(iter(waiting))
            yield tp, _message(tp, batch[-1], waiting)

    def _room(self) -> int:
        """How many records the next round still takes: all it may hold when none waits, or none that may be taken. 0 = wait."""
        waiting = self._open
        stale = waiting.generation != self.app.consumer_generation_id or not self.flow_active or self.should_stop
        if stale or waiting.taken.is_set():
            return self._most
        return self._most - waiting.records if waiting.size < MOST_BYTES else 0

    async def _until_there_is_room(self) -> None:
        while self._room() <= 0:  # noqa: ASYNC110 - the agent ends it, or a rebalance
            await asyncio.sleep(PACE_S)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        thread, patience_s = cast("LeasedThread", self._thread), min(timeout, LONGEST_LOOK_S)
        return await thread.fetch(active_partitions, patience_s, max(1, self._room()))

    async def _seek_back(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - as stock Faust: the next recovery seeks again
            self.log.warning("seek while the flow was stopped: %r", error)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the round in hand and commit it, then give the partitions up; Faust has dropped the one that waits."""
        await super().on_partitions_revoked(revoked)
        self._open = Round(-1)
        self.progress.unsettle()
        self._delivered.clear()
        self._stored.clear()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """A new generation begins: everything of the last one is void, and nothing flows until its states are read."""
        self._recovering = True
        self.stop_flow()
        self.lease.joined()
        self._delivered.clear()
        self._stored.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    def recovered(self) -> None:
        """The states are read: the next time that Faust resumes the flow, it flows."""
        self._recovering = False

    def resume_flow(self) -> None:
        """
        As stock, but not before the states are read.

        Faust resumes twice in a recovery, and empties the agent's queue with it: what had come between the two was lost, and
        the worker stood still.
        """
        if not self._recovering:
            super().resume_flow()

    async def perform_seek(self) -> None:
        """Go to the committed offsets; what was fetched beyond them comes again."""
        await super().perform_seek()
        inputs = [tp for tp in self.assignment() if tp.topic in BATCH_TOPICS]
        if not self.progress.settled:
            stored = {tp: self._committed_offset[tp] for tp in inputs}
            self.progress.settle({(tp.topic, tp.partition): -1 if at is None else at for tp, at in stored.items()})

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A round spans offsets by nature: Faust's gaps are for single events."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._delivered) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        """Right because there is one agent, and it delivers in order."""
        return self._delivered.get(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset > self._stored.get(tp, -1)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        crash_point("commit")
        committed: bool = await super()._commit_offsets(offsets, start_new_transaction=start_new_transaction)
        if committed:  # stock Faust counts a failed commit as done, and never repeats it
            self._on_commit()
            for tp, offset in offsets.items():
                self._stored[tp] = offset
                self.progress.committed((tp.topic, tp.partition), offset)
        return committed

    def on_buffer_full(self, tp: TP) -> None:
        """
        A full queue makes the fetcher wait, and that is enough.

        Stock Faust takes the partition out of the fetch instead, and sleeps a second whenever none is left in it: with
        few large batches that is most of the time.
        """

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Stock Faust compares wall clock with monotonic time here and logs false alarms; `watchdog` does this job."""


def _message(tp: TP, last: Any, waiting: Round) -> ConsumerMessage:
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000,
        0,
        [],
        None,
        cast("bytes", waiting),  # Faust passes on what it is given: the topic has no codec
        None,
        0,
        0,
        tp,
        generation_id=waiting.generation,
    )


class Transport(driver.Transport):
    """The aiokafka transport with the consumer above."""

    Consumer = BatchConsumer

    def __init__(self, url: Any, app: AppT, *, lease: Lease, progress: Progress, on_commit: Callable[[], None]) -> None:
        super().__init__(url, app)
        fetches.install()
        self.lease = lease
        self.progress = progress
        self.on_commit = on_commit


def assert_compiled() -> None:
    """
    Faust's compiled stream iterator is in use.

    The one in Python acknowledges events of a stale generation differently and is not what was measured and tested.
    """
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise RuntimeError(
            "Faust's compiled stream iterator is missing: install faust-streaming from its binary wheel, without NO_CYTHON"
        )
