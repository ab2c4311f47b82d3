"""More partitions by the procedure of docs/operations.md, "Scaling out", on a real Kafka with the deployed worker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException

from streams.bus.clients import new_admin
from streams.bus.murmur2 import partition_for
from streams.cli.store import Store
from streams.settings import Settings
from tests.cli.conftest import Loginwatch
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import DEPLOYED, WorkerProcess, everything, send, until_done
from tests.worker.records import login

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

BACKED_UP = (
    *("policies", "safe-networks", "domains", "access-lists", "logins", "submissions", "account-commands"),
    *("blocks", "incidents", "reviews", "accounts"),
)
BLOCKED, UNBLOCKED, QUIET = "blocked@example.org", "unblocked@example.org", "quiet@example.org"
OTHERS = tuple(f"user{number}@example.org" for number in range(5))
EVERYBODY = (BLOCKED, UNBLOCKED, QUIET, *OTHERS)
NEW_PARTITIONS = 6


class Operator:
    """Somebody at the command line of one installation."""

    def __init__(self, loginwatch: Loginwatch, settings: Settings) -> None:
        self._loginwatch = loginwatch
        self._environment = {name: str(getattr(settings, name)) for name in ("bootstrap_servers", "partitions", "app")}

    def run(self, *arguments: str) -> Any:
        """The answer of a command that succeeds."""
        answer = self._loginwatch(*arguments, env=self._environment)
        assert answer.code == 0, answer.err
        return answer

    def views(self, accounts: Sequence[str]) -> dict[str, Any]:
        """What workers know of these accounts, but for the number and moment of the question."""
        answers = {each: self.run("account", "show", each, "--wait", "30", "--json").json for each in accounts}
        return {
            account: {name: value for name, value in view.items() if name not in ("request", "time")}
            for account, view in answers.items()
        }


def logins(accounts: Sequence[str], *numbers: int) -> list[tuple[str, bytes, bytes]]:
    """Of every account one login from each network."""
    return [login(account, f"192.0.2.{number}") for account in accounts for number in numbers]


def test_accounts_keep_what_is_known_of_them_over_a_change_of_partitions(
    loginwatch: Loginwatch, kafka_settings: Settings, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Blocks, a lifted block and counted networks move with the account; nothing is decided or mailed a second time."""
    old = Operator(loginwatch, kafka_settings)
    rules = ("--time-window", "60", "--allowed-ips", "2", "--block-time", "30", "--notify", "soc@example.org")
    old.run("policy", "set", "everyone", *rules)
    with WorkerProcess(kafka_settings, "one", command=DEPLOYED) as worker:
        worker.until_ready()
        send(kafka_settings, [*logins((BLOCKED, UNBLOCKED), 1, 2, 3), *logins((QUIET, *OTHERS), 1, 2)])
        until_done(kafka_settings, worker)
        old.run("account", "unblock", UNBLOCKED, "--wait", "30")
        until_done(kafka_settings, worker)
        before = old.views(EVERYBODY)
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0
    backup = tmp_path / "backup.jsonl"
    backup.write_text(old.run("export", *BACKED_UP).out)
    decided = list(Store(kafka_settings).rows("incidents"))

    kafka.wipe()
    eventually(lambda: group_deleted(kafka_settings), 30, what="Kafka has given the workers' group up")
    settings = kafka_settings.model_copy(update={"partitions": NEW_PARTITIONS})
    new = Operator(loginwatch, settings)
    new.run("topics", "create")
    new.run("import", str(backup))
    new.run("topics", "check")

    with WorkerProcess(settings, "one", command=DEPLOYED) as worker:
        until_done(settings, worker)
        assert new.views(EVERYBODY) == before
        assert before[BLOCKED]["blocked_until"] is not None
        assert before[UNBLOCKED]["blocked_until"] is None
        assert list(Store(settings).rows("incidents")) == decided
        assert everything(settings, "notifications", "dead-letters") == []

        send(settings, logins([QUIET], 3))
        until_done(settings, worker)
        assert worker.terminate() == 0
    [*_, news] = Store(settings).rows("incidents")
    assert (news["account"], news["count"]) == (QUIET, 3)
    assert any(partition_for(each.encode(), 4) != partition_for(each.encode(), NEW_PARTITIONS) for each in EVERYBODY)


def group_deleted(settings: Settings) -> bool:
    """Whether Kafka deletes the group: it does once it has given up the workers that it remembers by name."""
    admin = new_admin(settings)
    try:
        admin.delete_consumer_groups([settings.app])[settings.app].result(10)
    except KafkaException:
        return False
    return True
