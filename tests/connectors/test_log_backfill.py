"""Old logs: merged by time, compressed, dated by their files, to the topics or to replay lines."""

import gzip
import io
import os
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.connectors.log_backfill import Backfill, open_files, replay_lines
from streams.errors import DeliveryError, UsageError
from streams.geo import NoPlaces
from streams.replay.replay import Replay
from streams.settings import Settings
from tests.connectors.doors import read_all
from tests.connectors.mail_log_kit import at, login_line

SETTINGS = Settings(log_timezone="UTC")


def seconds(job: Backfill, *paths: Path) -> list[int]:
    """The second of each record."""
    with ExitStack() as opened:
        files = open_files([str(path) for path in paths], opened, io.BytesIO)
        return [made.value["time"] // 1000 % 60 for made in job.records(files)]


def test_files_are_merged_by_the_times_in_them(tmp_path: Path) -> None:
    """The shell gives mail.log before mail.log.1; two servers write at the same time. A message may span two files."""
    new, old, other = (tmp_path / name for name in ("mail.log", "mail.log.1", "mx2.log"))
    new.write_bytes(b"2026-11-22T04:25:07Z mx1 postfix/qmgr[2]: ABC: from=<a@x.org>, size=1, nrcpt=1 (queue active)\n")
    old.write_bytes(
        login_line(second=1)
        + b"2026-11-22T04:25:05Z mx1 postfix/smtpd[1]: ABC: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=a@x.org\n"
    )
    other.write_bytes(login_line(second=3) + login_line(second=6))
    job = Backfill(SETTINGS)

    assert seconds(job, new, old, other) == [1, 3, 5, 6, 7]
    assert (job.lines, dict(job.unreadable.reasons), job.damaged) == (5, {}, [])


def test_a_compressed_log_is_read_and_dated_by_what_was_compressed(tmp_path: Path) -> None:
    """December lines of a log that was packed in January are of the year before."""
    packed = tmp_path / "mail.log.2.gz"
    line = (
        b"Dec 31 23:59:59 vm dovecot: imap-login: Login: user=<a@x.org>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2\n"
    )
    packed.write_bytes(gzip.compress(line, mtime=at("2025-01-01T01:00:00") / 1000))
    plain = tmp_path / "mail.log.3"
    plain.write_bytes(line)
    os.utime(plain, (0, at("2024-01-01T01:00:00") // 1000))

    with packed.open("rb") as first, plain.open("rb") as second:
        times = [made.value["time"] for made in Backfill(SETTINGS).records([first, second])]

    assert times == [at("2023-12-31T23:59:59"), at("2024-12-31T23:59:59")]


def test_a_damaged_compressed_log_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """And named. Of a line that the damage has cut nothing is made: it could name another account or address."""
    packed = tmp_path / "mail.log.2.gz"
    lines = b"".join(login_line(number) for number in range(2_000))
    whole = gzip.compress(lines, 0)
    packed.write_bytes(whole[: len(whole) // 2])
    job = Backfill(SETTINGS)

    found = seconds(job, packed)

    assert (job.damaged, dict(job.unreadable.reasons)) == ([str(packed)], {})
    assert abs(len(found) - lines[: len(lines) // 2].count(b"\n")) <= 1


def test_a_replay_reads_what_a_backfill_writes() -> None:
    """In the order of time, with an incident at the end."""
    lines = b"".join(login_line(number, second=number) for number in (1, 2, 3)) + login_line(9, second=2)
    replay = Replay(Settings(), NoPlaces())
    policy = {"scope": "everyone", "time_window": 60, "allowed_ips": 3, "block_time": 60, "actor": "test", "time": 0}
    replay.read(orjson.dumps({"topic": "policies", "timestamp": 0, "value": policy}))

    written = list(replay_lines(Backfill(SETTINGS).records([io.BytesIO(lines)])))
    outputs = [orjson.loads(line) for given in written for line in replay.read(given)]

    times = [orjson.loads(line)["timestamp"] for line in written]
    assert times == sorted(times)
    assert [output["topic"] for output in outputs] == ["incidents", "blocks"]


def test_to_the_topics_goes_everything_or_it_is_said(embedded: EmbeddedBroker) -> None:
    """A run that was stopped ends with an error; it can be repeated."""
    settings = embedded.settings.model_copy(update={"log_timezone": "UTC"})
    lines = b"".join(login_line(number) for number in range(100))

    assert Backfill(settings).to_topics(Backfill(settings).records([io.BytesIO(lines)])) == 100
    stopped = Backfill(settings)
    stopped.interrupted.set()
    with pytest.raises(DeliveryError, match="stopped after 0 records"):
        stopped.to_topics(stopped.records([io.BytesIO(lines)]))

    assert len(read_all(embedded.settings, "logins")) >= 100


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or a directory."""
    for path in (tmp_path / "none", tmp_path):
        with ExitStack() as opened, pytest.raises(UsageError, match=str(path)):
            open_files([str(path)], opened, io.BytesIO)
