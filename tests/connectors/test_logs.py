"""The log reader on real files and the embedded broker: nothing lost over restarts, rotations and a broker that is away."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.connectors.log_position import load_progress
from streams.connectors.logs import LogReader
from streams.errors import ConfigurationError
from streams.settings import Settings
from tests.connectors.doors import read_all
from tests.connectors.mail_log_kit import at, journal_line, login_line
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
CLIENT = b"2026-11-22T04:25:34.1+00:00 vm postfix/smtpd[1]: 670B523020F: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=a@x.org\n"
QUEUED = (
    b"2026-11-22T04:25:35.1+00:00 vm postfix/qmgr[2]: 670B523020F: from=<a@x.org>, size=311, nrcpt=2 (queue active)\n"
)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


def settings_of(broker: EmbeddedBroker, log: Path, **changes: Any) -> Settings:
    values = {
        "log_files": (str(log),),
        "log_position_file": str(log.with_name("position.json")),
        "log_from_beginning": True,
        "logs_health_listen": "127.0.0.1:0",
        **changes,
    }
    return Settings.model_validate({**broker.settings.model_dump(), **values})


@contextmanager
def reading(settings: Settings, **options: Any) -> Iterator[LogReader]:
    """A log reader in a thread of its own, stopped at the end."""
    reader = LogReader(settings, grace_s=0, **options)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        thread.join(30)
        assert not thread.is_alive()


def add(log: Path, *lines: bytes) -> None:
    with log.open("ab") as file:
        file.writelines(lines)


def count(reader: LogReader, sample: str, **labels: str) -> float:
    return reader.metrics.registry.get_sample_value(sample, labels) or 0.0


def sent(reader: LogReader, kind: str = "login") -> float:
    return count(reader, "loginwatch_log_records_total", kind=kind)


def logins(broker: EmbeddedBroker) -> list[int]:
    """The numbers of all logins on the topic."""
    return sorted(int(value["session"].removeprefix("S")) for _, value in read_all(broker.settings, "logins"))


def test_lines_become_logins_and_messages_under_their_account(broker: EmbeddedBroker, log: Path) -> None:
    """As they are written; what cannot be read is counted."""
    add(log, login_line(1))
    with reading(settings_of(broker, log)) as reader:
        eventually(lambda: sent(reader) == 1)
        add(log, CLIENT, QUEUED, login_line(2).replace(b"rip=", b"rop="), login_line(3, user="nobody"))
        eventually(lambda: sent(reader, "submission") == 1)
        assert reader.problems() == []

    [(key, message)] = read_all(broker.settings, "submissions")
    assert (key, message["recipients"], message["queue_id"]) == (b"a@x.org", 2, "670B523020F")
    assert sorted(key for key, _ in read_all(broker.settings, "logins")) == [b"a@x.org", b"user@example.org"]
    assert count(reader, "loginwatch_log_unreadable_total", reason="ambiguous") == 1
    assert count(reader, "loginwatch_log_unreadable_total", reason="bad-account") == 1
    assert count(reader, "loginwatch_log_lines_total") == 5


def test_restarts_and_rotations_lose_and_repeat_nothing(broker: EmbeddedBroker, log: Path) -> None:
    """Ten runs, a rotation before each: every login once."""
    settings = settings_of(broker, log)
    for run in range(10):
        add(log, *(login_line(run * 30 + number) for number in range(20)))
        with reading(settings) as reader:
            eventually(lambda reader=reader: sent(reader) >= 20)
        add(log, *(login_line(run * 30 + number) for number in range(20, 30)))
        if run % 2:
            log.with_name("mail.log.1").write_bytes(log.read_bytes())
            log.write_bytes(b"")
        else:
            log.rename(log.with_name("mail.log.1"))
    with reading(settings) as reader:
        eventually(lambda: sent(reader) == 10)

    assert logins(broker) == list(range(300))


def test_a_restart_in_the_hour_that_comes_twice_goes_on_forward(broker: EmbeddedBroker, log: Path) -> None:
    """In Berlin on 26 October 2025: 02:59:50 in summer time, then ten minutes after two in winter time."""
    settings = settings_of(broker, log, log_timezone="Europe/Berlin")
    login = "imap-login: Info: Login: user=<a@x.org>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2"
    for wall in ("02:59:50", "02:10:00"):
        add(log, f"2025-10-26 {wall} {login}\n".encode())
        with reading(settings) as reader:
            eventually(lambda reader=reader: sent(reader) == 1)

    times = sorted(value["time"] for _, value in read_all(broker.settings, "logins"))
    assert times == [at("2025-10-26T00:59:50"), at("2025-10-26T01:10:00")]


def test_a_message_begun_before_a_restart_is_counted_after_it(broker: EmbeddedBroker, log: Path) -> None:
    """What waits for its second line is in the position file."""
    settings = settings_of(broker, log)
    add(log, CLIENT)
    with reading(settings) as reader:
        eventually(lambda: sent(reader) == 1)
    add(log, QUEUED)
    with reading(settings) as reader:
        eventually(lambda: sent(reader, "submission") == 1)

    assert sent(reader) == 0
    assert len(read_all(broker.settings, "submissions")) == 1


def test_reading_waits_while_kafka_is_away(broker: EmbeddedBroker, log: Path) -> None:
    """Health says so; nothing is saved that is not acknowledged, so a stop meanwhile loses nothing."""
    settings = settings_of(broker, log)
    broker.down()
    add(log, login_line(1))
    with reading(settings) as reader:
        eventually(lambda: any("Kafka" in problem for problem in reader.problems()))
        add(log, login_line(2))
    broker.up()

    with reading(settings) as reader:
        eventually(lambda: sent(reader) == 2, 60)
        broker.down()
        add(log, login_line(3))
        eventually(reader.problems, 60)
        broker.up()
        eventually(lambda: sent(reader) == 3, 60)
        assert eventually(lambda: reader.problems() == [])

    assert set(logins(broker)) == {1, 2, 3}


def test_a_piece_that_kafka_refuses_is_sent_again(broker: EmbeddedBroker, log: Path) -> None:
    """With the same ids, until it is taken."""
    broker.fail(PRODUCE, [87])  # INVALID_RECORD: not retried by librdkafka
    add(log, login_line(1))
    with reading(settings_of(broker, log)) as reader:
        eventually(lambda: sent(reader) == 1)

    assert logins(broker) == [1]


def test_a_damaged_position_file_repeats_rather_than_loses(broker: EmbeddedBroker, log: Path) -> None:
    """The log is read from its beginning, with the same ids."""
    settings = settings_of(broker, log, log_from_beginning=False)
    Path(settings.log_position_file).write_text("{")
    add(log, login_line(1))

    with reading(settings) as reader:
        eventually(lambda: sent(reader) == 1)


def test_several_logs_and_standard_input_are_read_at_once(broker: EmbeddedBroker, log: Path) -> None:
    """Each with its own position; the end of standard input is no end while there are others."""
    other = log.with_name("other.log")
    out, into = os.pipe()
    settings = settings_of(broker, log, log_files=(str(log), str(other), "-"))
    with reading(settings, descriptor=out) as reader:
        add(log, login_line(1))
        add(other, login_line(2))
        os.write(into, login_line(3))
        eventually(lambda: sent(reader) == 3)
        os.close(into)
        add(log, login_line(4))
        eventually(lambda: sent(reader) == 4)
    os.close(out)

    assert logins(broker) == [1, 2, 3, 4]


def test_standard_input_alone_ends_the_process_at_its_end(broker: EmbeddedBroker, log: Path) -> None:
    """After everything was acknowledged; a position file that cannot be written is a warning."""
    settings = settings_of(broker, log, log_files=("-",), log_position_file="/nowhere/logs.json")

    with structlog.testing.capture_logs() as said:
        read_to_end(settings, login_line(1) + login_line(2).rstrip())

    assert logins(broker) == [1, 2]
    assert any("/nowhere/logs.json" in str(line) and line["log_level"] == "warning" for line in said)


def test_a_journal_on_standard_input_goes_on_behind_the_last_line(broker: EmbeddedBroker, log: Path) -> None:
    """What journalctl gives once more is passed over; a journal that began anew, and lines of none, are read."""
    settings = settings_of(broker, log, log_files=("-",))

    read_to_end(settings, journal_line(1) + journal_line(2))
    read_to_end(settings, journal_line(1) + journal_line(2) + journal_line(3) + login_line(4))
    read_to_end(settings, journal_line(3) + login_line(4) + journal_line(1, "c" * 32))

    assert sorted(logins(broker)) == [1, 1, 2, 3, 4, 4]
    cursors = load_progress(Path(settings.log_position_file)).cursors
    assert [cursor[:40] for cursor in cursors] == [f"s={'a' * 32};i=3;b", f"s={'c' * 32};i=1;b"]


def test_a_cursor_is_saved_only_behind_what_kafka_has(broker: EmbeddedBroker, log: Path) -> None:
    """A stop while Kafka is away: the next start reads the lines again."""
    settings = settings_of(broker, log, log_files=("-",))
    broker.down()
    out, into = os.pipe()
    with reading(settings, descriptor=out) as reader:
        os.write(into, journal_line(1))
        eventually(lambda: any("Kafka" in problem for problem in reader.problems()))
    os.close(out)
    os.close(into)
    broker.up()
    assert load_progress(Path(settings.log_position_file)).cursors == ()

    read_to_end(settings, journal_line(1))

    assert logins(broker) == [1]


def read_to_end(settings: Settings, given: bytes) -> None:
    """A log reader that finds this on standard input, and its end."""
    out, into = os.pipe()
    os.write(into, given)
    os.close(into)
    LogReader(settings, descriptor=out).run()
    os.close(out)


def test_the_position_of_a_log_that_is_not_read_now_is_kept(broker: EmbeddedBroker, log: Path) -> None:
    """A reader of one log does not make another one begin anew."""
    other = log.with_name("other.log")
    add(log, login_line(1))
    with reading(settings_of(broker, log)) as reader:
        eventually(lambda: sent(reader) == 1)
    add(other, login_line(2))
    with reading(settings_of(broker, other)) as reader:
        eventually(lambda: sent(reader) == 1)
    add(log, login_line(3))

    with reading(settings_of(broker, log, log_from_beginning=False)) as reader:
        eventually(lambda: sent(reader) == 1)

    assert logins(broker) == [1, 2, 3]


def test_a_log_that_is_missing_shows_in_health(broker: EmbeddedBroker, log: Path) -> None:
    """Until it is there."""
    with reading(settings_of(broker, log)) as reader:
        assert reader.problems() == [f"{log} does not exist (yet)"]
        add(log, login_line(1))
        eventually(lambda: sent(reader) == 1)
        assert reader.problems() == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"log_files": ()}, "log_files"),
        ({"log_timezone": "Mars/Olympus"}, "log_timezone"),
        ({"log_position_file": "/nowhere/logs.json"}, "log_position_file"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(
    broker: EmbeddedBroker, log: Path, change: dict[str, Any], named: str
) -> None:
    """With the setting's name."""
    with pytest.raises(ConfigurationError, match=named):
        LogReader(settings_of(broker, log, **change))


def test_the_process_stops_at_sigterm_and_goes_on_where_it_was(broker: EmbeddedBroker, log: Path) -> None:
    """As a supervisor runs it, with its health page."""
    settings = settings_of(broker, log)
    environment = os.environ | {
        "LOGINWATCH_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "LOGINWATCH_LOG_POSITION_FILE": settings.log_position_file,
        "LOGINWATCH_LOG_FROM_BEGINNING": "true",
        "LOGINWATCH_LOGS_HEALTH_LISTEN": "127.0.0.1:0",
    }
    add(log, login_line(1))
    for number in (1, 2):
        said = log.with_name(f"stderr.{number}")
        with said.open("wb") as errors:
            command = [sys.executable, "-m", "streams.cli", "logs", str(log)]
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=errors)
            try:
                eventually(lambda number=number: len(read_all(broker.settings, "logins")) == number, 60)
                address = said.read_text().partition("health=")[2].split()[0]
                with urllib.request.urlopen(f"http://{address}/health/ready", timeout=10) as answer:
                    assert answer.status == 200
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(30)
        assert code == 0, said.read_text()
        add(log, login_line(number + 1))

    assert logins(broker) == [1, 2]
