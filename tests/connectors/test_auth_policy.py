"""Dovecot's auth policy wire: what is understood, refused and answered, byte for byte."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors import auth_policy
from streams.connectors.auth_policy import PASS, answer, login_record, parse_request, usable
from streams.core.refusal import Refused
from streams.records.codec import Codec

REPORT = (
    b'{"device_id":"","login":"alice@example.org","protocol":"imap","pwhash":"0ea9","remote":"192.0.2.7",'
    b'"session_id":"AD3usNVg/tJ/AAAB","success":true,"policy_reject":false,"tls":false}'
)
REPORT_2_4 = (
    b'{"device_id":"","fail_type":"credentials","login":"alice@example.org","protocol":"imap","pwhash":"07e3",'
    b'"remote":"203.0.113.102","session_id":"XfeE79VgQZzLAHFm","success":false,"policy_reject":false,"tls":false}'
)
EXTENDED = (
    b'{"attrs":{"cos":"gold","host":"vm"},"auth_user":"alice@example.org","device_id":"\\"name\\" \\"Thunderbird\\"",'
    b'"login":"alice@example.org","mech":"PLAIN","protocol":"submission","pwhash":"0ea9","remote":"2001:DB8:1::9",'
    b'"server":"vm","session_id":"ZeBZstVgQZzLAHEH","success":true,"policy_reject":false,"tls":false}'
)
FIELDS = ("login", "remote", "protocol", "session_id", "device_id", "server", "fail_type", "success", "policy_reject")
REASONS = ("", "bad-login", "bad-account", "bad-domain", "bad-address", "bad-success")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def login(body: bytes) -> dict:
    return usable(login_record(parse_request(body), 1_700_000_000_000, "192.0.2.200", "id-1"), "")


def refusal(body: bytes) -> str:
    with pytest.raises(Refused) as caught:
        login(body)
    return caught.value.reason


def test_the_examples_in_the_docstrings_hold():
    """Every doctest of the module runs and there is at least one."""
    assert doctest.testmod(auth_policy) == (0, 2)


def test_a_report_of_dovecot_2_3_becomes_a_login():
    """All that Dovecot sends by default finds its place; the time is that of arrival, the server the asking one."""
    assert login(REPORT) == {
        "time": 1_700_000_000_000, "account": "alice@example.org", "ip": "192.0.2.7", "success": True,
        "service": "imap", "id": "id-1", "session": "AD3usNVg/tJ/AAAB", "server": "192.0.2.200", "client": None,
        "failure": None,
    }  # fmt: skip


def test_a_failed_report_of_dovecot_2_4_says_why():
    """The field fail_type of 2.4 becomes the failure."""
    found = login(REPORT_2_4)

    assert (found["success"], found["failure"]) == (False, "credentials")


def test_an_extended_report_gives_client_server_and_canonical_address():
    """Submission is SMTP, the IMAP ID is the client, IPv6 is canonical, nested attributes do no harm."""
    found = login(EXTENDED)

    assert (found["service"], found["client"], found["server"]) == ("smtp", '"name" "Thunderbird"', "vm")
    assert found["ip"] == "2001:db8:1::9"


@pytest.mark.parametrize(
    ("protocol", "service"),
    [("imap", "imap"), ("pop3", "pop3"), ("smtp", "smtp"), ("submission", "smtp"), ("sieve", "sieve"),
     ("managesieve", "sieve"), ("http", "http"), ("IMAP", "imap"), ("lmtp", "other"), ("", "other")],
)  # fmt: skip
def test_protocols_become_services(protocol, service):
    """Dovecot's protocol names map to the services of a Login, unknown ones to other."""
    assert login(REPORT.replace(b'"imap"', json.dumps(protocol).encode()))["service"] == service


def test_a_denial_of_ours_is_a_failed_login_by_policy():
    """policy_reject means that the user never got in, and why."""
    found = login(REPORT.replace(b'"success":true,"policy_reject":false', b'"success":false,"policy_reject":true'))

    assert (found["success"], found["failure"]) == (False, "policy")


def test_a_login_in_log_only_mode_counts_as_one():
    """With auth_policy_log_only Dovecot lets a denied user in and says both: the login happened."""
    found = login(REPORT.replace(b'"policy_reject":false', b'"policy_reject":true'))

    assert (found["success"], found["failure"]) == (True, None)


def test_the_unsupported_variable_of_2_3_is_no_failure():
    """2.3 puts an error text in place of fail_type, which says nothing."""
    body = REPORT_2_4.replace(b"credentials", b"UNSUPPORTED_VARIABLE_fail_type")

    assert login(body)["failure"] is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"\xff\xfe\x00", "bad-json"),
        (b"[" * 16_000, "bad-json"),
        (b'{"login":' + b"9" * 5_000 + b"}", "bad-json"),
        (b"[]", "not-an-object"),
        (b'"login"', "not-an-object"),
        (b"null", "not-an-object"),
        (b"{}", "bad-login"),
        (b'{"login":null}', "bad-login"),
        (b'{"login":5}', "bad-login"),
        (b'{"login":["a@example.org"]}', "bad-login"),
        (b'{"login":"' + b"a" * 2_000 + b'@example.org"}', "bad-login"),
        (b'{"login":"a\xff@example.org","remote":"192.0.2.1","success":true}', "bad-login"),
        (b'{"login":"a\\ud800@example.org","remote":"192.0.2.1","success":true}', "bad-account"),
        (b'{"login":"a\\r\\nb@example.org","remote":"192.0.2.1","success":true}', "bad-account"),
        (REPORT.replace(b"alice@example.org", b""), "bad-account"),
        (REPORT.replace(b"alice@example.org", b"alice"), "bad-account"),
        (REPORT.replace(b"example.org", b"exa mple"), "bad-domain"),
        (REPORT.replace(b"192.0.2.7", b""), "bad-address"),
        (REPORT.replace(b"192.0.2.7", b"fe80::1%eth0"), "bad-address"),
        (REPORT.replace(b'"192.0.2.7"', b"3221225991"), "bad-address"),
        (REPORT.replace(b'"success":true,', b""), "bad-success"),
        (REPORT.replace(b'"success":true', b'"success":"true"'), "bad-success"),
        (REPORT.replace(b'"success":true', b'"success":null'), "bad-success"),
        (REPORT.replace(b'"success":true', b'"success":1'), "bad-success"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_a_reason(body, reason):
    """Each fault of a report has its stable word."""
    assert refusal(body) == reason


def test_broken_bytes_in_a_client_name_do_not_cost_the_report():
    """Bytes that are no UTF-8, raw control characters and half surrogates in shown fields are cleaned, not refused."""
    body = REPORT.replace(b'"device_id":""', b'"device_id":"K9\xff\r\n\\ud83d Mail\x00"')

    assert login(body)["client"] == "K9\ufffd Mail"


def test_shown_texts_are_short():
    """A long session or client does not make the record long."""
    body = REPORT.replace(b"AD3usNVg/tJ/AAAB", b"s" * 5_000)

    assert login(body)["session"] == "s" * 256


def test_the_password_hash_is_nowhere_in_the_login():
    """Whatever becomes of a report, the hash does not."""
    assert b"0ea9" not in Codec().encode("Login", login(REPORT))


def test_the_answer_is_exact():
    """Flat, an integer, a string, no blanks: the only form that no Dovecot takes for a fault."""
    assert answer(-1, 'Locked: "see" help') == b'{"status":-1,"msg":"Locked: \\"see\\" help"}'
    assert answer(True, "x") == b'{"status":1,"msg":"x"}'
    assert PASS == b'{"status":0,"msg":"ok"}'


@given(st.text())
def test_an_answer_never_carries_a_control_character(message):
    """Whatever an operator writes, the mail client's protocol stays whole and the answer stays JSON."""
    raw = answer(-1, message)

    found = json.loads(raw)
    assert found["status"] == -1
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in found["msg"])


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(body):
    """Arbitrary bytes either are a report or are Refused."""
    with pytest.raises(Refused):
        login(body)


def refused_or_written(body: bytes) -> str:
    """The reason of a refusal, or "" for a Login, which Avro must then be able to write."""
    try:
        found = login(body)
    except Refused as refused:
        return refused.reason
    Codec().encode("Login", found)
    return ""


@given(st.dictionaries(st.sampled_from((*FIELDS, "pwhash", "tls", "attrs")), JSON))
def test_any_object_is_a_login_or_refused(fields):
    """Every field missing, null, of a wrong type or odd: a Login that Avro can write, or a reason."""
    assert refused_or_written(json.dumps(fields).encode()) in REASONS


@given(st.sampled_from(FIELDS), JSON)
def test_one_odd_field_of_a_good_report_does_no_harm(field, value):
    """Only a name, an address or an outcome that is odd costs the report; what is only shown never does."""
    reason = refused_or_written(json.dumps({**json.loads(REPORT), field: value}).encode())

    assert reason in (REASONS if field in ("login", "remote", "success") else ("",))
