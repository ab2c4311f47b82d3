"""
A thread that asks Kafka where the input partitions end.

The consumer's own idea of the end moves only when it fetches, so a worker that hangs would show no lag. This asks
with a client of its own, every few seconds, and is also how the worker knows that Kafka is away.
"""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.bus.asking import Asker
from streams.bus.clients import Heard, reason
from streams.settings import Settings
from streams.topology import LOGINS
from streams.worker.progress import Progress

EVERY_S = 5.0
EVERY_WHILE_AWAY_S = 1.0
ASK_S = 4.0


class LagReader:
    """Writes the end offsets of this worker's partitions into its progress."""

    def __init__(self, settings: Settings, progress: Progress, every_s: float = EVERY_S) -> None:
        self._progress = progress
        self._asker = Asker(settings, f"{settings.app}-lag", self._ask, every_s=every_s, away_s=EVERY_WHILE_AWAY_S)

    def start(self) -> None:
        """Begin to ask."""
        self._asker.start()

    def stop(self) -> None:
        """Stop asking; returns when the thread has ended."""
        self._asker.stop()

    def _ask(self, consumer: Consumer, heard: Heard) -> bool:
        try:
            # without partitions of its own the worker still wants to know whether Kafka answers
            for topic, partition in list(self._progress.partitions) or [(LOGINS.name, 0)]:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASK_S)
                held = self._progress.partitions.get((topic, partition))
                if held is not None:
                    held.end = end
        except KafkaException as error:
            consumer.poll(0)  # serves error_cb
            self._progress.broker_answers(heard.last or reason(error))
            return False
        heard.last = None
        self._progress.broker_answers(None)
        return True
