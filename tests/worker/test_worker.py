"""What a worker makes of what it reads, on a real Kafka; kills and outages are in `test_crashes`."""

import random

import pytest

from streams.core.state import VERSION
from streams.settings import Settings
from streams.topology import changelog
from tests.eventually import eventually
from tests.worker.harness import (
    DEPLOYED,
    WorkerProcess,
    assert_exact,
    configure,
    everything,
    send,
    states,
    until_done,
)
from tests.worker.stand_in import STATE

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def words(settings: Settings) -> list[bytes]:
    return [seen.value.split()[2] for seen in everything(settings, "incidents") if seen.value]


def test_records_of_every_compression_are_read(kafka_settings: Settings) -> None:
    """Producers choose their codec themselves: gzip, snappy, lz4, zstd, or none."""
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    for codec in codecs:
        records = [("logins", b"a@example.org", f"login {codec} {n}".encode() + b" " * 200) for n in range(100)]
        send(kafka_settings, records, **{"compression.type": codec})

    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    assert assert_exact(kafka_settings) == 0
    assert STATE.unpack(states(kafka_settings)["a@example.org"])[3] == 100 * len(codecs)


def test_poison_between_good_records_is_passed_over(kafka_settings: Settings) -> None:
    """A record that nobody can use becomes a dead letter, and those before and after it are processed."""
    good = [("logins", b"a@example.org", b"login %d" % number) for number in range(30)]
    poison = [("logins", b"a@example.org", b"poison"), ("logins", None, b"x"), ("logins", b"a@example.org", None)]
    send(kafka_settings, [*good[:10], poison[0], *good[10:20], *poison[1:], *good[20:]])

    with WorkerProcess(kafka_settings, "one", worker_poll_records=7) as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    assert_exact(kafka_settings)
    assert STATE.unpack(states(kafka_settings)["a@example.org"])[3] == 30
    assert len(everything(kafka_settings, "dead-letters")) == 3


def test_a_policy_set_while_the_stream_runs_takes_effect(kafka_settings: Settings) -> None:
    """What was there at the start is known to the first login, and what is set later to those read after it."""
    send(kafka_settings, [("policies", b"everyone", b"first"), ("logins", b"a@example.org", b"login")])
    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        assert words(kafka_settings) == [b"first"]

        send(kafka_settings, [("policies", b"everyone", b"second")])

        def takes_effect() -> bool:
            send(kafka_settings, [("logins", b"a@example.org", b"login")])
            until_done(kafka_settings, worker)
            return words(kafka_settings)[-1] == b"second"

        eventually(takes_effect, 30, what="the second policy is in force")
        assert worker.terminate() == 0
    assert set(words(kafka_settings)) == {b"first", b"second"}


def test_an_invalid_policy_is_a_dead_letter_and_the_old_one_stays(kafka_settings: Settings) -> None:
    """A record on a compacted topic that cannot be used changes nothing, and somebody hears of it."""
    send(kafka_settings, [("policies", b"everyone", b"first")])
    with WorkerProcess(kafka_settings, "one") as worker:
        worker.until_ready()
        send(kafka_settings, [("policies", b"everyone", b"bad")])
        eventually(lambda: everything(kafka_settings, "dead-letters"), 30, what="the dead letter")
        send(kafka_settings, [("logins", b"a@example.org", b"login")])
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    assert words(kafka_settings) == [b"first"]


def test_submissions_and_commands_go_the_same_way(kafka_settings: Settings) -> None:
    """All three inputs of a partition are with one worker, whose state knows the offset of each."""
    topics = ("logins", "submissions", "account-commands")
    send(kafka_settings, [(topic, b"a@example.org", b"record") for topic in topics for _ in range(5)])

    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        assert worker.terminate() == 0

    assert STATE.unpack(states(kafka_settings)["a@example.org"])[:4] == (4, 4, 4, 15)


def test_a_record_that_kafka_refuses_stops_the_worker(kafka_settings: Settings) -> None:
    """An output that is too large for its topic is not committed past: the worker says so and ends with 70."""
    configure(kafka_settings, "incidents", max_message_bytes="1000")
    send(kafka_settings, [("logins", b"a@example.org", random.Random(1).randbytes(5000).hex().encode())])

    with WorkerProcess(kafka_settings, "one") as worker:
        worker.process.wait(60)

        assert worker.process.returncode == 70
        assert "was not delivered" in worker.log
    assert everything(kafka_settings, changelog(kafka_settings).name) == []


def test_a_state_of_a_newer_version_refuses_the_start(kafka_settings: Settings) -> None:
    """The process ends with the exit code of a configuration error and says which account and what to do, once."""
    table = changelog(kafka_settings).name
    send(kafka_settings, [(table, b"a@example.org", bytes([VERSION + 1]) + b"tomorrow" * 9)])

    with WorkerProcess(kafka_settings, "one", command=DEPLOYED) as worker:
        assert worker.until_dead() == 2

        assert f"{table}, account 'a@example.org'" in worker.log
        assert f"state of version {VERSION + 1}" in worker.log
        assert worker.log.count("start that version, or write a tombstone") == 1
        assert "Traceback" not in worker.log


def test_missing_topics_refuse_the_start(kafka_settings: Settings) -> None:
    """The worker makes no topics: it says which command does."""
    settings = kafka_settings.model_copy(update={"app": "somebody-else"})

    with WorkerProcess(settings, "one") as worker:
        worker.process.wait(60)

        assert worker.process.returncode != 0
        assert "loginwatch topics create" in worker.log


def test_the_health_page_and_metrics_speak_of_the_worker(kafka_settings: Settings) -> None:
    """Accounts, commits and lag are there; the process stops cleanly when told to."""
    send(kafka_settings, [("logins", f"user{n}@example.org".encode(), b"login") for n in range(50)])
    with WorkerProcess(kafka_settings, "one") as worker:
        until_done(kafka_settings, worker)
        worker.until_ready()

        assert worker.page("/health/live")[0] == 200
        assert worker.metric("loginwatch_worker_accounts") == 50
        assert worker.metric("loginwatch_worker_commits_total") >= 1
        assert 0 < worker.metric("loginwatch_decision_seconds_count") <= 50, "some of the logins are timed"
        eventually(lambda: worker.metric("loginwatch_worker_lag") == 0, 20, what="no lag")
        assert worker.terminate() == 0
