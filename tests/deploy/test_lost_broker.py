"""One of three brokers is killed while people log in: docs/operations.md, "What is lost with what"."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.bus.admin import check_topics
from tests.connectors.doors import Door, gateway_settings
from tests.eventually import eventually
from tests.kafka_cluster import BROKERS, KafkaCluster
from tests.worker.harness import DEPLOYED, WorkerProcess, everything, send, until_done
from tests.worker.records import policy
from tests.worker.test_replay import published, replayed

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ACCOUNTS = [f"user{number}@example.org" for number in range(30)]
ADDRESSES = [f"198.51.100.{number}" for number in range(4)]
"""One more than the policy allows."""
BEFORE = 10
"""Accounts that are through when the broker dies."""


@pytest.fixture
def door(cluster: KafkaCluster) -> Iterator[Door]:
    """A gateway that reports to this cluster."""
    door = Door(gateway_settings(cluster.settings))
    door.start()
    yield door
    door.stop()


def test_a_broker_that_is_lost_takes_nothing_with_it(cluster: KafkaCluster, door: Door) -> None:
    """Every login reported is judged, every block is at the door; the broker that comes back takes its copies up again."""
    settings = cluster.settings
    assert check_topics(settings) == []
    assert cluster.in_sync("logins") == {BROKERS}
    send(settings, [policy()])
    with WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        worker.until_ready()
        log_in(door, ACCOUNTS[:BEFORE])
        with ThreadPoolExecutor(1) as threads:
            others = threads.submit(log_in, door, ACCOUNTS[BEFORE:])
            victim = cluster.leader("logins", 0)

            victim.kill()

            others.result(120)
        until_done(settings, worker)
        assert all(refuses(door, account) for account in ACCOUNTS)
        assert cluster.in_sync("logins") == {BROKERS - 1}
        victim.start()
        eventually(lambda: cluster.in_sync("logins") == {BROKERS}, 60, what="all copies are up to date")
        assert worker.terminate() == 0

    logins, got, want = everything(settings, "logins"), published(settings), replayed(settings)
    assert len(logins) == len(ACCOUNTS) * len(ADDRESSES)
    assert door.count("loginwatch_reports_total", outcome="lost") == 0
    for topic in ("incidents", "blocks", "notifications"):
        assert want[topic]
        assert set(got[topic]) == want[topic]
    assert got["dead-letters"] == []


def log_in(door: Door, accounts: Sequence[str]) -> None:
    """From too many addresses, each account until the door refuses it."""
    for account in accounts:
        for address in ADDRESSES:
            door.ask("report", login=account, remote=address, success=True, policy_reject=False)
        eventually(lambda account=account: refuses(door, account), 60, what=f"{account} is refused")


def refuses(door: Door, account: str) -> bool:
    """The answer to Dovecot before it checks the password."""
    return bool(door.ask("allow", login=account)["status"] == -1)
