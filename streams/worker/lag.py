"""
A thread that asks Kafka where the input partitions end.

The consumer's own idea of the end moves only when it fetches, so a worker that hangs would show no lag. This asks
with a client of its own, every few seconds, and is also how the worker knows that Kafka is away.
"""

import threading

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.bus.clients import Heard, new_consumer, reason
from streams.bus.partitions import reader_config
from streams.settings import Settings
from streams.topology import LOGINS
from streams.worker.progress import Progress

EVERY_S = 5.0
EVERY_WHILE_AWAY_S = 1.0
ASK_S = 4.0
ANEW_AFTER = 5
"""Failed questions after which a new client asks. Seen once: two minutes after Kafka was back, the old one had not found it."""


class LagReader:
    """Writes the end offsets of this worker's partitions into its progress."""

    def __init__(self, settings: Settings, progress: Progress, every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._progress = progress
        self._every_s = every_s
        self._heard = Heard()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking; returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            consumer = new_consumer(
                {**reader_config(self._settings, f"{self._settings.app}-lag"), "error_cb": self._heard}
            )
            try:
                self._ask_until_it_fails(consumer)
            finally:
                consumer.close()

    def _ask_until_it_fails(self, consumer: Consumer) -> None:
        failed = 0
        while failed < ANEW_AFTER and not self._stop.is_set():
            self._ask(consumer)
            away = self._progress.broker_error is not None
            failed = failed + 1 if away else 0
            self._stop.wait(EVERY_WHILE_AWAY_S if away else self._every_s)

    def _ask(self, consumer: Consumer) -> None:
        try:
            # without partitions of its own the worker still wants to know whether Kafka answers
            for topic, partition in list(self._progress.partitions) or [(LOGINS.name, 0)]:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ASK_S)
                held = self._progress.partitions.get((topic, partition))
                if held is not None:
                    held.end = end
        except KafkaException as error:
            consumer.poll(0)  # serves error_cb
            self._progress.broker_answers(self._heard.last or reason(error))
        else:
            self._heard.last = None
            self._progress.broker_answers(None)
