"""
Records of one topic for one consumer group, decoded, and their commits back.

Decision: librdkafka blocks, so everything that calls it runs in one thread of its own, step by step; between the steps the
event loop has the word. A commit is never written here: `GroupReader` commits up to the first record that is not finished.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

from streams.bus.consumer import GroupReader
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.errors import BadRecordError, RegistryUnavailableError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import Topic

Partition = tuple[str, int]

READ_S = 0.1
"""A batch is handed over after this time at the latest: what a kick of a session waits for most."""
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

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is none."""


SomeTaker = TypeVar("SomeTaker", bound=Taker)


class TopicReader(ABC, Generic[SomeTaker]):
    """Reads until told to stop. `finish` whatever was taken or refused, in any order."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        topic: Topic,
        group: str,
        *,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._topic = topic
        self._group = group
        self._session_timeout_ms = session_timeout_ms
        self._undecoded: list[Record] = []
        self._finished: list[Record] = []
        self._paused = False
        self._thread = ThreadPoolExecutor(1, f"{group}-kafka")
        self._reader: GroupReader | None = None
        self._registry_trouble = ""
        self._mine: set[Partition] = set()

    @abstractmethod
    def hand_over(self, taker: SomeTaker, record: Record, value: dict[str, Any]) -> None:
        """Give the taker a decoded record."""

    def now_mine(self, reader: GroupReader, partitions: set[Partition]) -> None:
        """In the reader's thread: these partitions have come to this process."""

    def decode(self, record: Record) -> dict[str, Any]:
        """Raises BadRecordError, and RegistryUnavailableError for a schema that was not met before."""
        return self._codec.decode(self._topic.record, record.value or b"")

    def problems(self) -> list[str]:
        """Why nothing can be read, a sentence each."""
        if self._reader is None:
            return [f"{self._topic.name} are not being read"]
        kafka = self._reader.last_error
        return [text for text in (self._registry_trouble, f"Kafka: {kafka}" if kafka else "") if text]

    @property
    def kafka_up(self) -> bool:
        """Whether Kafka answers; not before it was asked."""
        return self._reader is not None and self._reader.last_error is None

    def finish(self, records: list[Record]) -> None:
        """These need not be read again."""
        self._finished.extend(records)

    async def read(self, taker: SomeTaker, stopping: asyncio.Event) -> None:
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
            await self._hand_over_all(taker, stopping)

    async def leave(self) -> None:
        """Commit what is finished and leave the group."""
        if self._reader is not None:
            await self._in_thread(self._commit_and_close, self._finished)
        self._thread.shutdown()

    async def _hand_over_all(self, taker: SomeTaker, stopping: asyncio.Event) -> None:
        """Decode in order. What needs a registry that is away waits, and reading waits with it."""
        while self._undecoded:
            record = self._undecoded[0]
            try:
                value = await asyncio.to_thread(self.decode, record)
            except RegistryUnavailableError as error:
                self._registry_trouble = str(error)[:300]
                await come(stopping, REGISTRY_RETRY_S)
                return
            except BadRecordError as refusal:
                taker.refuse(record, refusal)
            else:
                self.hand_over(taker, record, value)
            self._registry_trouble = ""
            del self._undecoded[0]

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _step(self, pause: bool, finished: list[Record]) -> list[Record]:
        """In the thread: commit, pause or go on, read."""
        if self._reader is None:
            self._reader = GroupReader(
                self._settings, self._group, [self._topic], session_timeout_ms=self._session_timeout_ms
            )
        for record in finished:
            self._reader.done(record)
        if pause != self._paused:
            self._paused = pause
            (self._reader.pause if pause else self._reader.resume)()
        records = self._reader.read(READ_S, READ_MOST)
        mine = set(self._reader.assigned())
        if new := mine - self._mine:
            self.now_mine(self._reader, new)
        self._mine = mine
        return records

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
