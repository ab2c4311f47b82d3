"""
The worker as a process: starts everything in order, watches over it, stops it, and says with which code it ends.

Exit codes: 0 after SIGTERM or SIGINT, 70 when Kafka refused a record or something stood still, otherwise that of the
error (`streams.errors`). A supervisor should start the worker again after any other than 0, 2 and 78.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import Any

import structlog

from streams.bus.admin import check_topics
from streams.bus.dead_letters import DeadLetters
from streams.bus.health import HealthServer
from streams.bus.murmur2 import partition_for
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.core.policy import MINUTE_MS
from streams.core.refusal import Refused
from streams.engine.compiled.usual import UsualLogins
from streams.engine.engine import Engine
from streams.errors import BrokerUnavailableError, DeliveryError, LoginwatchError, RegistryUnavailableError, TopicError
from streams.geo import NoPlaces, Places, open_places
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.records.schemas import latest
from streams.settings import Settings
from streams.worker import ahead, garbage
from streams.worker.app import Shell, build, worker_id
from streams.worker.changelog import StateForm
from streams.worker.form import PackedStates
from streams.worker.gauges import SAME_NAME, Gauges
from streams.worker.lag import LagReader
from streams.worker.progress import NOT_ASKED
from streams.worker.tables import PolicyTables
from streams.worker.trouble import Trouble
from streams.worker.watchdog import Watchdog

log = structlog.get_logger(__name__)

ASK_BROKER_S = 5.0
ASK_AGAIN_S = 0.5
SAY_EVERY = 6
"""Attempts to reach Kafka between two lines in the log."""
WRITTEN = ("Incident", "Block", "Notification", "AccountView", "DeadLetter")
REGISTRY_PATIENCE_S = 2.0
"""Asking holds the event loop: shorter than any heartbeat or stall."""
BEAT_S = 0.25
HOUSEKEEPING_S = 10.0
LETTERS_S = 3.0
STOP_S = 10.0
"""A clean stop is done by then; otherwise the process ends without one, and nothing is lost by it."""
CRASHED = DeliveryError.exit_code


class Readiness:
    """What health says of a worker: first what its start waits for, then what `ask` tells."""

    def __init__(self) -> None:
        self.ask: Callable[[], list[str]] = lambda: ["the worker starts"]

    def __call__(self) -> list[str]:
        """Why the worker is not ready, a sentence each."""
        return self.ask()

    def waits(self, reason: str) -> None:
        """For this one thing."""
        self.ask = lambda: [reason]


@dataclass
class Parts:
    """What a worker is made of besides the shell; tests put their own engine in."""

    engine: Engine
    form: StateForm
    codec: Any
    places: Places | NoPlaces


def production_parts(settings: Settings) -> Parts:
    """The engine of loginwatch with its geo database. Raises ConfigurationError for one that cannot be opened."""
    codec = Codec(from_settings(settings, patience_s=REGISTRY_PATIENCE_S))
    _know_own_schemas(codec)
    places = open_places(settings)
    engine = Engine(
        codec=codec,
        places=places,
        lateness_ms=settings.lateness * MINUTE_MS,
        default_domain=settings.default_domain,
        route=partial(partition_for, partitions=settings.partitions),
        largest=settings.max_record_bytes,
        kernel=UsualLogins(
            codec,
            partitions=settings.partitions,
            lateness_ms=settings.lateness * MINUTE_MS,
            largest=settings.max_record_bytes,
            seed=secrets.randbits(63),
        ),
    )
    return Parts(engine, PackedStates(), codec, places)


def serve(settings: Settings, make_parts: Callable[[Settings], Parts] = production_parts) -> int:
    """
    Run the worker until it is told to stop; returns the exit code.

    Raises ConfigurationError, ListenError and TopicError for what keeps it from starting; for Kafka it waits.
    """
    garbage.collect_rarely()
    _tame_logs(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the event loop takes over
    metrics, readiness, listen = Metrics("worker"), Readiness(), settings.worker_health_listen
    with HealthServer(listen, metrics=metrics, ready=readiness, setting="worker_health_listen"):
        _compile(readiness)
        if problems := _problems_of_topics(settings, readiness):
            raise TopicError(
                "; ".join(problems) + ". Run `loginwatch topics create`, or `topics check` for the whole list"
            )
        readiness.waits("the worker opens its geo databases and asks the schema registry, where it has them")
        return asyncio.run(Worker(settings, make_parts(settings), metrics, readiness).run())


class Worker:
    """One run of the worker. `run()` returns the exit code."""

    def __init__(self, settings: Settings, parts: Parts, metrics: Metrics, readiness: Readiness) -> None:
        self._settings = settings
        self._parts = parts
        self._metrics = metrics
        self._readiness = readiness
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kafka_away = False

    async def run(self) -> int:
        """Start, wait for a signal or a failure, stop."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        settings, engine = self._settings, self._parts.engine
        letters_producer = Producer(settings, on_fatal=self._fail)
        letters_producer.start_polling()
        letters = DeadLetters(letters_producer, self._parts.codec, "worker", self._metrics)
        registry = self._parts.codec.registry
        tables = PolicyTables(settings, engine, partial(_refuse, letters), self._fail, registry=registry)
        shell = build(settings, engine, self._parts.form, tables, self._metrics, self._fail)
        troubles = (shell.deliveries.trouble, shell.states.trouble)
        gauges = Gauges(self._metrics, shell.progress, shell.lease, engine, self._parts.places, tables, troubles)
        shell.progress.loop_beat = shell.progress.clock()
        self._readiness.ask = gauges.reasons
        parts = (tables, LagReader(settings, shell.progress), self._watchdog(shell, troubles))
        for part in parts:
            part.start()
        beating = asyncio.ensure_future(self._beat(shell, gauges, tables))
        beating.add_done_callback(self._fail_unless_cancelled)
        try:
            clean = await self._run_app(shell)
        finally:
            beating.cancel()
            for part in reversed(parts):
                await asyncio.to_thread(part.stop)
            shell.deliveries.close()
            await shell.states.close()
            with suppress(LoginwatchError):
                await asyncio.to_thread(letters_producer.close, LETTERS_S)
        if not clean:
            # Faust hangs when it is told to stop in the middle of a rebalance; nothing is lost by leaving it there
            log.warning("the worker ends without a clean stop", seconds=STOP_S)
            os._exit(self._exit_code())
        return self._exit_code()

    def _watchdog(self, shell: Shell, troubles: Sequence[Trouble]) -> Watchdog:
        return Watchdog(shell.progress, self._settings.worker_stall_timeout, troubles=troubles)

    async def _run_app(self, shell: Shell) -> bool:
        log.info("worker starts", app=self._settings.app, worker=worker_id(self._settings))
        starting = asyncio.ensure_future(shell.app.start())
        stopped = asyncio.ensure_future(self._stop.wait())
        crashed = asyncio.ensure_future(shell.app._crashed.wait())  # noqa: SLF001 - mode has no public way to wait
        waiting = {starting, stopped, crashed}
        told = False
        while not (stopped.done() or crashed.done()):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if starting in done:
                waiting.discard(starting)
                if starting.exception() is not None:
                    self._fail(starting.exception())
                elif not told and self._failure is None and not crashed.done():
                    told = True
                    garbage.keep_all()
                    log.info("worker ready", accounts=sum(map(len, self._parts.engine.accounts.values())))
        if crashed.done():
            self._fail(shell.app.crash_reason)
        log.info("worker stops", reason="it must" if self._failure else "asked to")
        stopping = asyncio.ensure_future(shell.app.stop())
        # not wait_for: it would wait for what hangs to take its cancellation
        await asyncio.wait({stopping}, timeout=STOP_S)
        for task in (starting, stopped, crashed):
            task.cancel()
        return stopping.done() and stopping.exception() is None

    async def _beat(self, shell: Shell, gauges: Gauges, tables: PolicyTables) -> None:
        """Shows that the loop runs, takes in policies while no login comes, and now and then does the housekeeping."""
        housekeeping = 0.0
        while True:
            now = shell.progress.loop_beat = shell.progress.clock()
            gauges.measure_lag()
            self._tell_of_kafka(shell.progress.broker_error)
            if not shell.progress.in_flight:
                tables.apply_pending()
            if now - housekeeping > HOUSEKEEPING_S:
                housekeeping = now
                gauges.measure()
                self._reload_places()
                if shell.lease.lost_often():
                    log.error("the worker cannot stay in its group", reason=SAME_NAME)
            await asyncio.sleep(BEAT_S)

    def _tell_of_kafka(self, error: str | None) -> None:
        """One line when Kafka goes, and one when it is back."""
        if error == NOT_ASKED:
            return
        if error is not None and not self._kafka_away:
            log.warning("Kafka is away: the worker waits and goes on by itself", error=error)
        elif error is None and self._kafka_away:
            log.info("Kafka is back")
        self._kafka_away = error is not None

    def _reload_places(self) -> None:
        places = self._parts.places
        if places.reload_if_changed():
            self._parts.engine.use_places(places)
            log.info("geo database reloaded", databases=places.describe()["databases"])

    def _fail(self, error: BaseException | None) -> None:
        """Stop with this error; from any thread, the first one counts."""
        if self._failure is None:
            self._failure = error or RuntimeError("Faust crashed without a reason")
            known = isinstance(self._failure, LoginwatchError)
            log.error("the worker must stop", error=_text(self._failure), exc_info=None if known else self._failure)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def _fail_unless_cancelled(self, task: "asyncio.Future[None]") -> None:
        if not task.cancelled():
            self._fail(task.exception())

    def _exit_code(self) -> int:
        if self._failure is None:
            return 0
        return self._failure.exit_code if isinstance(self._failure, LoginwatchError) else CRASHED


def _text(error: BaseException) -> str:
    return str(error) or repr(error)


def _refuse(letters: DeadLetters, record: Record, refused: Refused) -> None:
    letters.write(record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value, refused)


def _compile(readiness: Readiness) -> None:
    """Have the machine code of the hot path; that takes seconds where it was not kept, and half a one where it was."""
    kept, begun = ahead.is_kept(), monotonic()
    if not kept:
        readiness.waits("the worker compiles its hot path, once for each version on each kind of processor")
        if ahead.problem():
            log.warning(
                "compiling the hot path, at every start: it cannot be kept",
                folder=str(ahead.place()),
                problem=ahead.problem(),
            )
        else:
            log.info("compiling the hot path: this version has not run here", kept_in=str(ahead.place()))
    ahead.compile_all()
    if not kept:
        log.info("the hot path is compiled", seconds=round(monotonic() - begun, 1))


def _problems_of_topics(settings: Settings, readiness: Readiness) -> list[str]:
    """As `check_topics`, asked until Kafka answers: workers may be started before it."""
    readiness.waits("Kafka was not reached yet")
    attempts = 0
    while True:
        try:
            return check_topics(settings, timeout_s=ASK_BROKER_S)
        except BrokerUnavailableError as error:
            readiness.waits(str(error))
            if attempts % SAY_EVERY == 0:
                log.warning("waiting for Kafka", error=str(error))
        attempts += 1
        sleep(ASK_AGAIN_S)


def _tame_logs(settings: Settings) -> None:
    """Faust and aiokafka tell every step of every rebalance; only what goes wrong is of interest."""
    level = logging.DEBUG if settings.log_level == "debug" else logging.WARNING
    for name in ("faust", "mode", "asyncio"):
        logging.getLogger(name).setLevel(level)
    # without Kafka aiokafka writes some 70 lines a second; that Kafka is away we say ourselves, once
    logging.getLogger("aiokafka").setLevel(logging.DEBUG if settings.log_level == "debug" else logging.CRITICAL)


def _know_own_schemas(codec: Codec) -> None:
    """
    Ask the registry for the ids of what the worker writes, before the first login: later it would be in mid-decision.

    Asks until the registry answers. Raises ConfigurationError when it refuses a schema.
    """
    while codec.registry is not None:
        try:
            for record in WRITTEN:
                codec.registry.schema_id(latest(record))
        except RegistryUnavailableError as error:
            log.warning("waiting for the schema registry", error=str(error))
            continue
        return
