"""Brokers for tests. Each process of pytest-xdist has its own."""

import secrets
import socket
from collections.abc import Iterator

import pytest

from streams.bus.admin import ensure_topics
from streams.bus.embedded import EmbeddedBroker
from streams.settings import Settings
from tests.guarded_kafka import GuardedKafka
from tests.kafka_broker import PARTITIONS, KafkaBroker, missing_tools
from tests.kafka_cluster import KafkaCluster
from tests.tools import skip_or_fail


def require_kafka() -> None:
    """Skip where a real Kafka cannot run; fail instead where CI says that it must."""
    missing = missing_tools()
    if not missing:
        return
    skip_or_fail(f"a real Kafka needs {', '.join(missing)} (deploy/kafka/README.md)")


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """A real Kafka shared by the tests of this process; whoever stops or kills it takes `fresh_kafka` instead."""
    require_kafka()
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def kafka_settings(kafka: KafkaBroker) -> Settings:
    """Settings for the shared Kafka with all topics made anew and a name of its own for groups and changelog."""
    kafka.wipe()
    return kafka.with_topics(app=f"test-{secrets.token_hex(4)}")


@pytest.fixture
def fresh_kafka() -> Iterator[KafkaBroker]:
    """A real Kafka for one test, with all topics, to be stopped, killed, paused and restarted at will."""
    require_kafka()
    with KafkaBroker() as broker:
        broker.with_topics()
        yield broker


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers for one test, with all topics in three copies, of which two must acknowledge."""
    require_kafka()
    with KafkaCluster(Settings(partitions=PARTITIONS, app="three-brokers")) as cluster:
        ensure_topics(cluster.settings)
        yield cluster


@pytest.fixture(scope="session")
def guarded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A real Kafka with all topics that asks for passwords or client certificates over TLS, shared like `kafka`."""
    require_kafka()
    with GuardedKafka(tmp_path_factory.mktemp("certificates")) as broker:
        broker.with_topics()
        yield broker


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    """The broker inside librdkafka with all topics, for one test."""
    with EmbeddedBroker(Settings(partitions=PARTITIONS)) as broker:
        yield broker


@pytest.fixture
def unused_port() -> int:
    """A port of this machine at which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
