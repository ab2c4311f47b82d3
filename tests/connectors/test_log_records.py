"""Records of log lines: ids that know a repeated line, and messages joined from two lines."""

import uuid

import pytest

from streams.connectors.log_frames import Frame
from streams.connectors.log_lines import ClientLine, LoginLine, QueuedLine
from streams.connectors.log_records import Event, RecordMaker, identity_of
from streams.core.refusal import Refused
from tests.connectors.mail_log_kit import login_line, records_of

HOUR_MS = 3_600_000
CLIENT = ClientLine("ABC123", "User@Example.org", "::ffff:192.0.2.1")
QUEUED = QueuedLine("ABC123", "user@example.org", 311, 2)


def event(said, time_ms=1000, host="mx", identity=b"line"):
    return Event(time_ms, host, said, identity)


def test_a_line_makes_the_same_id_wherever_it_is_read() -> None:
    """And another line another one; it is a UUIDv5."""
    first, again, other = records_of([login_line(1).rstrip(), login_line(1).rstrip(), login_line(2).rstrip()])

    assert first == again
    assert first.value["id"] != other.value["id"]
    assert uuid.UUID(first.value["id"]).version == 5
    assert uuid.UUID(first.value["id"]).variant == uuid.RFC_4122


def test_an_entry_of_the_journal_is_known_whatever_the_order_of_its_fields() -> None:
    """Only time, host, program and message count."""
    frame = Frame(1, "vm", "dovecot", "x")

    assert identity_of(b'{"a":1,"b":2}', frame) == identity_of(b'{"b":2,"a":1}', frame)
    assert identity_of(b"Nov", frame) == b"Nov"


def test_a_message_is_counted_when_it_is_queued_for_the_first_time() -> None:
    """The client's line is a login; qmgr's line at a later attempt finds nothing."""
    maker = RecordMaker()

    login, message, later = maker.take(event(CLIENT)), maker.take(event(QUEUED, 2000)), maker.take(event(QUEUED, 9000))

    assert (login.topic, login.value["account"], login.value["ip"]) == ("logins", "user@example.org", "192.0.2.1")
    assert message.topic == "submissions"
    assert message.value == {
        "time": 2000, "account": "user@example.org", "sender": "user@example.org", "recipients": 2, "accepted": True,
        "id": message.value["id"], "ip": "192.0.2.1", "queue_id": "ABC123", "size": 311,
    }  # fmt: skip
    assert message.value["id"] != login.value["id"]
    assert later is None


def test_a_queue_id_counts_only_on_its_host() -> None:
    """Two servers may use the same at the same time."""
    maker = RecordMaker()
    maker.take(event(CLIENT, host="mx1"))

    assert maker.take(event(QUEUED, host="mx2")) is None
    assert maker.take(event(QUEUED, host="mx1")) is not None


def test_a_message_without_a_queue_id_is_only_a_login() -> None:
    """With a filter before the queue smtpd has none yet."""
    maker = RecordMaker()

    assert maker.take(event(CLIENT._replace(queue_id=""))).topic == "logins"
    assert len(maker) == 0


def test_begun_messages_are_bounded_by_number_and_by_an_hour() -> None:
    """The oldest go first, and are counted."""
    maker = RecordMaker(most_waiting=3)
    for number in range(5):
        maker.take(event(CLIENT._replace(queue_id=f"Q{number}"), 1000 + number))
    assert ([waiting.queue_id for waiting in maker.waiting()], maker.let_go) == (["Q2", "Q3", "Q4"], 2)

    maker.take(event(CLIENT._replace(queue_id="Q9"), 1004 + HOUR_MS))

    assert ([waiting.queue_id for waiting in maker.waiting()], maker.let_go) == (["Q9"], 5)


def test_a_host_whose_clock_is_ahead_makes_no_other_hosts_messages_vanish() -> None:
    """Zones differ, and a clock may be wrong: an hour is measured by the host that began the message."""
    maker = RecordMaker()
    maker.take(event(CLIENT, host="mx-utc"))
    maker.take(event(CLIENT, 1001 + HOUR_MS, host="mx-cet"))

    assert maker.take(event(QUEUED, 2000, host="mx-utc")) is not None
    assert maker.take(event(QUEUED, 2000 + HOUR_MS, host="mx-cet")) is not None
    assert maker.let_go == 0


def test_a_queue_id_that_is_used_again_belongs_to_nobody_before() -> None:
    """A message begun over an hour ago is not that one; at an hour it still may be."""
    for waited_ms, taken in ((HOUR_MS, True), (HOUR_MS + 1, False)):
        maker = RecordMaker()
        maker.take(event(CLIENT))

        assert (maker.take(event(QUEUED, 1000 + waited_ms)) is not None) is taken
        assert (len(maker), maker.let_go) == (0, int(not taken))


def test_begun_messages_of_many_hosts_stay_within_the_bound() -> None:
    """Also behind the message of a host that says nothing more."""
    maker = RecordMaker(most_waiting=3)
    maker.take(event(CLIENT, host="silent"))
    for number in range(9):
        maker.take(event(CLIENT._replace(queue_id=f"Q{number}"), 2000 + number * HOUR_MS))

    assert len(maker) <= 3


def test_begun_messages_survive_a_restart() -> None:
    """The message has the same id as without one."""
    before = RecordMaker()
    before.take(event(CLIENT))

    after = RecordMaker(waiting=before.waiting())

    assert after.take(event(QUEUED)) == before.take(event(QUEUED))


def test_failures_are_sent_if_they_name_somebody_and_are_wanted() -> None:
    """A setting, and a name."""
    failure = LoginLine("user@example.org", "192.0.2.1", success=False, service="imap", failure="auth failed")

    assert RecordMaker().take(event(failure)).value["failure"] == "auth failed"
    assert RecordMaker().take(event(failure._replace(name=""))) is None
    assert RecordMaker(failed_logins=False).take(event(failure)) is None


@pytest.mark.parametrize(
    ("name", "address", "reason"),
    [
        ("user", "192.0.2.1", "bad-account"),
        ("us\ufffder@example.org", "192.0.2.1", "bad-account"),
        ("user@exa mple..org", "192.0.2.1", "bad-domain"),
        ("user@example.org", "unknown", "bad-address"),
        ("user@example.org", "fe80::1%eth0", "bad-address"),
    ],
)
def test_a_login_of_nobody_or_from_nowhere_is_refused(name: str, address: str, reason: str) -> None:
    """With the reason of the core."""
    with pytest.raises(Refused) as refused:
        RecordMaker().take(event(LoginLine(name, address, success=True, service="imap")))

    assert refused.value.reason == reason


def test_a_name_without_a_domain_gets_the_default_one() -> None:
    """As at every door."""
    maker = RecordMaker(default_domain="example.org")

    made = maker.take(event(LoginLine("user", "192.0.2.1", success=True, service="imap"), host="a\x1bb"))

    assert (made.value["account"], made.value["server"]) == ("user@example.org", "a?b")
