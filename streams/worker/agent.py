"""
The agent: one round at a time, from records to committed offsets.

The order is what makes a crash harmless. Outputs first and acknowledged, then one changelog record per touched account
and acknowledged, and only then is the round declared delivered: a crash before the changelog repeats the outputs with
the same bytes, one after it finds the offsets applied in the states. In the other order the outputs would be lost.

Decision: nothing leaves the loop. Faust would take an exception for a broken event and go on with the next round; here it
stops the worker, and the rounds behind it pass undelivered.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import structlog

from streams import topology
from streams.core.refusal import Refused
from streams.engine.batch import Batch
from streams.engine.compiled.numbers import Bytes
from streams.engine.engine import Engine
from streams.errors import LoginwatchError, RegistryUnavailableError
from streams.worker.batch_writer import Table
from streams.worker.changelog_records import changelog_records
from streams.worker.crash import crash_point
from streams.worker.delivery import Deliveries, Sent
from streams.worker.fetched import Fetched, Record
from streams.worker.lease import Lease, LeaseLostError
from streams.worker.measures import Measures
from streams.worker.rounds import Round

log = structlog.get_logger(__name__)

REGISTRY_WAIT_S = 20.0
"""Longest wait of one round for a schema registry that does not answer."""
REGISTRY_PAUSE_S = 0.5
YIELD_EVERY = 1_000
"""Records after which the event loop gets a turn: heartbeats of the health page and timers do not wait for a round."""


class StateSender(Protocol):
    """What brings the states of a round to the changelog: `state_delivery.StateDeliveries`."""

    async def deliver(self, data: Bytes, records: Table, epoch: int) -> None:
        """Return when Kafka has all of them."""


class BatchAgent:
    """
    Drives the engine with Faust's events.

    `before_batch` brings live policies in; `on_abandoned` is told when a batch was given up because the group went on
    without this worker; `on_failure` when the worker must stop.
    """

    def __init__(
        self,
        engine: Engine,
        deliveries: Deliveries,
        lease: Lease,
        measures: Measures,
        states: StateSender,
        *,
        before_batch: Callable[[], None],
        on_abandoned: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._engine = engine
        self._deliveries = deliveries
        self._lease = lease
        self._measures = measures
        self._states = states
        self._before_batch = before_batch
        self._on_abandoned = on_abandoned
        self._on_failure = on_failure
        self._void_epoch: int | None = None
        self._failed = False
        self._registry_until = 0.0

    async def run(self, stream: Any) -> None:
        """Faust's agent function: an event's message carries a round as its value."""
        consumer = stream.app.consumer
        async for event in stream.events():
            waiting: Round = event.message.value
            waiting.take()
            await self._guarded(waiting, consumer)

    async def _guarded(self, taken: Round, consumer: Any) -> None:
        epoch = self._lease.epoch
        if self._failed or epoch == self._void_epoch:
            return
        try:
            await self._handle(taken, epoch)
            consumer.delivered(taken)
        except LeaseLostError:
            self._void_epoch = epoch
            self._engine.take()
            self._on_abandoned()
            log.warning("a batch was given up: the group went on without this worker", records=taken.records)
        except Exception as error:  # everything must end the worker, whatever it is
            self._failed = True
            if not isinstance(error, LoginwatchError):
                log.exception("a batch failed", places=_places(taken))
            self._on_failure(error)

    async def _handle(self, taken: Round, epoch: int) -> None:
        self._registry_until = monotonic() + REGISTRY_WAIT_S
        with self._measures.batch(taken.records):
            self._before_batch()
            for (topic, partition), records in taken:
                await self._decide(topic, partition, records)
                self._measures.sampled(topic, records)
            batch = self._engine.take()
            self._measures.decided(batch)
            await self._deliver(batch, epoch)
            self._measures.acknowledged(batch.decisions)

    async def _decide(self, topic: str, partition: int, records: Fetched) -> None:
        """Record by record, in their order; of the logins, the usual ones are done by compiled code up to one that is not."""
        engine, are_logins = self._engine, topic == topology.LOGINS.name
        for first in range(0, len(records), YIELD_EVERY):
            at, end = first, min(first + YIELD_EVERY, len(records))
            while at < end:
                if are_logins:
                    at = engine.usual_logins(partition, records, at, end)
                    if at == end:
                        break
                await self._process(topic, partition, records[at])
                at += 1
            await asyncio.sleep(0)

    async def _process(self, topic: str, partition: int, record: Record) -> None:
        try:
            self._engine.process(topic, partition, *record)
        except RegistryUnavailableError as error:
            await self._without_registry(topic, partition, record, error)

    async def _without_registry(
        self, topic: str, partition: int, record: Record, error: RegistryUnavailableError
    ) -> None:
        """
        Wait for the registry a while, for this record; then let those that need it go to dead letters.

        Nobody's logins wait longer for a record that may be anybody's: it can be sent again from there.
        """
        place = (topic, partition, record.offset, record.timestamp, record.key, record.value)
        while monotonic() < self._registry_until:
            await asyncio.sleep(REGISTRY_PAUSE_S)
            try:
                self._engine.process(*place, record.headers)
            except RegistryUnavailableError:
                continue
            return
        log.warning("a record goes to dead letters: the schema registry is away", topic=topic, error=str(error))
        self._engine.refuse(Refused("registry-unavailable", str(error)), *place)

    async def _deliver(self, batch: Batch, epoch: int) -> None:
        published = [Sent(each.topic, each.value, each.key, headers=list(each.headers)) for each in batch.forwards]
        published += [Sent(each.topic, each.value, each.key, timestamp_ms=each.timestamp_ms) for each in batch.outputs]
        await self._deliveries.deliver(published, epoch)
        if published:
            crash_point("outputs")
        if batch.touched:
            await self._states.deliver(*changelog_records(batch.touched), epoch)
        crash_point("changelog")


def _places(taken: Round) -> list[str]:
    return [f"{tp.topic} [{tp.partition}] {records[0].offset} to {records.offset}" for tp, records in taken]


def inputs(app: Any) -> Any:
    """All input topics as one channel of raw records: one agent, so one batch at a time."""
    return app.topic(
        *(topic.name for topic in topology.WORKER_INPUTS), key_serializer="raw", value_serializer="raw", internal=False
    )
