"""Kafka is lost with all its disks: docs/operations.md, "What is lost with what". An export brings back what it holds."""

from pathlib import Path

import pytest

from streams.cli.store import Store
from tests.cli.conftest import Loginwatch
from tests.connectors.doors import Door, gateway_settings, open_door
from tests.deploy.test_more_partitions import BACKED_UP, Operator
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import DEPLOYED, WorkerProcess, until_done

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EARLY, LATE, QUIET = "early@example.org", "late@example.org", "quiet@example.org"
"""Blocked before the backup, blocked after it, and never."""


def test_an_export_restores_a_new_kafka_under_running_doors(
    loginwatch: Loginwatch, fresh_kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Rules, accounts, blocks and incidents of the night come back; what came later is lost, and the doors report on."""
    settings = fresh_kafka.with_topics(app="lost-kafka")
    operator = Operator(loginwatch, settings)
    operator.run("policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "2", "--block-time", "30")
    door = Door(gateway_settings(settings))
    door.start()
    with WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        worker.until_ready()
        log_in(door, EARLY, 1, 2, 3)
        log_in(door, QUIET, 1, 2)
        eventually(lambda: refuses(door, EARLY), 60, what="the door refuses the first thief")
        until_done(settings, worker)
        before = operator.views([EARLY, QUIET])
        backup = tmp_path / "backup.jsonl"
        backup.write_text(operator.run("export", *BACKED_UP).out)
        log_in(door, LATE, 1, 2, 3)
        eventually(lambda: refuses(door, LATE), 60, what="the door refuses the second thief")
        until_done(settings, worker)
        worker.kill()

    fresh_kafka.lose_everything()
    assert refuses(door, EARLY)
    assert refuses(door, LATE)
    operator.run("topics", "create")
    operator.run("import", str(backup))
    operator.run("topics", "check")

    with WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        worker.until_ready()
        assert operator.views([EARLY, QUIET]) == before
        log_in(door, QUIET, 3)
        eventually(lambda: refuses(door, QUIET), 60, what="the door refuses the third thief")
        until_done(settings, worker)
        assert worker.terminate() == 0
    door.stop()
    with open_door(gateway_settings(settings)) as restarted:
        assert [refuses(restarted, account) for account in (EARLY, LATE, QUIET)] == [True, False, True]
    assert [row["account"] for row in Store(settings).rows("incidents")] == [EARLY, QUIET]


def log_in(door: Door, account: str, *numbers: int) -> None:
    """One login from each network, reported by Dovecot."""
    for number in numbers:
        door.ask("report", login=account, remote=f"192.0.2.{number}", success=True, policy_reject=False)


def refuses(door: Door, account: str) -> bool:
    """The answer to Dovecot before it checks the password."""
    return bool(door.ask("allow", login=account)["status"] == -1)
