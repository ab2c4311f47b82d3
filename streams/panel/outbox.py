"""
The panel's way to Kafka: records, acknowledged, and where they were put; or a sentence why not.

Decision: a person waits for each record, so none is kept for later: what cannot be written now has not happened, and
whoever decided it is told so.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from streams.bus.answers import Answers
from streams.bus.producer import Producer
from streams.core.refusal import Refused
from streams.errors import DeliveryError, LoginwatchError
from streams.panel.problems import DecisionError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BY_NAME, COMMANDS

ACKNOWLEDGED_WITHIN_S = 10.0
GRACE_S = 1.0
QUEUE_RECORDS = 100_000
ACTOR_HEADER = "actor"
Row = dict[str, Any]


class Placed(NamedTuple):
    """Where an acknowledged record is."""

    topic: str
    partition: int
    offset: int


class Outbox:
    """Writes decisions to topics and asks workers about accounts. Used by many threads at once."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._lock = threading.Lock()
        self._producer = self._new_producer()
        self._answers = Answers(settings, codec)

    def start(self) -> None:
        """Begin to serve acknowledgements and to hear answers."""
        self._producer.start_polling()
        self._answers.start()

    def close(self) -> None:
        """Let go of Kafka; everything written was acknowledged to its writer already."""
        self._answers.stop()
        try:
            self._producer.close(GRACE_S)
        except DeliveryError:
            return

    def problem(self) -> str | None:
        """
        Why workers cannot be asked now; None as far as is known they can.

        What the producer heard last is not asked: it learns that Kafka is back only when somebody decides something.
        """
        return self._answers.last_error

    def write(self, topic: str, actor: str, *records: tuple[str, Row | None]) -> list[Placed]:
        """
        Write records (None = tombstone) under their keys and wait for all acknowledgements. A header names the actor, since
        a tombstone cannot.

        Raises DecisionError when Kafka did not take all of them, Refused for a value that is no record.
        """
        try:
            raws = [(key, None if row is None else self._encoded(topic, row)) for key, row in records]
            waiting = _Waiting(len(raws))
            producer = self._usable_producer()
            for key, raw in raws:
                producer.send(
                    topic,
                    raw,
                    key=key,
                    headers=[(ACTOR_HEADER, actor.encode())],
                    on_delivery=waiting.delivered,
                    on_placed=waiting.placing(topic),
                )
        except Refused:
            raise
        except LoginwatchError as error:
            raise DecisionError(str(error)) from error
        return waiting.wait()

    def ask(self, account: str, command: Row, timeout_s: float) -> Row | None:
        """What a worker answers to a `describe` command; None when none answered in time. Raises DecisionError."""

        def send() -> None:
            self.write(COMMANDS.name, command["actor"], (account, command))

        return self._answers.ask(command["id"], send, timeout_s)

    def _encoded(self, topic: str, row: Row) -> bytes:
        return self._codec.encode(BY_NAME[topic].record, row)

    def _new_producer(self) -> Producer:
        return Producer(
            self._settings,
            policy="report",
            delivery_timeout_ms=int(ACKNOWLEDGED_WITHIN_S * 1000),
            queue_records=QUEUE_RECORDS,
            linger_ms=0,
        )

    def _usable_producer(self) -> Producer:
        """The producer; a new one after an error that it does not recover from."""
        with self._lock:
            if self._producer.failure is not None:
                broken, self._producer = self._producer, self._new_producer()
                self._producer.start_polling()
                threading.Thread(target=_let_go, args=(broken,), daemon=True).start()
            return self._producer


class _Waiting:
    """Somebody who waits for the acknowledgements of some records."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._placed: list[Placed] = []
        self._error: DeliveryError | None = None
        self._changed = threading.Condition()

    def placing(self, topic: str) -> Callable[[int, int], None]:
        return lambda partition, offset: self._placed.append(Placed(topic, partition, offset))

    def delivered(self, error: DeliveryError | None) -> None:
        with self._changed:
            self._left -= 1
            self._error = self._error or error
            self._changed.notify()

    def wait(self) -> list[Placed]:
        deadline = monotonic() + ACKNOWLEDGED_WITHIN_S + GRACE_S
        with self._changed:
            self._changed.wait_for(lambda: self._left <= 0, deadline - monotonic())
            if self._error is not None:
                raise DecisionError(str(self._error))
            if self._left > 0:
                raise DecisionError("Kafka did not acknowledge the record in time")
            return list(self._placed)


def _let_go(producer: Producer) -> None:
    try:
        producer.close(GRACE_S)
    except DeliveryError:
        return
