"""
A thread that asks Kafka the same question again and again, with a client of its own.

Decision: after some failed questions a new client asks. Seen once: two minutes after Kafka was back on a starved machine,
the old one had not found it.
"""

import threading
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer

from streams.bus.clients import Heard, new_consumer
from streams.bus.partitions import reader_config
from streams.errors import ConfigurationError
from streams.settings import Settings

log = structlog.get_logger(__name__)

ANEW_AFTER = 5


class Asker:
    """
    Calls `ask` every `every_s`, or `away_s` while it says that Kafka did not answer.

    `ask` gets the client and what it heard of errors, and returns whether there was an answer. `stopping` is set by `stop`.
    """

    def __init__(
        self, settings: Settings, group: str, ask: Callable[[Consumer, Heard], bool], *, every_s: float, away_s: float
    ) -> None:
        self.stopping = threading.Event()
        self._config = reader_config(settings, group)
        self._ask = ask
        self._every_s = every_s
        self._away_s = away_s
        self._heard = Heard()
        self._thread = threading.Thread(target=self._run, name=f"asks as {group}", daemon=True)

    def start(self) -> None:
        """Begin to ask; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; returns when the thread has ended."""
        self.stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                consumer = new_consumer({**self._config, "error_cb": self._heard})
            except ConfigurationError as error:
                # the settings were read: a certificate's file is being replaced
                log.warning("Kafka cannot be asked", error=str(error))
                self.stopping.wait(self._away_s)
                continue
            try:
                self._ask_until_it_fails(consumer)
            finally:
                consumer.close()

    def _ask_until_it_fails(self, consumer: Consumer) -> None:
        failed = 0
        while failed < ANEW_AFTER and not self.stopping.is_set():
            answered = self._ask(consumer, self._heard)
            failed = 0 if answered else failed + 1
            self.stopping.wait(self._every_s if answered else self._away_s)
