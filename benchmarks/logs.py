"""
Mail logs: lines per second and core of `loginwatch logs --backfill`, from bytes of a file to lines for a replay, and to Kafka's bytes.

Two logs: one as a mail provider writes it (a third are logins, messages and failures), and the worst case, in which every
line is a login.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any

from streams.connectors.log_backfill import Backfill, replay_lines
from streams.records.codec import Codec
from streams.settings import Settings

START = datetime(2026, 11, 2, tzinfo=UTC)
MONTH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Lines per second of CPU time: minimum, median, maximum of the rounds."""
    result: dict[str, Any] = {"lines": options.log_lines}
    logs: dict[str, Callable[[random.Random, Callable[[str], str]], Iterator[str]]] = {
        "typical": typical,
        "logins_only": logins_only,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, make in logs.items():
            for frame in ("iso", "traditional"):
                path = Path(folder, f"{name}-{frame}.log")
                write(path, make, frame, options)
                rates, records = measure(path, options.rounds, to_json)
                result[f"{name}_{frame}_per_cpu_second"] = rates
                result[f"{name}_{frame}_records"] = records
        for name in logs:
            rates, _ = measure(Path(folder, f"{name}-iso.log"), options.rounds, to_avro)
            result[f"{name}_to_avro_per_cpu_second"] = rates
    return result


def measure(path: Path, rounds: int, read: Callable[[Path], tuple[int, int]]) -> tuple[str, int]:
    rates, records = [], 0
    for _ in range(rounds):
        start = process_time()
        lines, records = read(path)
        rates.append(lines / (process_time() - start))
    return f"{min(rates):,.0f} / {statistics.median(rates):,.0f} / {max(rates):,.0f}", records


def to_json(path: Path) -> tuple[int, int]:
    job = Backfill(Settings(log_timezone="UTC"))
    with path.open("rb") as file, Path("/dev/null").open("wb") as out:
        records = sum(bool(out.write(line)) for line in replay_lines(job.records([file])))
    return job.lines, records


def to_avro(path: Path) -> tuple[int, int]:
    job, codec = Backfill(Settings(log_timezone="UTC")), Codec()
    with path.open("rb") as file:
        records = sum(bool(codec.encode(made.record, made.value)) for made in job.records([file]))
    return job.lines, records


def write(path: Path, make: Callable[..., Iterator[str]], frame: str, options: argparse.Namespace) -> None:
    """A log of one busy server: about 30 lines a second."""
    dice, moment = random.Random(options.seed), START

    def framed(text: str) -> str:
        if frame == "iso":
            return f"{moment.isoformat(timespec='microseconds')} mail1 {text}\n"
        return f"{MONTH[moment.month - 1]} {moment.day:2} {moment:%H:%M:%S} mail1 {text}\n"

    with path.open("w") as file:
        written = 0
        while written < options.log_lines:
            for line in make(dice, framed):
                file.write(line)
                written += 1
            moment += timedelta(milliseconds=dice.randrange(1, 300))


def name_and_address(dice: random.Random) -> tuple[str, str]:
    """One of 30,000 people, at home in one of three networks."""
    person = dice.randrange(30_000)
    return (
        f"user{person}@example.org",
        f"198.{18 + person % 2}.{person >> 8 & 255}.{dice.randrange(3) * 64 + person % 60}",
    )


def session(dice: random.Random) -> str:
    return f"{dice.getrandbits(80):020x}"


def logins_only(dice: random.Random, framed: Callable[[str], str]) -> Iterator[str]:
    user, address = name_and_address(dice)
    service = dice.choice(("imap", "imap", "pop3", "submission"))
    yield framed(
        f"dovecot: {service}-login: Login: user=<{user}>, method=PLAIN, rip={address}, lip=192.0.2.25,"
        f" mpid={dice.randrange(99999)}, TLS, session=<{session(dice)}>"
    )


def typical(dice: random.Random, framed: Callable[[str], str]) -> Iterator[str]:
    """One session, one message sent, one received, some noise of strangers: 21 lines."""
    user, address = name_and_address(dice)
    pid, queue, other = dice.randrange(99999), f"{dice.getrandbits(40):010X}", f"{dice.getrandbits(40):010X}"
    key = session(dice)
    yield from logins_only(dice, framed)
    yield from logins_only(dice, framed)
    for _ in range(2):
        yield framed(
            f"dovecot: imap({user})<{pid}><{key}>: Disconnected: Logged out in=268 out=4468 deleted=0 expunged=0 trashed=0"
        )
    yield framed(f"postfix/submission/smtpd[{pid}]: connect from unknown[{address}]")
    yield framed(
        f"postfix/submission/smtpd[{pid}]: {queue}: client=unknown[{address}], sasl_method=PLAIN, sasl_username={user}"
    )
    yield framed(f"postfix/cleanup[{pid}]: {queue}: message-id=<{key}@example.org>")
    yield framed(f"postfix/qmgr[327]: {queue}: from=<{user}>, size=31100, nrcpt=1 (queue active)")
    yield framed(
        f"postfix/submission/smtpd[{pid}]: disconnect from unknown[{address}] ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8"
    )
    yield framed(
        f"postfix/smtp[{pid}]: {queue}: to=<somebody@example.net>, relay=mx.example.net[203.0.113.9]:25, delay=0.9, delays=0.1/0/0.4/0.4, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
    )
    yield framed(f"postfix/qmgr[327]: {queue}: removed")
    yield framed(f"postfix/smtpd[{pid}]: connect from mx.example.net[203.0.113.9]")
    yield framed(f"postfix/smtpd[{pid}]: {other}: client=mx.example.net[203.0.113.9]")
    yield framed(f"postfix/cleanup[{pid}]: {other}: message-id=<{key}@example.net>")
    yield framed(f"postfix/qmgr[327]: {other}: from=<somebody@example.net>, size=4711, nrcpt=1 (queue active)")
    yield framed(f"dovecot: lmtp({user})<{pid}><{key}>: msgid=<{key}@example.net>: saved mail to INBOX")
    yield framed(
        f"postfix/lmtp[{pid}]: {other}: to=<{user}>, relay=mail1[private/dovecot-lmtp], delay=0.2, delays=0.1/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 saved)"
    )
    yield framed(f"postfix/qmgr[327]: {other}: removed")
    yield framed("postfix/smtpd[99]: warning: hostname scanner.example.com does not resolve to address 192.0.2.199")
    yield framed("postfix/smtpd[99]: lost connection after EHLO from unknown[192.0.2.199]")
    yield framed(
        f"dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<{user}>, method=PLAIN, rip=192.0.2.199, lip=192.0.2.25, session=<{key}>"
    )
