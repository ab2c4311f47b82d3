"""Asking for partitions and their ends, when they are not there."""

import pytest
from confluent_kafka import Consumer

from streams.bus.clients import Heard, new_consumer
from streams.bus.embedded import EmbeddedBroker
from streams.bus.partitions import bulk_config, partitions_of, watermarks
from streams.errors import TopicError
from streams.topology import BLOCKS


def reader(broker: EmbeddedBroker) -> Consumer:
    return new_consumer(bulk_config(broker.settings, "test", Heard()))


def test_a_partition_that_is_not_there_is_named(embedded: EmbeddedBroker) -> None:
    """Kafka answers, and does not know it: that is for the operator to mend."""
    consumer = reader(embedded)

    with pytest.raises(TopicError, match="topics create"):
        watermarks(consumer, embedded.settings, (BLOCKS.name, 9_999))
    with pytest.raises(TopicError, match="no-such-topic"):
        partitions_of(consumer, embedded.settings, ["no-such-topic"], Heard())
    consumer.close()
