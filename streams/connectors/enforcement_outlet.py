"""
One receiver at work: its blocks are read, queued and carried out, apart from all other receivers.

Decision: a block is committed for a receiver when it was carried out there or is an acknowledged dead letter. A kill repeats
at most what was not committed, with the same ids. Backends and webhooks differ only in what `Sink` asks of them.
"""

import asyncio
from time import monotonic, time_ns
from typing import Protocol

import structlog

from streams.bus.record import Record
from streams.connectors.enforcement_letters import Letters
from streams.connectors.enforcement_queue import Block, Order, Patience, Queue, Reply, Verdict
from streams.connectors.enforcement_reading import BlockReader
from streams.connectors.topic_reader import Partition, come
from streams.core.refusal import Refused
from streams.metrics import ENFORCEMENT_DELAY, RECEIVER_UP, Metric, Metrics

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Orders under way at one receiver, of different accounts."""
STOP_S = 8
"""For what is under way when the process is told to stop; supervisors kill after 10 seconds."""
PROBE_EVERY_S = 30.0
IDLE_S = 5.0


class Sink(Protocol):
    """A receiver, as far as it differs from others."""

    name: str
    kind: str
    counter: Metric
    lifts: bool
    """Does an unblock take back what waits, instead of being an order itself?"""

    def wants(self, block: Block, now_ms: int, *, news: bool) -> bool:
        """Is this block an order for it?"""

    def is_over(self, block: Block, now_ms: int) -> bool:
        """Is it too late to carry this out?"""

    def letter(self, block: Block) -> bytes:
        """What a dead letter keeps."""

    async def probe(self) -> Reply | None:
        """Is it there? None when it cannot be asked."""

    async def carry_out(self, order: Order) -> Reply:
        """One try. Raises nothing."""


class Outlet:
    """One receiver with its reader and its queue."""

    def __init__(
        self, sink: Sink, reader: BlockReader, queue: Queue, patience: Patience, metrics: Metrics, letters: Letters
    ) -> None:
        self.name = sink.name
        self._sink = sink
        self._reader = reader
        self._queue = queue
        self._give_up_ms = patience.give_up_ms
        self._metrics = metrics
        self._letters = letters
        self._changed = asyncio.Event()
        self._trouble = ""
        self._under_way = 0

    def __len__(self) -> int:
        return len(self._queue)

    def problems(self) -> list[str]:
        """Why orders do not flow, a sentence each."""
        found = [f"{self._sink.kind} {self.name}: {self._trouble}"] if self._trouble else []
        return [*self._reader.problems(), *found]

    @property
    def kafka_up(self) -> bool:
        """Whether Kafka answers its reader."""
        return self._reader.kafka_up

    def oldest_s(self) -> float:
        """Age of the oldest block in hand, in seconds."""
        oldest_ms = self._queue.oldest_timestamp_ms()
        return 0.0 if oldest_ms is None else max(0.0, (_now_ms() - oldest_ms) / 1000)

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and carry out until `stopping`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reader.read(self, stopping))
                working = tasks.create_task(self._carry_out_all(stopping))
                await stopping.wait()
                self._changed.set()
                await asyncio.wait([working], timeout=STOP_S)
                working.cancel()
        finally:
            await self._letters.settle(STOP_S)
            await self._reader.leave()

    # --- what the reader asks and brings

    def must_pause(self) -> bool:
        """Is the queue full?"""
        return self._queue.full

    def keep_only(self, partitions: set[Partition]) -> None:
        """Orders of other partitions are carried out by the process that has them now."""
        self._queue.keep_only(partitions)

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is no block."""
        self._letters.refuse(record, refusal, self._reader.finish)

    def take(self, record: Record, block: Block, *, news: bool) -> None:
        """Put it into the queue, if it is an order for this receiver."""
        if block["state"] == "open" and self._sink.lifts:
            for order in self._queue.lift(block["account"]):
                self._count("lifted")
                self._reader.finish(order.records)
            self._reader.finish([record])
        elif not self._sink.wants(block, _now_ms(), news=news or self._queue.knows(block["id"])):
            self._count("over")
            self._reader.finish([record])
        elif not self._queue.add(block, record):
            self._count("repeated")
            self._reader.finish([record])
        self._changed.set()

    # --- carrying out

    async def _carry_out_all(self, stopping: asyncio.Event) -> None:
        await self._probe()
        probed = monotonic()
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                self._changed.clear()
                if self._under_way < AT_ONCE and (order := self._queue.next_due(_clock_ms())) is not None:
                    self._under_way += 1
                    tasks.create_task(self._carry_out(order))
                    continue
                await self._wait()
                if not len(self._queue) and monotonic() - probed > (IDLE_S if self._trouble else PROBE_EVERY_S):
                    await self._probe()
                    probed = monotonic()

    async def _wait(self) -> None:
        """Until an order is due, another arrives, or one is through."""
        wait_ms = self._queue.wait_ms(_clock_ms())
        if wait_ms is None or self._under_way >= AT_ONCE:
            await come(self._changed, IDLE_S)
        else:
            await come(self._changed, min(IDLE_S, wait_ms / 1000 + 0.001))

    async def _carry_out(self, order: Order) -> None:
        try:
            if self._sink.is_over(order.block, _now_ms()):
                self._count("over")
                self._reader.finish(self._queue.done(order))
            else:
                self._judge(order, await self._sink.carry_out(order))
        finally:
            self._under_way -= 1
            self._changed.set()

    def _judge(self, order: Order, reply: Reply) -> None:
        """What follows from the receiver's answer."""
        self._heard(reply)
        if reply.verdict in (Verdict.DONE, Verdict.AGAIN):
            self._count(reply.outcome)
            self._worked(order, reply)
        elif order.dropped:
            self._count("lifted")
            self._reader.finish(self._queue.forget(order))
        elif reply.verdict is Verdict.NEVER:
            self._bury(order, reply, f"{self._sink.kind}_refused", reply.outcome)
        elif _now_ms() - order.records[0].timestamp_ms >= self._give_up_ms:
            self._bury(order, reply, f"{self._sink.kind}_given_up", "given_up")
        else:
            self._count(reply.outcome)
            self._queue.failed(order, _clock_ms(), away=reply.verdict is Verdict.AWAY, wait_ms=reply.wait_ms)

    def _worked(self, order: Order, reply: Reply) -> None:
        if order.round == 0:
            delay_s = max(0.0, (_now_ms() - order.records[0].timestamp_ms) / 1000)
            self._metrics.of(ENFORCEMENT_DELAY, kind=self._sink.kind).observe(delay_s)
        if reply.verdict is Verdict.AGAIN and not order.dropped:
            self._queue.again(order, _clock_ms(), reply.wait_ms)
        else:
            self._reader.finish(self._queue.done(order))

    def _bury(self, order: Order, reply: Reply, reason: str, outcome: str) -> None:
        """This order goes to the dead letters."""
        self._count(outcome)
        sentence = f"{self.name} was not told of the block of {order.account}: {reply.sentence}"
        records = self._queue.done(order)
        name = f"{self._sink.kind} {self.name}"
        self._letters.bury(
            name, records, self._sink.letter(order.block), Refused(reason, sentence), self._reader.finish
        )

    async def _probe(self) -> None:
        """Is it there? Asked at the start, and when nothing is to be done."""
        if (reply := await self._sink.probe()) is not None:
            self._heard(reply)

    def _heard(self, reply: Reply) -> None:
        """Say when the receiver goes away and when it is back."""
        if reply.verdict is not Verdict.AWAY:
            if self._trouble:
                log.warning("orders are taken again", receiver=self.name, kind=self._sink.kind)
            self._trouble = ""
            self._queue.answered()
        else:
            if not self._trouble:
                log.warning(
                    "orders are not taken, they wait", receiver=self.name, kind=self._sink.kind, why=reply.sentence
                )
            self._trouble = f"{reply.sentence}. Orders wait"
        self._metrics.of(RECEIVER_UP, receiver=self.name).set(0 if self._trouble else 1)

    def _count(self, outcome: str) -> None:
        self._metrics.of(self._sink.counter, outcome=outcome).inc()


def _now_ms() -> int:
    """Wall clock: blocks end by it."""
    return time_ns() // 1_000_000


def _clock_ms() -> int:
    """A clock that nobody sets: waits are counted by it."""
    return int(monotonic() * 1000)
