"""
Reports on their way to Kafka: buffered while it is away, never waited for, and every one accounted for.

Decision: a mail server does not repeat a report, and a login must not wait, so reports stay in the producer's queue for
as long as Kafka is away, up to the door's buffer. More are dropped and counted: refusing to answer would let logins pass
unjudged, which is worse than an unseen login. If librdkafka gives its idempotent producer up for good, a new one takes
over and what the old one held is counted as lost.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from streams.bus.dead_letters import DeadLetters
from streams.bus.producer import Producer
from streams.core.refusal import Refused
from streams.errors import DeliveryError, RegistryUnavailableError
from streams.metrics import REPORTS, Metrics
from streams.records.codec import Codec
from streams.records.letters import UNKNOWN
from streams.settings import Settings
from streams.topology import LOGINS, SUBMISSIONS

LOG = structlog.get_logger(__name__)

FOR_EVER = 0
"""librdkafka's delivery timeout for records that may wait as long as the process lives."""
SILENCE_S = 10.0
"""Reports waiting for this long without any acknowledgement mean that Kafka is away."""


SAMPLES: Mapping[str, dict[str, Any]] = {
    "Login": {
        "time": 0, "account": "a@example.org", "ip": "192.0.2.1", "success": False, "service": "other",
        "id": None, "session": None, "server": None, "client": None, "failure": None,
    },
    "DeadLetter": {
        "id": "", "topic": "", "partition": -1, "offset": -1, "time": 0, "reason": "", "detail": "", "key": None,
        "raw": None, "process": "gateway",
    },
    "Submission": {
        "time": 0, "account": "a@example.org", "sender": "", "recipients": 1, "accepted": True, "id": None, "ip": None,
        "queue_id": None, "size": None,
    },
}  # fmt: skip
"""One of each record that is written, to learn at start what a registry calls their schemas."""


class ReportSender:
    """
    Sends Logins, Submissions and dead letters. Only for the thread of the event loop; no call waits.

    `metrics` counts each report by outcome when its fate is known. `records` are those that this door writes, `buffer`
    is how many may wait.
    """

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        metrics: Metrics,
        *,
        records: Iterable[str] = ("Login", "DeadLetter"),
        buffer: int | None = None,
    ) -> None:
        self._settings = settings
        self._buffer = buffer or settings.gateway_buffer
        self._metrics = metrics
        self._codec = _codec_that_answers(codec, records)
        self._counters: dict[str, Any] = {}
        self.waiting = 0
        """Reports and dead letters not yet acknowledged by Kafka."""
        self._sending = False
        self._dropping = False
        self._progress_s = time.monotonic()
        self._producer, self._dead_letters = self._connect()

    def send(self, login: dict[str, Any]) -> None:
        """Queue one Login. Raises Refused when it cannot be encoded."""
        value = self._codec.encode("Login", login)
        self.count("policy" if login["failure"] == "policy" else "login")
        with self._no_waiting():
            self._producer.send(LOGINS.name, value, key=login["account"], on_delivery=self._delivered)

    def submit(self, submission: dict[str, Any]) -> None:
        """Queue one Submission. Raises Refused when it cannot be encoded."""
        value = self._codec.encode("Submission", submission)
        self.count("submission")
        with self._no_waiting():
            self._producer.send(SUBMISSIONS.name, value, key=submission["account"], on_delivery=self._delivered)

    def refuse(self, raw: bytes, now_ms: int, refusal: Refused, *, topic: str = LOGINS.name) -> None:
        """Queue a dead letter for a report that cannot be used; `raw` holds no secrets."""
        self.count("dead_letter")
        with self._no_waiting():
            self._dead_letters.write(topic, UNKNOWN, UNKNOWN, now_ms, None, raw, refusal, on_delivery=self._delivered)

    def count(self, outcome: str) -> None:
        """Count one report."""
        if outcome not in self._counters:
            self._counters[outcome] = self._metrics.of(REPORTS, outcome=outcome)
        self._counters[outcome].inc()

    def poll(self) -> None:
        """Take acknowledgements; call it often."""
        try:
            if self._producer.poll() or not self.waiting:
                self._progress_s = time.monotonic()
        except DeliveryError as error:
            self._replace(error)

    def problem(self) -> str | None:
        """Why reports do not reach Kafka, a sentence; None while they do."""
        waiting = self.waiting
        if not waiting:
            return None
        silence = time.monotonic() - self._progress_s > SILENCE_S
        if self._producer.last_error is None and not silence:
            return None
        why = self._producer.last_error or f"no acknowledgement for {SILENCE_S:g} s"
        full = ", the buffer is full and more are dropped" if self._dropping else ""
        return f"{waiting} reports wait for Kafka{full}: {why}"

    def close(self, timeout_s: float) -> int:
        """Send what waits, at most for this time, and let go of Kafka; how many reports were lost by that."""
        try:
            self._producer.close(timeout_s)
        except DeliveryError as error:
            unsent = self._lose_waiting()
            LOG.warning("reports were not sent", reports=unsent, reason=str(error))
            return unsent
        return 0

    @contextmanager
    def _no_waiting(self) -> Iterator[None]:
        """Around `send`: a delivery that fails now is one for which there is no room."""
        self._sending = True
        self.waiting += 1
        try:
            yield
        except DeliveryError as error:  # the producer is broken: `poll` replaces it
            if self._sending:  # its callback was not told
                self._delivered(error)
        except Refused:
            self.waiting -= 1
            raise
        finally:
            self._sending = False

    def _connect(self) -> tuple[Producer, DeadLetters]:
        producer = Producer(
            self._settings,
            policy="report",
            delivery_timeout_ms=FOR_EVER,
            queue_records=self._buffer,
        )
        return producer, DeadLetters(producer, self._codec, self._metrics.process, self._metrics)

    def _replace(self, error: Exception) -> None:
        LOG.error("the producer is given up and replaced", reports_lost=self._lose_waiting(), reason=str(error))
        self._producer.give_up()
        self._producer, self._dead_letters = self._connect()

    def _lose_waiting(self) -> int:
        lost, self.waiting = self.waiting, 0
        for _ in range(lost):
            self.count("lost")
        return lost

    def _delivered(self, error: DeliveryError | None) -> None:
        """The producer tells the fate of one report; within `send` only that there is no room for it."""
        self.waiting -= 1
        if error is None:
            self._dropping = False
            self.count("delivered")
        elif self._sending:
            if not self._dropping:
                LOG.error("reports are dropped", buffer=self._buffer, reason=str(error))
            self._dropping, self._sending = True, False
            self.count("dropped")
        else:
            LOG.warning("a report was lost", reason=str(error))
            self.count("lost")


def _codec_that_answers(codec: Codec, records: Iterable[str]) -> Codec:
    """
    A codec that can write now. A registry is asked here, once: a login must not wait for it later.

    Without the registry, records are written in single-object encoding, which every reader takes too.
    """
    try:
        for record in records:
            codec.encode(record, SAMPLES[record])
    except RegistryUnavailableError as error:
        LOG.warning("records are written without the schema registry", reason=str(error))
        return Codec()
    return codec
