"""
Builds the Faust app: the one place where everything of this package meets.

Nothing happens at import and nothing is started here; `main` starts it, tests build it with an engine of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from socket import gethostname
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from yarl import URL

from streams.bus.clients import ssl_context, uses_sasl
from streams.engine.engine import Engine
from streams.metrics import BATCHES_ABANDONED, COMMITS, STAGES_REPEATED, Metrics
from streams.settings import Settings
from streams.topology import changelog
from streams.worker.agent import BatchAgent, inputs
from streams.worker.changelog import StateForm
from streams.worker.delivery import Deliveries
from streams.worker.lease import Lease
from streams.worker.measures import Measures
from streams.worker.progress import Progress
from streams.worker.state_delivery import StateDeliveries
from streams.worker.table import Accounts, AccountTable, BulkTableManager
from streams.worker.tables import Tables
from streams.worker.transport import Transport, assert_compiled

REBALANCE_TIMEOUT_S = 60
"""At least; never less than the session, by which a worker judges how long it may still write (`lease.py`)."""
HEARTBEAT_S = 0.5
"""A member hears of a rebalance by its next heartbeat, and until it has joined the newcomer waits: with 3 s that was most of it."""
BUFFERED_ROUNDS = 2
"""One waits for the agent, and takes in what comes meanwhile; there is never another."""


class WorkerApp(faust.App):
    """A Faust app that keeps nothing on disk, recovers its table by `accounts`, and tells `on_failure` when it cannot."""

    accounts: Accounts
    on_failure: Callable[[BaseException], None]

    def _create_directories(self) -> None:
        """Faust would make a data directory where the process was started."""


def rebalance_timeout_s(settings: Settings) -> int:
    """For so long Kafka waits in a rebalance for a member that does not join: a frozen one may write for a session."""
    return max(REBALANCE_TIMEOUT_S, settings.worker_session_timeout)


@dataclass(frozen=True)
class Shell:
    """The parts of a worker that `main` starts, stops and asks."""

    app: WorkerApp
    lease: Lease
    progress: Progress
    deliveries: Deliveries
    states: StateDeliveries


def build(
    settings: Settings,
    engine: Engine,
    form: StateForm,
    tables: Tables,
    metrics: Metrics,
    on_failure: Callable[[BaseException], None],
) -> Shell:
    """
    The worker around an engine. Must be called where an event loop is running.

    `form` says what recovery must know of the engine's states; `on_failure` is called once when the worker must stop.
    Raises ConfigurationError for TLS files that cannot be read.
    """
    assert_compiled()
    progress = Progress()
    lease = Lease(settings.worker_session_timeout, rebalance_timeout_s(settings))
    deliveries = Deliveries(settings, lease, metrics.of(STAGES_REPEATED).inc)
    states = StateDeliveries(settings, lease, changelog(settings).name, metrics.of(STAGES_REPEATED).inc)
    app = WorkerApp(settings.app, **_configuration(settings))
    app.transport = Transport(
        app.conf.broker_consumer, app, lease=lease, progress=progress, on_commit=metrics.of(COMMITS).inc
    )
    app.accounts = Accounts(settings, engine, form, progress, tables.ready)
    app.on_failure = on_failure
    app.tables.add(AccountTable(app, engine=engine, partitions=settings.partitions))
    abandoned = metrics.of(BATCHES_ABANDONED)

    def on_abandoned() -> None:
        abandoned.inc()
        app.accounts.distrust()

    agent = BatchAgent(
        engine,
        deliveries,
        lease,
        Measures(metrics, progress),
        states,
        before_batch=tables.apply_pending,
        on_abandoned=on_abandoned,
        on_failure=on_failure,
    )
    app.agent(inputs(app), name="batches", concurrency=1)(agent.run)
    return Shell(app, lease, progress, deliveries, states)


def worker_id(settings: Settings) -> str:
    """The worker's name in its group; the host's when none is set."""
    return settings.worker_id or gethostname()


def _configuration(settings: Settings) -> dict[str, Any]:
    session = settings.worker_session_timeout
    return {
        "broker": [URL(f"kafka://{server.strip()}") for server in settings.bootstrap_servers.split(",")],
        "broker_credentials": _credentials(settings),
        "broker_client_id": f"{settings.app}-worker",
        "store": "memory://",
        "origin": None,
        "autodiscover": False,
        "processing_guarantee": "at_least_once",
        "key_serializer": "raw",
        "value_serializer": "raw",
        "cython_optimizations": True,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": settings.partitions,
        "table_standby_replicas": 0,
        "TableManager": BulkTableManager,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": worker_id(settings),
        "canonical_url": f"http://{sha256(worker_id(settings).encode()).hexdigest()[:16]}.invalid",  # the assignor's key
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(HEARTBEAT_S, session / 10),
        "broker_rebalance_timeout": rebalance_timeout_s(settings),
        "broker_request_timeout": max(40, session + 10),  # Faust refuses one shorter than the session
        "broker_max_poll_records": settings.worker_poll_records,
        "broker_commit_interval": 0.5,
        "broker_commit_every": 1_000_000,  # batches: the interval decides
        "consumer_max_fetch_size": 4 << 20,
        "stream_buffer_maxsize": BUFFERED_ROUNDS,
        "stream_wait_empty": True,
        "stream_publish_on_commit": False,
        "stream_recovery_delay": 0.0,
        "producer_threaded": False,
        "web_enabled": False,
        "web_tables_enabled": False,
        "worker_redirect_stdouts": False,
    }


def _credentials(settings: Settings) -> Any:
    context = ssl_context(settings)
    if uses_sasl(settings):
        return SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=context,
            mechanism=settings.sasl_mechanism,
        )
    return None if context is None else SSLCredentials(context)
