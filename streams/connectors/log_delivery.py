"""
Records of the log reader on their way to Kafka: sent piece by piece, and waited for.

Decision: a piece is smaller than the producer's queue and is sent again, whole, if librdkafka gives its producer up; its
records carry the same ids then. Nothing is dropped but what can be no record, which is counted.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import structlog
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from streams.bus.producer import Producer
from streams.connectors.log_lines import LONGEST_TEXT
from streams.connectors.log_reader import Unreadable
from streams.connectors.log_records import Made
from streams.core.refusal import Refused
from streams.errors import DeliveryError, RegistryUnavailableError
from streams.metrics import LOG_RECORDS, Metrics
from streams.records import registry
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import LOGINS

LOG = structlog.get_logger(__name__)

FOR_EVER = 0
"""librdkafka's delivery timeout for records that may wait as long as the process lives."""
LARGEST_PIECE = 50_000
"""Records that are sent before they are waited for; the producer's queue holds twice as many."""
AWAY = (DeliveryError, RegistryUnavailableError)
"""After the first the producer is of no use any more."""
SILENCE_S = 10.0
WAIT_S = 0.1


class Delivery:
    """Sends records of one process. Only for one thread; `problem` may be asked from any."""

    def __init__(
        self, settings: Settings, codec: Codec, metrics: Metrics, unreadable: Unreadable, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._metrics = metrics
        self._unreadable = unreadable
        self._stop = stop
        self._producer = self._connect()
        self._trouble: str | None = None
        self._progress_s = monotonic()
        self._waiting = False

    def problem(self) -> str | None:
        """Why records do not reach Kafka, a sentence; None while they do, or none are to be sent."""
        if self._trouble is not None or not self._waiting:
            return self._trouble
        silence = monotonic() - self._progress_s > SILENCE_S
        why = self._producer.last_error or (f"no acknowledgement for {SILENCE_S:g} s" if silence else None)
        return f"reading waits for Kafka: {why}" if why else None

    def deliver(self, made: Sequence[Made], stop_s: float) -> bool:
        """Send these and wait until Kafka has them; False if that is not so `stop_s` after the process was told to stop."""
        attempts = Retrying(
            retry=retry_if_exception_type(AWAY),
            wait=wait_exponential(multiplier=0.2, max=10),
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
        )
        try:
            return all(
                attempts(self._deliver_once, made[start : start + LARGEST_PIECE], stop_s)
                for start in range(0, len(made), LARGEST_PIECE)
            )
        except RetryError:
            return False

    def _deliver_once(self, made: Sequence[Made], stop_s: float) -> bool:
        self._waiting, self._progress_s = True, monotonic()
        try:
            counted = self._send(made)
            done = self._wait(stop_s)
        except AWAY as error:
            if self._trouble is None:
                LOG.warning("records cannot be sent, reading waits", reason=str(error)[:LONGEST_TEXT])
            self._trouble = f"records cannot be sent, reading waits: {error}"
            if isinstance(error, DeliveryError):
                self._replace_producer()
            raise
        if done:
            if self._trouble is not None:
                LOG.warning("records can be sent again")
            self._trouble, self._waiting = None, False
            for kind, number in counted.items():
                self._metrics.of(LOG_RECORDS, kind=kind).inc(number)
        return done

    def _send(self, made: Sequence[Made]) -> Counter[str]:
        counted: Counter[str] = Counter()
        send = self._producer.send
        for topic, raw, value in self._encoded(made):
            send(topic, raw, key=value["account"])
            counted[_kind(topic, value)] += 1
        return counted

    def _encoded(self, made: Sequence[Made]) -> list[tuple[str, bytes, dict[str, Any]]]:
        """All of them before any is sent: a schema that the registry does not tell would make the others go out each time."""
        encoded, refusals = [], []
        for topic, record, value in made:
            try:
                encoded.append((topic, self._codec.encode(record, value), value))
            except Refused as refusal:
                refusals.append(refusal)
        for each in refusals:  # now that it will not be tried again for want of a schema
            self._unreadable.note(each, b"")
        return encoded

    def _wait(self, stop_s: float) -> bool:
        deadline: float | None = None
        while len(self._producer):
            if self._producer.poll(WAIT_S):
                self._progress_s = monotonic()
            if self._stop.is_set():
                deadline = deadline or monotonic() + stop_s
                if monotonic() > deadline:
                    return False
        self._producer.poll()
        return True

    def _replace_producer(self) -> None:
        """What the old one still has is sent again by the new one."""
        with suppress(DeliveryError):
            self._producer.close(0)
        self._producer = self._connect()

    def _connect(self) -> Producer:
        return Producer(self._settings, delivery_timeout_ms=FOR_EVER)


def codec_of(settings: Settings) -> Codec:
    """How records are written; a registry that does not answer is waited for while sending."""
    return Codec(registry.from_settings(settings, patience_s=0))


def _kind(topic: str, value: dict[str, object]) -> str:
    if topic != LOGINS.name:
        return "submission"
    return "login" if value["success"] else "failed_login"
