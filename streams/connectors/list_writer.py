"""
Writes that somebody waits for: acknowledged by Kafka within seconds, or a sentence that says why not.

Decision: no buffer, unlike reports. Who adds an entry to a list can repeat it, and must know whether it holds. Records of
one write go out together; when some of them fail, none is taken back, and repeating the write repairs it.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

import structlog

from streams.bus.producer import Producer
from streams.errors import DeliveryError, RegistryUnavailableError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import Topic

LOG = structlog.get_logger(__name__)

PATIENCE_S = 5.0
"""Kafka must acknowledge within this time."""
GRACE_S = 1.0
"""librdkafka tells of an expired record a little later."""
POLL_S = 0.003
MOST_WAITING = 256
"""Records in flight; with more, writes are refused at once."""
QUEUE_RECORDS = 10_000


class Write(NamedTuple):
    """One record to write; no value is a tombstone."""

    topic: Topic
    key: bytes
    value: bytes | None


class ListWriter:
    """Writes to Kafka for the event loop's thread. Connects at the first write."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._producer: Producer | None = None
        self._waiting = 0

    async def encode(self, record: str, value: dict[str, Any]) -> bytes:
        """A record's bytes; without the registry in single-object form. Raises Refused for a value that is none."""
        try:
            return await asyncio.to_thread(self._codec.encode, record, value)
        except RegistryUnavailableError as error:
            LOG.warning("an entry is written without the schema registry", reason=str(error))
            return Codec().encode(record, value)

    async def write(self, writes: Sequence[Write]) -> None:
        """Write all of them and wait. Raises DeliveryError when Kafka does not acknowledge every one in time."""
        if self._waiting and self._waiting + len(writes) > MOST_WAITING:
            raise DeliveryError(f"{self._waiting} changes wait for Kafka already: repeat this one later")
        self._waiting += len(writes)
        try:
            await self._write(writes)
        finally:
            self._waiting -= len(writes)

    def close(self) -> None:
        """Let go of Kafka, without a look at what is on its way; another write connects anew."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.give_up()

    async def _write(self, writes: Sequence[Write]) -> None:
        producer = self._connected()
        fates: list[DeliveryError | None] = []
        for topic, key, value in writes:
            producer.send(topic.name, value, key=key, on_delivery=fates.append)
        deadline = monotonic() + PATIENCE_S + GRACE_S
        while len(fates) < len(writes) and monotonic() < deadline:
            producer.poll()
            if len(fates) < len(writes):
                await asyncio.sleep(POLL_S)
        errors = [fate for fate in fates if fate is not None]
        if errors or len(fates) < len(writes):
            why = errors[0] if errors else producer.last_error or f"no acknowledgement within {PATIENCE_S:g} s"
            raise DeliveryError(f"Kafka did not take the change: {why}")

    def _connected(self) -> Producer:
        if self._producer is not None and self._producer.failure is not None:  # it takes nothing more
            self.close()
        if self._producer is None:
            self._producer = Producer(
                self._settings,
                policy="report",
                delivery_timeout_ms=int(PATIENCE_S * 1000),
                queue_records=QUEUE_RECORDS,
                linger_ms=0,
            )
        return self._producer
