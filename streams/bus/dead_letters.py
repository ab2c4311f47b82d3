"""
Where records go that cannot be used: onto `dead-letters`, whole, with the reason, and counted.

Decision: the id is derived from the record's position, so a record refused again after a crash is recognisable. The raw
bytes go to the topic and nowhere else: they are from outside and may hold anything, so no log shows them.
"""

import uuid
from typing import Any, Protocol

from streams.bus.producer import OnDelivery, Producer
from streams.core.refusal import Refused
from streams.metrics import DEAD_LETTERS as DEAD_LETTERS_METRIC
from streams.metrics import Metrics
from streams.topology import DEAD_LETTERS

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://loginwatch/dead-letters")
MOST_DETAIL = 1_000  # characters
UNKNOWN = -1


class Encoder(Protocol):
    """What is needed of `streams.records.codec.Codec`."""

    def encode(self, record: str, value: dict[str, Any]) -> bytes:
        """The record as bytes."""
        ...


class DeadLetters:
    """
    Writes refused records of one process to `dead-letters`.

    `max_record_bytes` bounds what is kept of a record: a larger one is cut, and its detail says so.
    """

    def __init__(
        self, producer: Producer, codec: Encoder, process: str, metrics: Metrics, *, max_record_bytes: int = 65_536
    ) -> None:
        self._producer = producer
        self._codec = codec
        self._process = process
        self._metrics = metrics
        self._most = max_record_bytes

    def write(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        raw: bytes | None,
        refusal: Refused,
        *,
        on_delivery: OnDelivery | None = None,
    ) -> None:
        """
        Queue one refused record; `partition` and `offset` are -1 where it came by another way than Kafka.

        Raises DeliveryError as `Producer.send` does.
        """
        letter = self.letter(topic, partition, offset, timestamp_ms, key, raw, refusal)
        value = self._codec.encode(DEAD_LETTERS.record, letter)
        self._producer.send(DEAD_LETTERS.name, value, key=letter["key"], on_delivery=on_delivery)
        self._metrics.of(DEAD_LETTERS_METRIC, reason=refusal.reason).inc()

    def letter(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        raw: bytes | None,
        refusal: Refused,
    ) -> dict[str, Any]:
        """The DeadLetter record for a refused record."""
        detail = str(refusal)[:MOST_DETAIL]
        if raw is not None and len(raw) > self._most:
            detail += f" (cut: {self._most} of {len(raw)} bytes are kept)"
        if key is not None and len(key) > self._most:
            detail += f" (key cut: {self._most} of {len(key)} bytes are kept)"
        return {
            "id": letter_id(topic, partition, offset, raw),
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "time": timestamp_ms,
            "reason": refusal.reason,
            "detail": detail,
            "key": None if key is None else key[: self._most],
            "raw": None if raw is None else raw[: self._most],
            "process": self._process,
        }


def letter_id(topic: str, partition: int, offset: int, raw: bytes | None) -> str:
    """
    The id of a dead letter: of its position, or of its bytes where the position is unknown.

    >>> letter_id("logins", 3, 14, None) == letter_id("logins", 3, 14, b"anything")
    True
    """
    if offset == UNKNOWN:
        # hexadecimal, since uuid5 takes text
        return str(uuid.uuid5(NAMESPACE, f"{topic}/raw/{(raw or b'').hex()}"))
    return str(uuid.uuid5(NAMESPACE, f"{topic}/{partition}/{offset}"))
