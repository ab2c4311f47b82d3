"""Connections that Kafka ends while they are dropped, on real brokers."""

import asyncio
from collections.abc import Sequence

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.worker.produce import Brokers, ProduceConnection
from tests.guarded_kafka import GuardedKafka
from tests.worker.test_state_delivery import Sender, by_partition, seen_by_partition, stage


async def just_ended(connections: Sequence[ProduceConnection]) -> None:
    """
    End connections as a reset from Kafka does; return when asyncio has closed them, and aiokafka has not heard of it.

    Between the two lies one turn of the event loop, in which anything else may run.
    """
    for connection in connections:
        connection._writer.transport.abort()
    await asyncio.sleep(0)
    assert not any(connection._writer is None for connection in connections)


async def test_connections_that_kafka_has_just_ended_are_dropped() -> None:
    """All of them, each broker's, and the next states go over new ones."""
    with EmbeddedBroker(Settings(partitions=4), brokers=3) as broker:
        sender = Sender(broker.settings)
        await sender(stage(200, "first"))
        brokers = sender.deliveries._brokers
        connections = list(brokers._connections.values())
        assert len(connections) > 1
        await just_ended(connections)
        assert [connection._writer.get_extra_info("socket").fileno() for connection in connections] == [-1] * len(
            connections
        )

        brokers.drop()

        assert brokers._connections == {}
        assert not any(connection.connected() for connection in connections)
        await sender(stage(200, "second"))
        assert seen_by_partition(await sender.found()) == by_partition([*stage(200, "first"), *stage(200, "second")])
        await sender.close()


@pytest.mark.kafka
async def test_a_connection_over_tls_that_kafka_has_just_ended_is_dropped(guarded_kafka: GuardedKafka) -> None:
    """There asyncio has no socket to show any more."""
    guarded_kafka.wipe()
    settings = guarded_kafka.with_topics()
    brokers = Brokers(guarded_kafka.by_certificate(), "logins", 20)
    assert await brokers.partitions() == set(range(settings.partitions))
    connection = await brokers.leader(0)
    await just_ended([connection])
    assert connection._writer.get_extra_info("socket") is None

    brokers.drop()

    assert not connection.connected()
    assert await brokers.leader(0) is not connection
    await brokers.close()
