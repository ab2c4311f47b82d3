"""
Notifications off their topic, decoded, and their commits back.

Decision: librdkafka blocks, so everything that calls it runs in one thread of its own, step by step; between the steps the
event loop has the word. A commit is never written here: `GroupReader` commits up to the first record that is not finished.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from streams.bus.consumer import GroupReader
from streams.bus.record import Record
from streams.connectors.mail_address import plain
from streams.core.refusal import Refused
from streams.errors import BadRecordError, RegistryUnavailableError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import NOTIFICATIONS

Partition = tuple[str, int]
Notification = dict[str, Any]

READ_S = 0.2
READ_MOST = 100
"""Records read at once: what may come on top of a full outbox."""
REGISTRY_RETRY_S = 2.0
SESSION_TIMEOUT_MS = 15_000
"""After this time of silence Kafka gives a mailer's partitions to another."""


class Taker(Protocol):
    """Who takes what was read."""

    def must_pause(self) -> bool:
        """Is there too much in hand to read on?"""

    def keep_only(self, partitions: set[Partition]) -> None:
        """All other partitions belong to another reader now."""

    def take(self, record: Record, notification: Notification) -> None:
        """A notification."""

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is none."""


class NotificationReader:
    """Reads until told to stop. `finish` whatever was taken or refused, in any order."""

    def __init__(self, settings: Settings, codec: Codec, *, session_timeout_ms: int = SESSION_TIMEOUT_MS) -> None:
        self._settings = settings
        self._session_timeout_ms = session_timeout_ms
        self._codec = codec
        self._undecoded: list[Record] = []
        self._finished: list[Record] = []
        self._paused = False
        self._thread = ThreadPoolExecutor(1, "mailer-kafka")
        self._reader: GroupReader | None = None
        self._registry_trouble = ""

    def problems(self) -> list[str]:
        """Why nothing can be read, a sentence each."""
        if self._reader is None:
            return ["notifications are not being read"]
        kafka = self._reader.last_error
        return [text for text in (self._registry_trouble, f"Kafka: {kafka}" if kafka else "") if text]

    def finish(self, records: list[Record]) -> None:
        """These need not be read again."""
        self._finished.extend(records)

    def decode(self, record: Record) -> Notification:
        """Raises BadRecordError, and RegistryUnavailableError for a schema that was not met before."""
        return self._codec.decode(NOTIFICATIONS.record, record.value or b"")

    async def read(self, taker: Taker, stopping: asyncio.Event) -> None:
        """Read and hand over until `stopping`."""
        mine: set[Partition] = set()
        while not stopping.is_set():
            pause = taker.must_pause() or bool(self._undecoded)
            finished, self._finished = self._finished, []
            records, now_mine = await self._in_thread(self._step, pause, finished)
            if now_mine != mine:
                mine = now_mine
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
                notification = await asyncio.to_thread(self.decode, record)
            except RegistryUnavailableError as error:
                self._registry_trouble = plain(error, 300)
                await come(stopping, REGISTRY_RETRY_S)
                return
            except BadRecordError as refusal:
                taker.refuse(record, refusal)
            else:
                taker.take(record, notification)
            self._registry_trouble = ""
            del self._undecoded[0]

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _step(self, pause: bool, finished: list[Record]) -> tuple[list[Record], set[Partition]]:
        """In the thread: commit, pause or go on, read. What is new, and whose partitions are ours."""
        if self._reader is None:
            self._reader = GroupReader(
                self._settings, "mailer", [NOTIFICATIONS], session_timeout_ms=self._session_timeout_ms
            )
        for record in finished:
            self._reader.done(record)
        if pause != self._paused:
            self._paused = pause
            (self._reader.pause if pause else self._reader.resume)()
        return self._reader.read(READ_S, READ_MOST), set(self._reader.assigned())

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
