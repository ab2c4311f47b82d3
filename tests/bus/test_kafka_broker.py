"""The real Kafka of deploy/kafka, as the tests use it."""

import pytest

from streams.bus.admin import check_topics, wait_for_broker
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from tests.kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka


def test_the_shared_kafka_has_every_topic_as_demanded(kafka_settings: Settings) -> None:
    """Topics made by us on a real Kafka need no correction."""
    assert check_topics(kafka_settings) == []


def test_a_broker_that_was_killed_starts_again_on_the_same_ports_and_data(fresh_kafka: KafkaBroker) -> None:
    """kill -9, no answer, start: the topics are still there."""
    fresh_kafka.kill()
    with pytest.raises(BrokerUnavailableError):
        wait_for_broker(fresh_kafka.settings, 1)

    fresh_kafka.start()

    assert check_topics(fresh_kafka.settings) == []
