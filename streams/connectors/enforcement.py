"""
Enforcement: a block takes effect at once where sessions are open already, and whoever wants to know is told.

The doors deny new logins; this process closes the sessions that are open, at every configured Dovecot, and calls webhooks.
Decision: every backend and every webhook is followed on its own, from its own position on `blocks`, so that none holds up
another, in time or in memory. Read on in `enforcement_outlet` (one receiver at work), `enforcement_reading` (Kafka),
`enforcement_queue` (what is due when), `doveadm` and `doveadm_backend` (sessions), `webhook`, `enforcement_letters`.
"""

import asyncio
from collections.abc import Callable

from streams.bus.health import HealthServer
from streams.connectors.doveadm_backend import REPEAT_MS, DoveadmBackend
from streams.connectors.enforcement_letters import Letters
from streams.connectors.enforcement_outlet import Outlet, Sink
from streams.connectors.enforcement_queue import Patience, Queue
from streams.connectors.enforcement_reading import BlockReader
from streams.connectors.receivers import Receiver, new_session, receivers_of, tls_of
from streams.connectors.serving import serve_until_told
from streams.connectors.topic_reader import SESSION_TIMEOUT_MS
from streams.connectors.webhook import Webhook
from streams.errors import ConfigurationError
from streams.metrics import ENFORCEMENT_OLDEST_PENDING, ENFORCEMENT_PENDING, KAFKA_UP, Metrics
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings

HOUR_MS = 3_600_000


class Enforcement:
    """One process of enforcement; any number share the work."""

    def __init__(
        self,
        settings: Settings,
        *,
        patience: Patience | None = None,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        repeat_ms: int = REPEAT_MS,
    ) -> None:
        """Raises ConfigurationError for settings with which nothing could be enforced."""
        self.metrics = Metrics("enforcement")
        self._settings = settings
        self._backends, self._hooks = receivers(settings)
        self._patience = patience or Patience(give_up_ms=settings.enforcement_retry_hours * HOUR_MS)
        self._session_timeout_ms = session_timeout_ms
        self._repeat_ms = repeat_ms
        self._codec = Codec(from_settings(settings, patience_s=0))
        self._outlets: list[Outlet] = []
        self._stopping = asyncio.Event()
        self.metrics.on_scrape(
            KAFKA_UP, lambda: bool(self._outlets) and all(outlet.kafka_up for outlet in self._outlets)
        )

    def stop(self) -> None:
        """Finish what is under way, commit what is done, and let `run` return. Call it on the event loop."""
        self._stopping.set()

    def problems(self) -> list[str]:
        """Why orders do not flow, a sentence each; empty = all is well."""
        if not self._outlets:
            return ["enforcement is starting"]
        return list(dict.fromkeys(text for outlet in self._outlets for text in outlet.problems()))

    async def run(self) -> None:
        """Read and carry out until `stop`. Raises DeliveryError when Kafka lost a dead letter."""
        letters = Letters(self._settings, self.metrics, lost=self.stop)
        try:
            async with new_session(self._settings) as session, asyncio.TaskGroup() as tasks:
                sinks: list[Sink] = [
                    DoveadmBackend(one, session, self._settings, self.metrics, repeat_ms=self._repeat_ms)
                    for one in self._backends
                ]
                secret = self._settings.enforcement_webhook_secret.get_secret_value()
                sinks += [Webhook(one, session, secret) for one in self._hooks]
                self._outlets = [self._outlet(sink, letters) for sink in sinks]
                for outlet in self._outlets:
                    tasks.create_task(outlet.run(self._stopping))
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            await asyncio.to_thread(letters.close, 1)

    def _outlet(self, sink: Sink, letters: Letters) -> Outlet:
        name = f"enforcement-{sink.kind}-{sink.name}"
        reader = BlockReader(self._settings, self._codec, name, session_timeout_ms=self._session_timeout_ms)
        queue = Queue(self._settings.enforcement_pending, self._patience)
        outlet = Outlet(sink, reader, queue, self._patience, self.metrics, letters)
        self.metrics.of(ENFORCEMENT_PENDING, receiver=sink.name).set_function(lambda: len(outlet))
        self.metrics.of(ENFORCEMENT_OLDEST_PENDING, receiver=sink.name).set_function(outlet.oldest_s)
        return outlet


def receivers(settings: Settings) -> tuple[list[Receiver], list[Receiver]]:
    """The backends and the webhooks. Raises ConfigurationError with what is missing."""
    plaintext = settings.enforcement_allow_plaintext
    backends = receivers_of(settings.enforcement_doveadm_urls, "enforcement_doveadm_urls", allow_plaintext=plaintext)
    hooks = receivers_of(settings.enforcement_webhooks, "enforcement_webhooks", allow_plaintext=plaintext)
    if not backends and not hooks:
        raise ConfigurationError(
            "enforcement has nobody to tell: set enforcement_doveadm_urls, for instance https://mail1.example.org:8443,"
            " or enforcement_webhooks"
        )
    if backends and not settings.enforcement_doveadm_key.get_secret_value():
        raise ConfigurationError("enforcement needs enforcement_doveadm_key, the doveadm_api_key of the Dovecots")
    if hooks and not settings.enforcement_webhook_secret.get_secret_value():
        raise ConfigurationError("enforcement needs enforcement_webhook_secret: receivers check the signature with it")
    tls_of(settings)
    return backends, hooks


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The first error of a group of groups."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def serve(settings: Settings, *, ready: Callable[[Enforcement, HealthServer], None] | None = None) -> int:
    """
    Enforce as `serve_until_told` says.

    Raises ConfigurationError for settings that cannot work, DeliveryError when Kafka lost a dead letter.
    """
    return serve_until_told(
        "enforcement",
        lambda: Enforcement(settings),
        settings.enforcement_health_listen,
        setting="enforcement_health_listen",
        ready=ready,
        backends=len(settings.enforcement_doveadm_urls),
        webhooks=len(settings.enforcement_webhooks),
    )
