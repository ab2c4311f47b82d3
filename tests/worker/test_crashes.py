"""Workers that are killed, stopped, frozen and cut off, on a real Kafka; each test starts from topics only."""

import random
import signal
from collections.abc import Iterator
from time import monotonic

import pytest

from streams.settings import Settings
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import (
    WorkerProcess,
    assert_exact,
    everything,
    send,
    states,
    until_done,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def logins(number: int, *, seed: int, accounts: int = 200) -> Iterator[tuple[str, bytes, bytes]]:
    chance = random.Random(seed)
    for index in range(number):
        yield "logins", f"user{chance.randrange(accounts)}@example.org".encode(), f"login {seed}/{index}".encode()


def test_ten_kills_at_named_points_lose_nothing_and_apply_nothing_twice(kafka_settings: Settings) -> None:
    """A worker that is killed after outputs, after the changelog or before a commit leaves what an unhurt one leaves."""
    chance = random.Random(7)
    repeated = 0
    for number in range(10):
        point = ("outputs", "changelog", "commit")[number % 3]
        at = 1 if point == "commit" else chance.randrange(1, 9)
        send(kafka_settings, logins(3000, seed=number))
        with WorkerProcess(kafka_settings, "one", crash_at=f"{point}:{at}") as worker:
            worker.until_killed()
    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    repeated = assert_exact(kafka_settings)

    assert repeated > 0, "no kill fell between outputs and changelog: the test tests nothing"


def test_another_worker_takes_over_from_one_that_was_killed(kafka_settings: Settings) -> None:
    """Two workers share the partitions; when one is killed in mid-stream, the other goes on with its accounts."""
    with WorkerProcess(kafka_settings, "a") as first, WorkerProcess(kafka_settings, "b") as second:
        first.until_ready()
        second.until_ready()
        eventually(lambda: shares(first) == shares(second) == 2, 60, what="each worker has two partitions")
        send(kafka_settings, logins(5000, seed=1))
        eventually(lambda: len(everything(kafka_settings, "incidents")) > 500, 60, what="the stream is under way")

        first.kill()
        send(kafka_settings, logins(5000, seed=2))

        until_done(kafka_settings, second)
        assert shares(second) == 4
        assert second.terminate() == 0
    assert_exact(kafka_settings)


def test_a_rolling_restart_is_clean_and_exact(kafka_settings: Settings) -> None:
    """Workers that are told to stop while logins come exit with 0, and their successors go on where they ended."""
    with WorkerProcess(kafka_settings, "a") as first, WorkerProcess(kafka_settings, "b") as second:
        first.until_ready()
        second.until_ready()
        for number, worker in enumerate((first, second, first, second)):
            send(kafka_settings, logins(2000, seed=number))
            assert worker.terminate() == 0
            worker.start().until_ready()

        until_done(kafka_settings, first, second)
        assert first.terminate() == 0
        assert second.terminate() == 0
    assert_exact(kafka_settings)


def test_a_broker_that_is_away_for_twenty_seconds_is_waited_for(fresh_kafka: KafkaBroker) -> None:
    """The worker outlives an outage of three sessions, says so in its health page, and goes on exactly."""
    settings = fresh_kafka.settings.model_copy(update={"app": "outage"})
    fresh_kafka.with_topics(app="outage")
    with WorkerProcess(settings, "one") as worker:
        worker.until_ready()
        send(settings, logins(5000, seed=1))

        fresh_kafka.stop()
        stopped = monotonic()
        eventually(lambda: "Kafka does not answer" in worker.page("/health/ready")[1], 30, what="the outage shows")
        eventually(lambda: monotonic() - stopped > 20, 30, what="twenty seconds have passed")
        worker.assert_running()
        fresh_kafka.start()

        send(settings, logins(5000, seed=2))
        until_done(settings, worker)
        worker.until_ready()
        assert worker.terminate() == 0
    assert_exact(settings)


def test_a_worker_that_was_frozen_does_not_write_for_accounts_it_lost(kafka_settings: Settings) -> None:
    """A process stopped for longer than its session finds its accounts with another, and does no harm on waking."""
    with WorkerProcess(kafka_settings, "a") as zombie, WorkerProcess(kafka_settings, "b") as heir:
        zombie.until_ready()
        heir.until_ready()
        eventually(lambda: shares(zombie) == shares(heir) == 2, 60, what="each worker has two partitions")
        send(kafka_settings, logins(20_000, seed=1))
        eventually(lambda: len(everything(kafka_settings, "incidents")) > 500, 60, what="the stream is under way")

        zombie.process.send_signal(signal.SIGSTOP)
        eventually(lambda: shares(heir) == 4, 60, what="the heir has everything")
        until_done(kafka_settings, heir)
        zombie.process.send_signal(signal.SIGCONT)

        eventually(lambda: shares(zombie) == shares(heir) == 2, 60, what="the zombie is a member again")
        send(kafka_settings, logins(2000, seed=2))
        until_done(kafka_settings, zombie, heir)
        assert zombie.terminate() == 0
        assert heir.terminate() == 0
    assert_exact(kafka_settings, frozen=True)


def test_a_worker_that_starts_anew_recovers_what_the_last_one_held(kafka_settings: Settings) -> None:
    """The changelog alone gives the states back: logins after a restart are counted on from before."""
    send(kafka_settings, logins(3000, seed=1))
    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0
    before = states(kafka_settings)

    with WorkerProcess(kafka_settings, "one") as worker:
        worker.until_ready()
        assert worker.metric("loginwatch_worker_accounts") == len(before)
        send(kafka_settings, logins(3000, seed=2))
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    assert_exact(kafka_settings)


def shares(worker: WorkerProcess) -> int:
    """How many partitions of `logins` it has now."""
    lines = worker.page("/metrics")[1].splitlines()
    return len([line for line in lines if line.startswith("loginwatch_worker_lag{") and 'topic="logins"' in line])
