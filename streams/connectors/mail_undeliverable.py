"""
What cannot be mailed goes to `dead-letters`, and is finished when Kafka has acknowledged that.

Decision: a dead letter of a mail holds the notification with only the recipient who was not told, so that sending it again
tells nobody twice. It is written as a single object whatever the registry says: a registry that is away must not stop it,
and every reader tells the forms apart.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from streams.bus.dead_letters import DeadLetters
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.connectors.mail_outbox import Notice, finish
from streams.core.refusal import Refused
from streams.errors import BadRecordError, DeliveryError
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.records.letters import UNKNOWN
from streams.settings import Settings
from streams.topology import NOTIFICATIONS

ACKNOWLEDGE_MS = 600_000
"""How long a dead letter may wait for Kafka before it counts as lost."""
QUEUE = 10_000


class Undeliverable:
    """
    Writes dead letters on the running event loop; `finished` is told the records that are done by them.

    `lost` is called when Kafka did not take a letter: nothing may be committed past it, and `close` says why.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        finished: Callable[[list[Record]], None],
        lost: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._finished = finished
        self._lost = lost
        self._open = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._single_objects = Codec()
        self._producer = Producer(
            settings, on_fatal=self._remember, delivery_timeout_ms=ACKNOWLEDGE_MS, queue_records=QUEUE
        )
        # a notification with all its networks may be larger than what is taken from outside; cut, it could not be resent
        self._letters = DeadLetters(self._producer, self._single_objects, "mailer", metrics, max_record_bytes=1_000_000)
        self._producer.start_polling()

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is no notification."""
        self._write(
            Notice(record),
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            refusal,
        )

    def bury(self, notice: Notice, notification: Mapping[str, Any], recipients: list[str], refusal: Refused) -> None:
        """These recipients of a notification are not told, because of `refusal`. The notice stays open until acknowledged."""
        record = notice.record
        try:
            raw = self._single_objects.encode(NOTIFICATIONS.record, {**notification, "recipients": recipients})
        except BadRecordError:  # text that JSON can hold and UTF-8 cannot: better all recipients again than nothing
            raw = record.value or b""
        # the id is of the bytes, since several recipients of one position need several ids
        position = (record.topic, UNKNOWN, UNKNOWN)
        sentence = f"{refusal} (notification at {record.topic}/{record.partition}/{record.offset})"
        self._write(notice, *position, record.timestamp_ms, record.key, raw, Refused(refusal.reason, sentence))

    async def settle(self, seconds: float) -> None:
        """Wait until what was written is acknowledged, or lost, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)

    def close(self, seconds: float) -> None:
        """Let go. Raises DeliveryError when a letter was lost."""
        self._producer.close(seconds)

    def _write(
        self,
        notice: Notice,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        raw: bytes | None,
        refusal: Refused,
    ) -> None:
        notice.open += 1
        self._open += 1
        self._settled.clear()
        acknowledged = partial(self._acknowledged, notice)
        try:
            self._letters.write(topic, partition, offset, timestamp_ms, key, raw, refusal, on_delivery=acknowledged)
        except DeliveryError as error:
            self._remember(error)

    def _acknowledged(self, notice: Notice, error: DeliveryError | None) -> None:
        """In the producer's thread."""
        if error is None:
            self._loop.call_soon_threadsafe(self._through, notice)

    def _through(self, notice: Notice) -> None:
        self._open -= 1
        self._finished(finish([notice]))
        if self._open == 0:
            self._settled.set()

    def _remember(self, _error: DeliveryError) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._give_up)

    def _give_up(self) -> None:
        self._settled.set()
        self._lost()
