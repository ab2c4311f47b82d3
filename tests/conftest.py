"""Brokers for tests, each process of pytest-xdist has its own; and an end for every test, whatever it waits for."""

import faulthandler
import secrets
import signal
import socket
from collections.abc import Generator, Iterator

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from streams.bus.admin import ensure_topics
from streams.bus.embedded import EmbeddedBroker
from streams.settings import Settings
from tests.guarded_kafka import GuardedKafka
from tests.kafka_broker import PARTITIONS, KafkaBroker, missing_tools
from tests.kafka_cluster import KafkaCluster
from tests.tools import skip_or_fail

BEYOND_TIMEOUT_S = 120.0

# A shell has what it starts in the background ignore Ctrl-C, and children inherit that: tests end programs with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """See `_watch`; until the test's body is over."""
    _watch(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """See `_watch`: anew, since pytest takes back the watch of a test that fails."""
    _watch(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _watch(item: pytest.Item) -> None:
    """
    End the process, with the stacks of its threads, when a test does not end some time after pytest-timeout should have ended it.

    pytest-timeout gives up at the first failure of a test, so what cleans up after it could wait for ever; and its alarm can get
    lost: Hypothesis takes it for a finding, asyncio for the error of a background task, C code does not see it.
    """
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker else item.config.getini("timeout"))
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(limit + BEYOND_TIMEOUT_S, exit=True, file=stderr)


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
