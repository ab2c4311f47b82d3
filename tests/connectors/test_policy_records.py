"""What a policy request becomes for the other processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.policy_protocol import RequestReader
from streams.connectors.policy_records import Remembered, login_record, submission_record
from streams.core.refusal import Refused
from tests.connectors.doors import CODEC
from tests.connectors.postfix_samples import end_of_data

NOW = 1_790_000_000_000
ALICE = "alice@example.org"


def parsed(**fields):
    [request] = RequestReader(100_000).feed(end_of_data(1, **fields))
    return request


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"recipients": 3, "size": 311, "ip": "203.0.113.7", "queue_id": "4E88A2300001"}),
        ({"recipient_count": "", "size": "", "queue_id": ""}, {"recipients": 1, "size": None, "queue_id": None}),
        ({"recipient_count": "9" * 15, "size": "9" * 19}, {"recipients": (1 << 31) - 1, "size": (1 << 63) - 1}),
        ({"client_address": "unknown"}, {"ip": None}),
        ({"client_address": "::ffff:192.0.2.7"}, {"ip": "192.0.2.7"}),
        ({"instance": ""}, {"id": None}),
        ({"sender": ""}, {"sender": ""}),
    ],
)
def test_a_message_is_a_submission(fields, expected):
    """What Postfix did not say, or not as a number or address, is left out; it can always be written."""
    record = submission_record(parsed(**fields), ALICE, NOW)

    assert {name: record[name] for name in expected} == expected
    assert CODEC.decode("Submission", CODEC.encode("Submission", record)) == record


@given(st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), max_size=1100))
def test_any_sender_is_kept_or_refused_with_a_reason(sender):
    """Control characters and enormous ones are refused by the record, nothing crashes."""
    record = submission_record(parsed(sender=sender), ALICE, NOW)

    try:
        raw = CODEC.encode("Submission", record)
    except Refused as refused:
        reason = refused.reason
    else:
        reason = ""
        assert CODEC.decode("Submission", raw)["sender"] == sender
    assert reason in ("", "control-character", "too-long")


def test_a_login_that_we_refuse_has_failed_by_policy():
    """As the gateway reports its own."""
    good, bad = (login_record(parsed(), ALICE, NOW, "id", denied=denied) for denied in (False, True))

    assert (good["success"], good["failure"], good["service"], good["ip"]) == (True, None, "smtp", "203.0.113.7")
    assert (bad["success"], bad["failure"]) == (False, "policy")
    assert CODEC.decode("Login", CODEC.encode("Login", good)) == good


def test_what_was_seen_is_known_until_it_was_silent_for_long():
    """Being seen again counts from then."""
    remembered = Remembered(10, 100)

    times = [0, 100, 200, 301]
    assert [remembered.is_new("a", time) for time in times] == [True, False, False, True]


def test_remembering_is_bounded():
    """Those not seen for the longest time go first."""
    remembered = Remembered(3, 1000)
    for thing in "abcad":
        remembered.is_new(thing, 0)

    assert len(remembered) == 3
    assert [remembered.is_new(thing, 0) for thing in "acd"] == [False, False, False]
    assert remembered.is_new("b", 0)
