"""
What no receiver took goes to `dead-letters`, and is finished when Kafka has acknowledged that.

Decision: the letter of an order names the receiver in place of the topic, so that nobody can write it back to `blocks`, where
it would be the newest word on that account. It is a single object whatever the registry says.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from streams.bus.dead_letters import DeadLetters
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.errors import DeliveryError
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.records.letters import UNKNOWN
from streams.settings import Settings

ACKNOWLEDGE_MS = 600_000
"""How long a dead letter may wait for Kafka before it counts as lost."""
QUEUE = 10_000
REMEMBERED = 10_000

Finished = Callable[[list[Record]], None]
Place = tuple[str, int, int]


class Letters:
    """
    Writes dead letters on the running event loop.

    `lost` is called when Kafka did not take one: nothing may be committed past it, and `close` says why.
    """

    def __init__(self, settings: Settings, metrics: Metrics, *, lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._refusing: dict[Place, list[Finished]] = {}
        self._refused: OrderedDict[Place, None] = OrderedDict()
        self._producer = Producer(
            settings, on_fatal=self._remember, delivery_timeout_ms=ACKNOWLEDGE_MS, queue_records=QUEUE
        )
        self._letters = DeadLetters(
            self._producer, Codec(), "enforcement", metrics, max_record_bytes=settings.max_record_bytes
        )
        self._producer.start_polling()

    def refuse(self, record: Record, refusal: Refused, finished: Finished) -> None:
        """A record that is no block: one letter, although every receiver reads it."""
        place = (record.topic, record.partition, record.offset)
        if place in self._refused:
            finished([record])
        elif place in self._refusing:
            self._refusing[place].append(finished)
        else:
            self._refusing[place] = [finished]
            self._write(*place, record, record.value, refusal, lambda: self._refusal_through(place, record))

    def _refusal_through(self, place: Place, record: Record) -> None:
        self._refused[place] = None
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)
        for finished in self._refusing.pop(place):
            finished([record])

    def bury(self, receiver: str, records: list[Record], raw: bytes, refusal: Refused, finished: Finished) -> None:
        """An order that this receiver will not have. The records are finished when that is on the topic."""
        first = records[0]
        sentence = f"{refusal} (block at {first.topic}/{first.partition}/{first.offset})"
        letter = Refused(refusal.reason, sentence)
        self._write(receiver, UNKNOWN, UNKNOWN, first, raw, letter, lambda: finished(records))

    async def settle(self, seconds: float) -> None:
        """Wait until what was written is acknowledged, or lost, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)

    def close(self, seconds: float) -> None:
        """Let go. Raises DeliveryError when a letter was lost."""
        self._producer.close(seconds)

    def _write(
        self,
        topic: str,
        partition: int,
        offset: int,
        record: Record,
        raw: bytes | None,
        refusal: Refused,
        through: Callable[[], None],
    ) -> None:
        self._open += 1
        self._settled.clear()

        def acknowledged(error: DeliveryError | None) -> None:
            """In the producer's thread."""
            if error is None:
                self._loop.call_soon_threadsafe(self._through, through)

        try:
            self._letters.write(
                topic, partition, offset, record.timestamp_ms, record.key, raw, refusal, on_delivery=acknowledged
            )
        except DeliveryError as error:
            self._remember(error)

    def _through(self, through: Callable[[], None]) -> None:
        self._open -= 1
        through()
        if self._open == 0:
            self._settled.set()

    def _remember(self, _error: DeliveryError) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._give_up)

    def _give_up(self) -> None:
        self._settled.set()
        self._lost()
