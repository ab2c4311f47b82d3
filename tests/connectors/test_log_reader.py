"""Samples of real logs with the records expected of them, damaged samples, and lines that cannot be read."""

from pathlib import Path

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.log_backfill import replay_lines
from streams.connectors.log_lines import ClientLine
from streams.connectors.log_reader import LineReader, Unreadable
from tests.connectors.mail_log_kit import PROGRAMS, frames, login_line, records_of

SAMPLES = sorted((Path(__file__).parent / "mail_logs").glob("*.log"))
LINES = [line for path in SAMPLES for line in path.read_bytes().splitlines()]
NAMES = {"alice@example.org", "bob@example.org", "nobody@example.org", 'al"ice\\@example.org', "a<b>c@example.org"}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_gives_the_records_beside_it(path: Path) -> None:
    """Logs of real Dovecots and Postfixes; the expected records are replay lines."""
    unreadable = Unreadable()

    made = records_of(path.read_bytes().splitlines(), unreadable)

    expected = path.with_suffix(".expected.jsonl").read_text(encoding="utf-8")
    assert b"".join(replay_lines(made)).decode() == expected
    assert set(unreadable.reasons) <= {"other-program"}


def test_there_are_samples_of_every_form() -> None:
    """A folder that was moved would make the test above pass in silence."""
    assert {path.stem for path in SAMPLES} == {
        "dovecot-2.3", "dovecot-2.4-own-file", "postfix-iso", "rfc5424", "journald"
    }  # fmt: skip


@given(st.data())
def test_a_damaged_sample_gives_no_other_account(data: st.DataObject) -> None:
    """Cut, doubled, mixed and garbled lines: no crash; an account that was not in the samples differs by the damage only."""
    line = data.draw(st.sampled_from(LINES))
    other = data.draw(st.sampled_from(LINES))
    at, to = data.draw(st.integers(0, len(line))), data.draw(st.integers(0, len(other)))
    damaged = data.draw(
        st.sampled_from([line[:at], line[at:], line[:at] + other[to:], line[:at] + b"\xff" + line[at:]])
    )

    for made in records_of([damaged]):
        account = made.value["account"]
        assert account in NAMES or b"\xff" not in damaged
        if made.value.get("success"):
            # a name that was cut in two may be made of the halves of two names, never of anything else
            assert account.encode() in damaged.lower()


@given(st.sampled_from(LINES), st.binary(min_size=1, max_size=3), st.integers(0, 400))
def test_bytes_put_into_a_line_break_nothing(line: bytes, noise: bytes, at: int) -> None:
    """Whatever they are."""
    records_of([line[:at] + noise + line[at:]])


def test_lines_that_cannot_be_read_are_counted_and_one_a_minute_is_shown() -> None:
    """By reason; the log shows the shape and no name."""
    unreadable = Unreadable()
    reader = LineReader(frames(), PROGRAMS, unreadable)
    bad = login_line(user="alice@example.org").rstrip().replace(b"rip=", b"rop=")

    with structlog.testing.capture_logs() as logs:
        for line in (bad, bad, b"tomorrow " + bad, bad + b"x" * 9000, b"tomorrow auth: x"):
            assert reader.read(line) is None

    assert unreadable.reasons == {"ambiguous": 2, "unknown-frame": 1, "too-long": 1}
    assert len(logs) == 1
    assert "alice" not in str(logs)
    assert "user=<x@x.x>" in logs[0]["shape"]


HIDDEN = "98D7: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=bob@example.org, sasl_sender=x\x85y"
"""What a thief who sends AUTH=x\x85y makes Postfix log."""


def in_numbers(message: str, program: str = "postfix/smtpd") -> bytes:
    """An entry as journalctl prints it when a character of its message is not printable."""
    entry = {"_HOSTNAME": "vm", "__REALTIME_TIMESTAMP": "1795321534058799", "SYSLOG_IDENTIFIER": program}
    return orjson.dumps({**entry, "MESSAGE": list(message.encode()), "SYSLOG_FACILITY": "2"})


@pytest.mark.parametrize("printed", [b'"MESSAGE":[', b'"MESSAGE" : [ ', b'"MESSAGE": ['])
def test_an_unprintable_character_hides_no_login_from_the_journals_reader(printed: bytes) -> None:
    """journalctl writes the whole message as numbers then, with spaces if systemd is older than 240."""
    line = in_numbers(HIDDEN).replace(b'"MESSAGE":[', printed)

    event = LineReader(frames(), PROGRAMS, Unreadable()).read(line)

    assert event is not None
    assert event.said == ClientLine("98D7", "bob@example.org", "192.0.2.1")


def test_a_message_in_numbers_may_be_as_long_as_any_other() -> None:
    """Its line is several times as long; a message that is too long is counted, whole or cut by the file's reader."""
    unreadable = Unreadable()
    reader = LineReader(frames(), PROGRAMS, unreadable)

    assert reader.read(in_numbers(HIDDEN + "y" * 4000)) is not None
    assert reader.read(in_numbers(HIDDEN + "y" * 9000)) is None
    assert reader.read(in_numbers(HIDDEN + "y" * 30_000)[:70_000]) is None
    assert unreadable.reasons == {"too-long": 2}


def test_a_login_in_numbers_under_another_tag_is_counted() -> None:
    """As one in words is; what else other programs write in numbers, however long, is not."""
    unreadable = Unreadable()
    reader = LineReader(frames(), PROGRAMS, unreadable)

    assert reader.read(in_numbers(HIDDEN, "mta-two/smtpd")) is None
    assert reader.read(in_numbers("\x85" + "y" * 9000, "httpd")) is None
    assert unreadable.reasons == {"other-program": 1}


def test_other_programs_may_write_what_they_like() -> None:
    """Only the tags of the settings are listened to; logins under another tag are counted, so that a forgotten one shows."""
    unreadable = Unreadable()
    reader = LineReader(frames(), ("dovecot-backend",), unreadable)

    with structlog.testing.capture_logs() as logs:
        assert reader.read(login_line().rstrip()) is None
        assert reader.read(login_line().rstrip().replace(b"Login:", b"Disconnected:")) is None
    assert (unreadable.reasons, logs) == ({"other-program": 1}, [])
    assert reader.read(login_line().rstrip().replace(b" dovecot:", b" dovecot-backend:")) is not None
