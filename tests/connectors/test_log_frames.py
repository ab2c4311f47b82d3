"""The frames around log lines: their forms, the year that is not said, and hours that are repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.log_frames import Frame, FrameReader, zone_of
from streams.core.refusal import Refused
from tests.connectors.mail_log_kit import at, frames

MOMENT = at("2026-11-22T04:25:34")


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("Nov 22 04:25:34 vm dovecot: hello: world", Frame(MOMENT, "vm", "dovecot", "hello: world")),
        ("Nov  2 04:25:34 vm a/b[12]: x", Frame(at("2026-11-02T04:25:34"), "vm", "a/b", "x")),
        ("2026-11-22T05:25:34.058799+01:00 vm dovecot: x", Frame(MOMENT + 58, "vm", "dovecot", "x")),
        ("2026-11-22T04:25:34Z vm dovecot[1]: x", Frame(MOMENT, "vm", "dovecot", "x")),
        ("2026-11-22 04:25:34 imap-login: Info: x", Frame(MOMENT, "", "", "imap-login: x")),
        ("Nov 22 04:25:34 imap-login: Info: x", Frame(MOMENT, "", "", "imap-login: x")),
        ("Nov 22 04:25:34 auth(a,192.0.2.1,sasl:plain)<s>: Info: x", Frame(MOMENT, "", "", "auth(a,192.0.2.1,sasl:plain)<s>: x")),
        ("<22>1 2026-11-22T04:25:34Z vm postfix 3 - -  x: y", Frame(MOMENT, "vm", "postfix", "x: y")),
        ('<22>1 2026-11-22T04:25:34Z vm postfix - - [a b="\\"]"][c] x', Frame(MOMENT, "vm", "postfix", "x")),
        ("<22>Nov 22 04:25:34 vm dovecot: x", Frame(MOMENT, "vm", "dovecot", "x")),
        (
            '{"__REALTIME_TIMESTAMP":"1795321534058799","_HOSTNAME":"vm","SYSLOG_IDENTIFIER":"dovecot","MESSAGE":"x"}',
            Frame(MOMENT + 58, "vm", "dovecot", "x"),
        ),
    ],
)  # fmt: skip
def test_every_form_says_when_where_and_by_whom(line: str, frame: Frame) -> None:
    """Syslog traditional, ISO and RFC 5424, Dovecot's own file, journald."""
    assert frames().read(line) == frame


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "unknown-frame"),
        ("", "unknown-frame"),
        ("Nov 22 04:25:34", "unknown-frame"),
        ("Nov 22 04:25:34 imap-login: x", "unknown-frame"),
        ("Foo 22 04:25:34 vm dovecot: x", "bad-time"),
        ("Nov 31 04:25:34 vm dovecot: x", "bad-time"),
        ("Nov 22 24:25:34 vm dovecot: x", "bad-time"),
        ("Nov 22 04:25:61 vm dovecot: x", "bad-time"),
        ("2026-13-22T04:25:34Z vm dovecot: x", "bad-time"),
        ("1926-11-22T04:25:34Z vm dovecot: x", "bad-time"),
        ("<22>1 yesterday vm postfix 3 - - x", "bad-time"),
        ("{", "unknown-frame"),
        ("{}", "bad-time"),
        ('{"__REALTIME_TIMESTAMP":"-1"}', "bad-time"),
        ('{"__REALTIME_TIMESTAMP":"' + "9" * 5000 + '"}', "bad-time"),
    ],
)
def test_what_is_no_frame_is_refused_with_a_reason(line: str, reason: str) -> None:
    """The reason is what the metric shows."""
    with pytest.raises(Refused) as refused:
        frames().read(line)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("now", "line", "meant"),
    [
        ("2027-01-01T00:10:00", "Dec 31 23:59:59", "2026-12-31T23:59:59"),
        ("2027-01-01T00:10:00", "Jan  1 00:00:01", "2027-01-01T00:00:01"),
        ("2026-12-31T23:59:00", "Jan  1 00:00:30", "2027-01-01T00:00:30"),
        ("2027-11-20T00:00:00", "Nov 22 00:00:00", "2026-11-22T00:00:00"),
        ("2027-03-01T00:00:00", "Feb 29 10:00:00", "2024-02-29T10:00:00"),
    ],
)
def test_a_line_without_a_year_is_of_the_latest_that_is_not_in_the_future(now: str, line: str, meant: str) -> None:
    """December read in January is of last year; a server whose clock is a little ahead is of the next."""
    assert frames("UTC", now).read(f"{line} vm dovecot: x").time_ms == at(meant)


def test_a_log_that_spans_the_turn_of_the_year_stays_in_order() -> None:
    """The file's date is in January: its December lines are older."""
    reader = frames("Europe/Berlin", "2027-01-02T06:00:00")

    times = [reader.read(f"{text} vm dovecot: x").time_ms for text in ("Dec 31 23:59:59", "Jan  1 00:00:01")]

    assert times == [at("2026-12-31T22:59:59"), at("2026-12-31T23:00:01")]


def test_times_without_a_zone_are_of_the_zone_of_the_settings() -> None:
    """In Berlin, one hour ahead in winter and two in summer."""
    reader = frames("Europe/Berlin", "2026-11-23T00:00:00")

    assert reader.read("Nov 22 04:25:34 vm a: x").time_ms == at("2026-11-22T03:25:34")
    assert reader.read("Jul 22 04:25:34 vm a: x").time_ms == at("2026-07-22T02:25:34")
    assert reader.read("2026-07-22 04:25:34.500 imap-login: Info: x").time_ms == at("2026-07-22T02:25:34") + 500


def test_the_hour_that_comes_twice_goes_forward() -> None:
    """
    In Berlin on 25 October 2026 the hour from two to three comes twice; the log's order tells which one it is.

    01:59:50  02:10:00  02:59:50  |  02:00:10  02:30:00  03:00:00
    """
    reader = frames("Europe/Berlin", "2026-10-26T00:00:00")
    wall = ("01:59:50", "02:10:00", "02:59:50", "02:00:10", "02:30:00", "03:00:00")

    times = [reader.read(f"Oct 25 {text} vm a: x").time_ms for text in wall]

    meant = ("23:59:50", "00:10:00", "00:59:50", "01:00:10", "01:30:00", "02:00:00")
    days = ("24", "25", "25", "25", "25", "25")
    assert times == [at(f"2026-10-{day}T{text}") for day, text in zip(days, meant, strict=True)]


def test_a_line_of_the_hour_that_does_not_exist_is_read_all_the_same() -> None:
    """In spring, by the offset before the change."""
    reader = frames("Europe/Berlin", "2026-03-30T00:00:00")

    assert reader.read("Mar 29 02:30:00 vm a: x").time_ms == at("2026-03-29T01:30:00")


def test_the_zone_of_this_machine_is_the_default() -> None:
    """Whatever it is, a time of now is now."""
    reader = FrameReader(zone_of(""), lambda: MOMENT)

    assert abs(reader.read("Nov 22 04:25:34 vm a: x").time_ms - MOMENT) <= 14 * 3_600_000


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "x" * 300, "a\0b"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    """With what is to be written instead."""
    with pytest.raises(Refused, match="Europe/Berlin"):
        zone_of(name)


@given(st.one_of(st.text(), st.text(alphabet='<>[]{}"\\:, 0129NovZT+-').map(lambda text: "<22>1 " + text)))
def test_no_line_breaks_the_reader(line: str) -> None:
    """It is a frame or refused."""
    try:
        frame = frames().read(line)
    except Refused:
        return
    assert isinstance(frame.time_ms, int)
