"""
Where records go that cannot be used: onto `dead-letters`, whole, with the reason, and counted.

Decision: the id is derived from the record's position (see `letter_id`), so a record refused again after a crash is recognisable. The raw
bytes go to the topic and nowhere else: they are from outside and may hold anything, so no log shows them.
"""

from typing import Any, Protocol

from streams.bus.producer import OnDelivery, Producer
from streams.core.refusal import Refused
from streams.metrics import DEAD_LETTERS as DEAD_LETTERS_METRIC
from streams.metrics import Metrics
from streams.records.letters import dead_letter
from streams.topology import DEAD_LETTERS


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
        receiver: str = "",
        on_delivery: OnDelivery | None = None,
    ) -> None:
        """
        Queue one refused record; `partition` and `offset` are -1 where it came by another way than Kafka.

        `receiver` is who refused it where every receiver of a record has its own answer; it makes the letters' ids differ.

        Raises DeliveryError as `Producer.send` does.
        """
        letter = dead_letter(
            refusal,
            topic=topic,
            partition=partition,
            offset=offset,
            time_ms=timestamp_ms,
            key=key,
            raw=raw,
            process=self._process,
            receiver=receiver,
            largest=self._most,
        )
        value = self._codec.encode(DEAD_LETTERS.record, letter)
        self._producer.send(DEAD_LETTERS.name, value, key=letter["key"], on_delivery=on_delivery)
        self._metrics.of(DEAD_LETTERS_METRIC, reason=refusal.reason).inc()
