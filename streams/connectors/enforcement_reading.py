"""
Blocks off their topic for one receiver, decoded, and their commits back.

Decision: every receiver has a consumer group of its own. So each goes on where it was, one that is down for a day makes
nothing come twice to the others, and what waits for it waits on Kafka instead of in memory. librdkafka blocks, so what calls
it runs in one thread per receiver; a commit never passes an unfinished record (`GroupReader`).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import time_ns
from typing import Any, Protocol

from confluent_kafka import KafkaException

from streams.bus.consumer import GroupReader
from streams.bus.record import Record
from streams.connectors.enforcement_queue import Block
from streams.core.refusal import Refused
from streams.errors import BadRecordError, RegistryUnavailableError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

Partition = tuple[str, int]

READ_S = 0.1
"""A batch is handed over after this time at the latest: what a kick waits for most."""
READ_MOST = 100
"""Records read at once: what may come on top of a full queue."""
REGISTRY_RETRY_S = 2.0
SESSION_TIMEOUT_MS = 15_000
"""After this time of silence Kafka gives a process's partitions to another."""


class Taker(Protocol):
    """Who takes what was read."""

    def must_pause(self) -> bool:
        """Is there too much in hand to read on?"""

    def keep_only(self, partitions: set[Partition]) -> None:
        """All other partitions belong to another process now."""

    def take(self, record: Record, block: Block, *, news: bool) -> None:
        """A block; not `news` when it was on the topic before this receiver was followed for the first time."""

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is none."""


class BlockReader:
    """Reads until told to stop. `finish` whatever was taken or refused, in any order."""

    def __init__(
        self, settings: Settings, codec: Codec, name: str, *, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._name = name
        self._session_timeout_ms = session_timeout_ms
        self._undecoded: list[Record] = []
        self._finished: list[Record] = []
        self._paused = False
        self._thread = ThreadPoolExecutor(1, f"{name}-kafka")
        self._reader: GroupReader | None = None
        self._registry_trouble = ""
        self._mine: set[Partition] = set()
        self._first_ms: dict[Partition, int] = {}
        """When a partition was read for the first time ever; what is older on it is no news."""

    def problems(self) -> list[str]:
        """Why nothing can be read, a sentence each."""
        if self._reader is None:
            return ["blocks are not being read"]
        kafka = self._reader.last_error
        return [text for text in (self._registry_trouble, f"Kafka: {kafka}" if kafka else "") if text]

    def finish(self, records: list[Record]) -> None:
        """These need not be read again."""
        self._finished.extend(records)

    async def read(self, taker: Taker, stopping: asyncio.Event) -> None:
        """Read and hand over until `stopping`."""
        mine: set[Partition] = set()
        while not stopping.is_set():
            pause = taker.must_pause() or bool(self._undecoded)
            finished, self._finished = self._finished, []
            records = await self._in_thread(self._step, pause, finished)
            if self._mine != mine:
                mine = self._mine
                taker.keep_only(mine)
                self._undecoded = [record for record in self._undecoded if (record.topic, record.partition) in mine]
            self._undecoded.extend(records)
            await self._hand_over(taker, stopping)

    async def leave(self) -> None:
        """Commit what is finished and leave the group."""
        if self._reader is not None:
            await self._in_thread(self._commit_and_close, self._finished)
        self._thread.shutdown()

    async def _hand_over(self, taker: Taker, stopping: asyncio.Event) -> None:
        """Decode in order. What needs a registry that is away waits, and reading waits with it."""
        while self._undecoded:
            record = self._undecoded[0]
            try:
                block = await self._decoded(record)
            except RegistryUnavailableError as error:
                self._registry_trouble = str(error)[:300]
                await come(stopping, REGISTRY_RETRY_S)
                return
            except BadRecordError as refusal:
                taker.refuse(record, refusal)
            else:
                if block is None:
                    self.finish([record])
                else:
                    taker.take(record, block, news=self._is_news(record))
            self._registry_trouble = ""
            del self._undecoded[0]

    async def _decoded(self, record: Record) -> Block | None:
        """None for a tombstone, which orders nothing."""
        if record.value is None:
            return None
        return await asyncio.to_thread(self._codec.decode, BLOCKS.record, record.value)

    def _is_news(self, record: Record) -> bool:
        return record.timestamp_ms >= self._first_ms.get((record.topic, record.partition), 0)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _step(self, pause: bool, finished: list[Record]) -> list[Record]:
        """In the thread: commit, pause or go on, read."""
        if self._reader is None:
            self._reader = GroupReader(
                self._settings, self._name, [BLOCKS], session_timeout_ms=self._session_timeout_ms
            )
        for record in finished:
            self._reader.done(record)
        if pause != self._paused:
            self._paused = pause
            (self._reader.pause if pause else self._reader.resume)()
        records = self._reader.read(READ_S, READ_MOST)
        mine = set(self._reader.assigned())
        if new := mine - self._mine:
            self._look_for_a_first_time(self._reader, new)
        self._mine = mine
        return records

    def _look_for_a_first_time(self, reader: GroupReader, new: set[Partition]) -> None:
        """A partition without a position was never followed. If Kafka will not say, all is news: told twice is not lost."""
        now_ms = time_ns() // 1_000_000
        try:
            followed = {(topic, partition) for topic, partition, _ in reader.committed()}
        except KafkaException:
            followed = new
        for place in new:
            if place in followed:
                self._first_ms.pop(place, None)
            else:
                self._first_ms.setdefault(place, now_ms)

    def _commit_and_close(self, finished: list[Record]) -> None:
        assert self._reader is not None
        for record in finished:
            self._reader.done(record)
        self._reader.close()
        self._reader = None


async def come(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event at most so long: has it come?"""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
