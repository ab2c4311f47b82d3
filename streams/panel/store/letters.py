"""Records that the panel cannot use go to `dead-letters`, as those of every reader do."""

from streams.bus.dead_letters import DeadLetters
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.core.refusal import Refused
from streams.errors import DeliveryError
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.settings import Settings

ACKNOWLEDGED_WITHIN_S = 10.0


class Letters:
    """Writes dead letters; connects to Kafka with the first one. For one thread."""

    def __init__(self, settings: Settings, codec: Codec, metrics: Metrics) -> None:
        self._settings = settings
        self._codec = codec
        self._metrics = metrics
        self._producer: Producer | None = None

    def write(self, record: Record, refusal: Refused) -> None:
        """Queue a record that was refused. Raises DeliveryError; the next letter then begins anew."""
        if self._producer is None:
            self._producer = Producer(self._settings, delivery_timeout_ms=int(ACKNOWLEDGED_WITHIN_S * 1000))
        letters = DeadLetters(
            self._producer, self._codec, "panel", self._metrics, max_record_bytes=self._settings.max_record_bytes
        )
        place = (record.topic, record.partition, record.offset)
        try:
            letters.write(*place, record.timestamp_ms, record.key, record.value, refusal)
        except DeliveryError:
            self.close()
            raise

    def flush(self) -> None:
        """Wait until what was written is acknowledged. Raises DeliveryError; the next letter then begins anew."""
        if self._producer is None or not len(self._producer):
            return
        try:
            self._producer.flush(ACKNOWLEDGED_WITHIN_S)
        except DeliveryError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of Kafka."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(0)
            except DeliveryError:
                return
