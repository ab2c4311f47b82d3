"""What an operator sees of a worker whose records Kafka does not take, and what then ends it."""

import pytest
from confluent_kafka import KafkaError

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.errors import StalledError
from streams.topology import changelog
from tests.eventually import eventually
from tests.kafka_cluster import BROKERS, KafkaCluster
from tests.worker.harness import WorkerProcess, assert_exact, configure, send, until_done

pytestmark = pytest.mark.timeout(300)

LOGINS = [("logins", b"user%d@example.org" % (index % 7), b"login %d" % index) for index in range(100)]
STALL_S = 10
"""Longer than the 4 s after which a record counts as unanswered here."""


@pytest.mark.kafka
def test_a_worker_says_why_kafka_does_not_take_its_states(cluster: KafkaCluster) -> None:
    """With one copy too few it waits: not ready, alive, the reason in both log and health; then it goes on by itself."""
    settings = cluster.settings
    topic = changelog(settings).name
    configure(settings, topic, min_insync_replicas=str(BROKERS))  # all copies must acknowledge
    with WorkerProcess(settings, "one", worker_stall_timeout=240) as worker:
        send(settings, LOGINS[:50])
        until_done(settings, worker)
        cluster.brokers[2].kill()
        eventually(lambda: cluster.in_sync(topic) == {BROKERS - 1}, 60, what="a copy is missing")
        send(settings, LOGINS[50:])

        eventually(lambda: "NOT_ENOUGH_REPLICAS" in worker.page("/health/ready")[1], 60, what="health says why")
        status, reasons = worker.page("/health/ready")
        assert status == 503
        assert f"Kafka does not take records of {topic}: Broker: Not enough in-sync replicas" in reasons
        assert worker.page("/health/live")[0] == 200
        assert worker.metric("loginwatch_worker_stages_repeated_total") > 0

        cluster.brokers[2].start()
        until_done(settings, worker)
        worker.until_ready()
        lines = [line for line in worker.log.splitlines() if "Kafka does not take records" in line]
        [line] = [line for line in lines if "NOT_ENOUGH_REPLICAS" in line]
        assert "warning" in line
        assert topic in line
        assert any("Kafka takes records again" in line and topic in line for line in worker.log.splitlines())
        assert worker.terminate() == 0
    assert_exact(settings)


def test_the_watchdog_says_what_the_worker_waited_for(embedded: EmbeddedBroker) -> None:
    """The line with which it ends the worker names the topic that Kafka does not acknowledge."""
    settings = embedded.settings
    send(settings, LOGINS)
    embedded.fail(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 10_000)

    with WorkerProcess(settings, "one", worker_stall_timeout=STALL_S) as worker:
        assert worker.until_dead() == StalledError.exit_code
        [line] = [line for line in worker.log.splitlines() if "the watchdog ends this worker" in line]

    assert "none was processed for" in line
    assert "Kafka does not take records of incidents: not acknowledged within 4 s" in line
