"""
Dead letters of a process that reads a topic on an event loop: what one of them finishes is finished when Kafka has it.

Decision: a letter is written as a single object whatever the registry says: a registry that is away must not stop it, and
every reader tells the forms apart.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from streams.bus.dead_letters import DeadLetters
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.errors import DeliveryError
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.settings import Settings

ACKNOWLEDGE_MS = 600_000
"""How long a dead letter may wait for Kafka before it counts as lost."""
QUEUE = 10_000


class LetterBox:
    """
    Writes dead letters on the running event loop.

    `lost` is called when Kafka did not take one: nothing may be committed past it, and `close` says why.
    """

    def __init__(
        self, settings: Settings, process: str, metrics: Metrics, *, lost: Callable[[], None], max_record_bytes: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._producer = Producer(
            settings, on_fatal=self._remember, delivery_timeout_ms=ACKNOWLEDGE_MS, queue_records=QUEUE
        )
        self._letters = DeadLetters(self._producer, Codec(), process, metrics, max_record_bytes=max_record_bytes)
        self._producer.start_polling()

    def post(
        self,
        place: tuple[str, int, int],
        record: Record,
        raw: bytes | None,
        refusal: Refused,
        acknowledged: Callable[[], None],
    ) -> None:
        """
        Write a letter about `raw`, as from this topic, partition and offset, with time and key of the record.

        `acknowledged` is called on the event loop when Kafka has it.
        """
        self._open += 1
        self._settled.clear()

        def on_delivery(error: DeliveryError | None) -> None:
            """In the producer's thread."""
            if error is None:
                self._loop.call_soon_threadsafe(self._through, acknowledged)

        try:
            self._letters.write(*place, record.timestamp_ms, record.key, raw, refusal, on_delivery=on_delivery)
        except DeliveryError as error:
            self._remember(error)

    async def settle(self, seconds: float) -> None:
        """Wait until what was written is acknowledged, or lost, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)

    def close(self, seconds: float) -> None:
        """Let go. Raises DeliveryError when a letter was lost."""
        self._producer.close(seconds)

    def _through(self, acknowledged: Callable[[], None]) -> None:
        self._open -= 1
        acknowledged()
        if self._open == 0:
            self._settled.set()

    def _remember(self, _error: DeliveryError) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._give_up)

    def _give_up(self) -> None:
        self._settled.set()
        self._lost()
