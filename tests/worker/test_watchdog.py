"""What counts as standing still."""

import threading

import pytest

from streams.worker.progress import Progress
from streams.worker.trouble import Trouble
from streams.worker.watchdog import Watchdog, stalls
from tests.eventually import eventually

LOGINS = ("logins", 0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """A worker with one partition, all of it processed and committed up to 100."""
    progress = Progress(clock)
    progress.recovering = False
    progress.loop_beat = clock.now
    progress.broker_answers(None)
    progress.settle({LOGINS: 100})
    progress.partitions[LOGINS].end = 100
    return progress


def alive(progress: Progress, clock: Clock) -> None:
    progress.loop_beat = clock.now
    progress.broker_answers(None)


def sentences(progress: Progress, clock: Clock) -> list[str]:
    return list(stalls(progress, 60, clock.now))


def test_an_idle_worker_is_well(progress: Progress, clock: Clock) -> None:
    """Nobody logs in at night: no records, no progress, no stall."""
    clock.now += 10_000
    alive(progress, clock)

    assert sentences(progress, clock) == []


def test_records_that_wait_while_none_is_processed_are_a_stall(progress: Progress, clock: Clock) -> None:
    """The broker's end is ahead and nothing has moved for longer than the timeout."""
    progress.partitions[LOGINS].end = 150
    clock.now += 59
    alive(progress, clock)
    assert sentences(progress, clock) == []

    clock.now += 2
    alive(progress, clock)

    assert sentences(progress, clock) == ["logins [0]: 50 records wait and none was processed for 61 s"]


def test_what_the_producers_wait_for_is_said_with_the_stall(progress: Progress, clock: Clock) -> None:
    """Whoever reads why the worker was ended reads what Kafka had against its records."""
    trouble = Trouble()
    trouble.goes_on("blocks", "too few")
    trouble.over()
    waiting = Trouble()
    waiting.goes_on("states", "Broker: Not enough in-sync replicas (NOT_ENOUGH_REPLICAS)")
    progress.partitions[LOGINS].end = 150
    clock.now += 61
    alive(progress, clock)
    ended: list[str] = []

    watchdog = Watchdog(progress, 60, ended.append, interval_s=0.01, troubles=[trouble, waiting])
    watchdog.start()
    eventually(lambda: ended, what="the stall is seen")
    watchdog.stop()

    refused = "Kafka does not take records of states: Broker: Not enough in-sync replicas (NOT_ENOUGH_REPLICAS)"
    assert ended == [f"logins [0]: 50 records wait and none was processed for 61 s. {refused}"]


def test_processing_without_commits_is_a_stall(progress: Progress, clock: Clock) -> None:
    """A consumer whose commits have stopped looks busy, and would repeat everything after the next rebalance."""
    for number in range(7):
        progress.processed(LOGINS, 110 + number)
        progress.partitions[LOGINS].end = 110 + number
        clock.now += 10
        alive(progress, clock)

    assert sentences(progress, clock) == ["logins [0]: offset 116 is processed and not committed for 70 s"]


def test_the_time_to_commit_begins_with_what_is_to_be_committed(progress: Progress, clock: Clock) -> None:
    """After a quiet hour the first login is not a stall."""
    clock.now += 3600
    alive(progress, clock)
    progress.processed(LOGINS, 101)
    clock.now += 1
    alive(progress, clock)

    assert sentences(progress, clock) == []


def test_kafka_being_away_is_not_our_stall(progress: Progress, clock: Clock) -> None:
    """During an outage nothing can move; afterwards the worker has the whole timeout again."""
    progress.partitions[LOGINS].end = 150
    clock.now += 300
    progress.loop_beat = clock.now
    progress.broker_answers("connection refused")
    assert sentences(progress, clock) == []

    alive(progress, clock)
    assert sentences(progress, clock) == []

    clock.now += 61
    alive(progress, clock)
    assert sentences(progress, clock) != []


def test_an_event_loop_that_does_not_run_is_a_stall(progress: Progress, clock: Clock) -> None:
    """Whatever blocks the loop blocks everything, and no exception says so."""
    clock.now += 61
    progress.broker_answers(None)

    assert sentences(progress, clock) == ["the event loop has not run for 61 s"]


def test_a_rebalance_that_never_ends_is_a_stall_but_a_long_recovery_is_not(progress: Progress, clock: Clock) -> None:
    """Reading a large changelog takes its time and has a watch of its own."""
    progress.unsettle()
    progress.recovering = True
    clock.now += 1000
    alive(progress, clock)
    assert sentences(progress, clock) == []

    progress.recovering = False

    assert sentences(progress, clock) == ["a rebalance of the group has not ended for 1000 s"]


def test_the_thread_ends_the_process_once(progress: Progress, clock: Clock) -> None:
    """The watchdog calls for the end with the first sentence."""
    ended = threading.Event()
    said: list[str] = []

    def end(sentence: str) -> None:
        said.append(sentence)
        ended.set()

    progress.loop_beat = clock.now - 100
    watchdog = Watchdog(progress, 60, end, interval_s=0.01)
    watchdog.start()

    assert ended.wait(10)
    watchdog.stop()
    assert said == ["the event loop has not run for 100 s"]


def test_a_process_that_was_frozen_is_given_time(progress: Progress, clock: Clock) -> None:
    """After SIGSTOP and SIGCONT all numbers are old; the worker may first catch up."""
    progress.partitions[LOGINS].end = 150
    ended: list[str] = []
    watchdog = Watchdog(progress, 60, ended.append, interval_s=0.01)
    watchdog.start()
    clock.now += 600

    eventually(lambda: progress.count_from == clock.now, what="the freeze is noticed")
    alive(progress, clock)
    watchdog.stop()

    assert ended == []
    assert sentences(progress, clock) == []
