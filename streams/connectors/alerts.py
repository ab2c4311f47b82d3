"""
Alerts: incidents, reviews and blocks become OCSF events for a SOC.

Every outlet is followed on its own, from its own position on the topics, in a thread of its own, so that none holds up
another. An outlet that is away is tried again with backoff, in order, until it is back; an event that it refuses for good, or
for an hour with an answer that says nothing of other events, goes to `dead-letters`. At least once: after a crash some events
come again, with the same `metadata.uid`. `ocsf` says what an event looks like, `alert_outlets` where it goes.

Decision: one record is read at a time. Only `read` commits and keeps the membership of the group, so of a batch that takes
minutes nothing would be committed, and for longer than five it would come again for ever. librdkafka has read ahead anyway.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from time import monotonic

import structlog

from streams.bus.consumer import GroupReader
from streams.bus.dead_letters import DeadLetters
from streams.bus.health import HealthServer
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.connectors.alert_outlets import (
    BY_OUTLET,
    AboutEventError,
    AwayError,
    FileOutlet,
    HookOutlet,
    Outlet,
    SyslogOutlet,
    TopicOutlet,
)
from streams.connectors.ocsf import Event, account_change, closing, finding
from streams.connectors.receivers import receivers_of
from streams.core.refusal import Refused
from streams.errors import ConfigurationError, RegistryUnavailableError
from streams.metrics import ALERTS_LAG, ALERTS_SENT, ALERTS_UP, KAFKA_UP, REVIEWED, Metrics
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings
from streams.topology import BLOCKS, BY_NAME, INCIDENTS, REVIEWS

log = structlog.get_logger(__name__)

INPUTS = (INCIDENTS, REVIEWS, BLOCKS)
EVENT_OF: dict[str, Callable[[dict[str, object], str], Event]] = {
    INCIDENTS.name: finding,
    REVIEWS.name: closing,
    BLOCKS.name: account_change,
}
SESSION_TIMEOUT_MS = 15_000
"""After this time of silence Kafka gives an exporter's partitions to another."""
READ_S = 0.5
MEASURE_EVERY_S = 1.0
CHECK_EVERY_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
GIVE_UP_S = 3_600.0
"""So long an event is tried whose refusal says nothing of others; then they are not held up by it any more."""
LETTER_S = 130.0
"""Longer than a producer retries, and with a delivery before it (two minutes at most) less than the five between two reads."""


class Follower:
    """One outlet and its position on the topics. `run` belongs into a thread of its own."""

    def __init__(
        self,
        outlet: Outlet,
        settings: Settings,
        metrics: Metrics,
        *,
        counts_reviews: bool,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self.outlet = outlet
        self.trouble = ""
        """Why the outlet takes nothing now, a sentence; empty while all is well."""
        self.kafka_up = False
        """Whether Kafka answers; not before it was asked."""
        self.failure: Exception | None = None
        """What ended `run`."""
        self._settings = settings
        self._metrics = metrics
        self._counts_reviews = counts_reviews
        self._session_timeout_ms = session_timeout_ms
        self._give_up_s = give_up_s
        self._give_up_at: float | None = None
        """Until then the record in hand is tried, once the outlet has answered something about this one only."""
        self._codec = Codec(from_settings(settings))
        self._version = metadata.version("loginwatch")
        self._up = metrics.of(ALERTS_UP, outlet=outlet.name)
        self._lag = metrics.of(ALERTS_LAG, outlet=outlet.name)
        self._kafka_trouble = ""
        self._check_at = self._measure_at = monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Follow until `stopping`; an error that cannot be waited out is left in `failure`."""
        try:
            letters = Producer(self._settings)
            name = f"alerts-{self.outlet.name}"
            reader = GroupReader(self._settings, name, INPUTS, session_timeout_ms=self._session_timeout_ms)
            try:
                self._follow(reader, DeadLetters(letters, Codec(), "alerts", self._metrics), letters, stopping)
            finally:
                reader.close()
                letters.close(1)
                self.outlet.close()
        except Exception as error:
            log.exception("an outlet of alerts failed", outlet=self.outlet.name)
            self.failure = error
            stopping.set()

    def problems(self) -> list[str]:
        """Why events do not flow, a sentence each."""
        return [text for text in (self.trouble, self._kafka_trouble) if text]

    def _follow(self, reader: GroupReader, dead: DeadLetters, letters: Producer, stopping: threading.Event) -> None:
        self._check()
        while not stopping.is_set():
            for record in reader.read(READ_S, 1):
                if self._settings.is_canary(record.key):
                    self._count("canary")
                elif record.value is not None and not self._handle(reader, record, dead, letters, stopping):
                    return
                reader.done(record)
            self._measure(reader)
            # a record is tried until it is through, so what is left here is a check that failed, and nothing to deliver
            if self.trouble and monotonic() >= self._check_at:
                self._check()

    def _check(self) -> None:
        """Show what is wrong with the outlet before the first event comes, which may be in a month."""
        try:
            self.outlet.check()
        except AwayError as error:
            self._is_away(str(error))
        else:
            self._is_back()
        self._check_at = monotonic() + CHECK_EVERY_S

    def _measure(self, reader: GroupReader) -> None:
        self._kafka_trouble = f"Kafka: {reader.last_error}" if reader.last_error else ""
        self.kafka_up = not self._kafka_trouble
        if monotonic() >= self._measure_at:
            self._measure_at = monotonic() + MEASURE_EVERY_S
            self._lag.set(reader.lag() + reader.open_records())

    def _handle(
        self, reader: GroupReader, record: Record, dead: DeadLetters, letters: Producer, stopping: threading.Event
    ) -> bool:
        """Deliver one record, however long it takes; False when told to stop before it was."""
        pause, self._give_up_at = FIRST_PAUSE_S, None
        while not self._is_through(record, dead, letters):
            if not self._wait(reader, pause, stopping):
                return False
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return True

    def _is_through(self, record: Record, dead: DeadLetters, letters: Producer) -> bool:
        """Try once; what is refused for good is through too. Raises DeliveryError when its dead letter was lost."""
        try:
            self._deliver_or_give_up(record)
        except Refused as refusal:
            place = (record.topic, record.partition, record.offset, record.timestamp_ms)
            receiver = self.outlet.name if refusal.reason == BY_OUTLET else ""
            dead.write(*place, record.key, record.value, refusal, receiver=receiver)
            letters.flush(LETTER_S)
            self._count("refused")
        except (AwayError, RegistryUnavailableError) as error:
            self._is_away(str(error))
            self._count("retried")
            return False
        self._is_back()
        return True

    def _deliver_or_give_up(self, record: Record) -> None:
        """As `_deliver`; an event that alone is not taken is refused when its time is over, or it would hold up all others."""
        try:
            self._deliver(record)
        except AboutEventError as error:
            if self._give_up_at is None:
                self._give_up_at = monotonic() + self._give_up_s
            if monotonic() < self._give_up_at:
                raise
            raise Refused(BY_OUTLET, f"{error} (given up after {self._give_up_s:g} seconds)") from error

    def _deliver(self, record: Record) -> None:
        value = self._codec.decode(BY_NAME[record.topic].record, record.value or b"")
        event = EVENT_OF[record.topic](value, self._version)
        self.outlet.deliver(value["account"], event)
        self._count("delivered")
        if self._counts_reviews and record.topic == REVIEWS.name:
            self._metrics.of(REVIEWED, verdict=value["verdict"]).inc()

    def _is_away(self, why: str) -> None:
        if not self.trouble:
            log.warning("an outlet of alerts is away; it is tried again", outlet=self.outlet.name, error=why)
        self.trouble = why
        self._up.set(0)

    def _is_back(self) -> None:
        if self.trouble:
            log.info("an outlet of alerts takes events again", outlet=self.outlet.name)
        self.trouble = ""
        self._up.set(1)

    def _count(self, outcome: str) -> None:
        self._metrics.of(ALERTS_SENT, outlet=self.outlet.name, outcome=outcome).inc()

    def _wait(self, reader: GroupReader, seconds: float, stopping: threading.Event) -> bool:
        """Wait, as a member of the group that reads nothing meanwhile. False when told to stop."""
        until = monotonic() + seconds
        reader.pause()
        while (left := until - monotonic()) > 0 and not stopping.is_set():
            reader.read(min(left, READ_S), 1)
            self._measure(reader)
        reader.resume()
        return not stopping.is_set()


def outlets(settings: Settings) -> list[Outlet]:
    """The outlets that the settings name. Raises ConfigurationError when there is none, or one cannot work."""
    hooks = receivers_of(
        settings.alerts_webhooks, "alerts_webhooks", allow_plaintext=settings.enforcement_allow_plaintext
    )
    if hooks and not settings.alerts_webhook_secret.get_secret_value():
        raise ConfigurationError("alerts_webhooks need alerts_webhook_secret: receivers check the signature with it")
    made: list[Outlet] = [TopicOutlet(settings)] if settings.alerts_topic else []
    if settings.alerts_file:
        made.append(FileOutlet(Path(settings.alerts_file), settings.alerts_file_bytes, settings.alerts_file_keep))
    if settings.alerts_syslog:
        made.append(SyslogOutlet(settings))
    made += [HookOutlet(hook, settings) for hook in hooks]
    if not made:
        raise ConfigurationError(
            "alerts have nowhere to go: set alerts_topic, alerts_file, alerts_syslog or alerts_webhooks"
        )
    return made


def run(followers: Sequence[Follower], stopping: threading.Event) -> None:
    """Follow with all until `stopping`. Raises what ended one of them."""
    threads = [
        threading.Thread(target=follower.run, args=(stopping,), name=f"alerts-{follower.outlet.name}")
        for follower in followers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for follower in followers:
        if follower.failure is not None:
            raise follower.failure


def serve(settings: Settings) -> int:
    """
    Export until SIGTERM or SIGINT; the exit code.

    Raises ConfigurationError for settings that cannot work, DeliveryError when Kafka lost a record.
    """
    stopping = threading.Event()
    metrics = Metrics("alerts")
    followers = [
        Follower(outlet, settings, metrics, counts_reviews=number == 0)
        for number, outlet in enumerate(outlets(settings))
    ]
    metrics.on_scrape(KAFKA_UP, lambda: all(follower.kafka_up for follower in followers))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    health = HealthServer(
        settings.alerts_health_listen,
        metrics=metrics,
        ready=lambda: [problem for follower in followers for problem in follower.problems()],
        setting="alerts_health_listen",
    )
    with health:
        log.info("alerts are exported", outlets=[follower.outlet.name for follower in followers], health=health.address)
        run(followers, stopping)
    log.info("alerts stopped")
    return 0
