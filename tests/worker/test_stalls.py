"""A worker process that stands still although Kafka answers is ended by its watchdog."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.errors import StalledError
from streams.topology import changelog
from tests.worker.harness import WorkerProcess, everything, positions, send

pytestmark = pytest.mark.timeout(180)

STALL_S = 5
LOGINS = [("logins", b"user%d@example.org" % (index % 7), b"login %d" % index) for index in range(100)]
PRODUCE, OFFSET_COMMIT = 0, 8
"""Kafka's numbers of these requests."""
NOT_ENOUGH_REPLICAS, COORDINATOR_LOADS = 19, 14
"""Kafka's numbers of errors after which a client tries again, for as long as it takes."""


def test_a_worker_whose_outputs_are_never_acknowledged_is_ended(embedded: EmbeddedBroker) -> None:
    """It says which partition waits and for how long, ends with 70, and has committed nothing."""
    settings = embedded.settings
    send(settings, LOGINS)
    embedded.fail(PRODUCE, [NOT_ENOUGH_REPLICAS] * 10_000)

    with WorkerProcess(settings, "one", worker_stall_timeout=STALL_S) as worker:
        assert worker.until_dead() == StalledError.exit_code == 70

        assert "the watchdog ends this worker" in worker.log
        assert "records wait and none was processed for" in worker.log
    assert set(positions(settings)[0].values()) == {0}
    assert everything(settings, "incidents", changelog(settings).name) == []


def test_a_worker_whose_commits_are_never_stored_is_ended(embedded: EmbeddedBroker) -> None:
    """It goes on deciding, but would repeat everything later: it says what is not committed, and ends with 70."""
    settings = embedded.settings
    send(settings, LOGINS)
    embedded.fail(OFFSET_COMMIT, [COORDINATOR_LOADS] * 10_000)

    with WorkerProcess(settings, "one", worker_stall_timeout=STALL_S) as worker:
        assert worker.until_dead() == StalledError.exit_code

        assert "the watchdog ends this worker" in worker.log
        assert "is processed and not committed for" in worker.log
    assert set(positions(settings)[0].values()) == {0}
    assert len(everything(settings, "incidents")) == len(LOGINS)
