"""All workers are lost while people log in: docs/operations.md, "What is lost with what"."""

import pytest

from streams.settings import Settings
from tests.connectors.doors import Door, gateway_settings
from tests.eventually import eventually
from tests.worker.harness import DEPLOYED, WorkerProcess, everything, send, until_done
from tests.worker.records import login, policy
from tests.worker.test_replay import logins, published, replayed

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

THIEF = "victim@example.org"
ADDRESSES = [f"198.51.100.{number}" for number in range(4)]
"""One more than the policy allows."""


def test_new_workers_on_a_new_machine_go_on_from_the_changelog(kafka_settings: Settings) -> None:
    """Meanwhile the door refuses who was blocked; afterwards every login was judged as if nobody had died."""
    send(kafka_settings, [policy(), *(login(THIEF, address) for address in ADDRESSES)])
    door = Door(gateway_settings(kafka_settings))
    with WorkerProcess(kafka_settings, "a", command=DEPLOYED) as first:
        with WorkerProcess(kafka_settings, "b", command=DEPLOYED) as second:
            door.start()
            first.until_ready()
            second.until_ready()
            eventually(lambda: refuses(door), 60, what="the door refuses the thief")
            send(kafka_settings, logins(3000, seed=1))
            eventually(lambda: len(everything(kafka_settings, "incidents")) > 5, 60, what="the stream is under way")

            first.kill()
            second.kill()

        send(kafka_settings, logins(1000, seed=2))
        assert refuses(door)

    with WorkerProcess(kafka_settings, "c", command=DEPLOYED) as new:
        until_done(kafka_settings, new)
        assert new.terminate() == 0
    assert refuses(door)
    door.stop()
    want, got = replayed(kafka_settings), published(kafka_settings)
    for topic in ("incidents", "blocks", "notifications"):
        assert want[topic]
        assert set(got[topic]) == want[topic]


def refuses(door: Door) -> bool:
    """The answer to Dovecot before it checks the thief's password."""
    return bool(door.ask("allow", login=THIEF)["status"] == -1)
