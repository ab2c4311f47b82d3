"""weakforced's wire: what is understood, refused and answered, byte for byte."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.connectors import weakforced
from streams.connectors.access_lists import FOREVER, Entry, Subject
from streams.connectors.weakforced import (
    Standing,
    db_stats,
    expiration,
    listing,
    parse_add,
    parse_delete,
    parse_key,
    verdict,
)
from streams.core.addresses import parse_network
from streams.core.refusal import Refused

EXPIRES_MS = 1_750_432_174_000
ADD = {"expire_secs": 60, "reason": "a scan"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("ip", "netmask", "login", "ja3", "expire_secs", "reason")


def subject(network=None, account=None):
    return Subject(None if network is None else parse_network(network), account)


def entry(listed="blacklist", network=None, account=None, reason="a scan"):
    return Entry(listed, subject(network, account), reason, "a test", 0, EXPIRES_MS)


def add(**fields):
    return parse_add(json.dumps({**ADD, **fields}).encode(), "")


def test_the_examples_in_the_docstrings_hold():
    """Every doctest of the module runs and there is at least one."""
    assert doctest.testmod(weakforced) == (0, 3)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ip": "192.0.2.7"}, subject("192.0.2.7")),
        ({"ip": "::ffff:192.0.2.7"}, subject("192.0.2.7")),
        ({"ip": "2001:DB8::1"}, subject("2001:db8::1")),
        ({"netmask": "192.0.2.7/24"}, subject("192.0.2.0/24")),
        ({"netmask": "2001:db8::/32"}, subject("2001:db8::/32")),
        ({"login": " Alice@Example.org "}, subject(None, "alice@example.org")),
        ({"ip": "192.0.2.7", "login": "alice@example.org"}, subject("192.0.2.7", "alice@example.org")),
        ({"ip": "192.0.2.7", "netmask": None, "login": None, "ja3": None}, subject("192.0.2.7")),
    ],
)
def test_an_entry_is_about_what_its_fields_name(fields, expected):
    """An address, a network, an account, or an account at an address; all in canonical form."""
    assert add(**fields) == (expected, "a scan", 60)
    assert parse_delete(json.dumps(fields).encode(), "") == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "nothing-named"),
        ({"ip": "192.0.2.0/24"}, "bad-address"),
        ({"ip": "192.0.2.1:993"}, "bad-address"),
        ({"ip": 7}, "bad-field"),
        ({"netmask": "192.0.2.0/99"}, "bad-network"),
        ({"netmask": "192.0.2.0/24", "login": "a@example.org"}, "bad-entry"),
        ({"netmask": "192.0.2.0/24", "ip": "192.0.2.1"}, "bad-entry"),
        ({"login": "alice"}, "bad-account"),
        ({"login": ["a@example.org"]}, "bad-field"),
        ({"ja3": "d41d8cd98f00b204e9800998ecf8427e"}, "ja3"),
        ({"login": "a@example.org", "ja3": "x"}, "ja3"),
        ({"ip": "192.0.2.1", "reason": None}, "bad-reason"),
        ({"ip": "192.0.2.1", "reason": 5}, "bad-reason"),
        ({"ip": "192.0.2.1", "reason": "x" * 501}, "bad-reason"),
        ({"ip": "192.0.2.1", "expire_secs": None}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": 0}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": -5}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": 1.5}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": True}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": "60"}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": 2**31}, "bad-expiry"),
        ({"ip": "192.0.2.1", "expire_secs": float("inf")}, "bad-expiry"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(fields, reason):
    """Each with a reason of its own, and a sentence that is no secret."""
    with pytest.raises(Refused) as caught:
        add(**fields)
    assert caught.value.reason == reason


def test_a_short_name_gets_the_default_domain_and_a_reason_loses_what_could_forge_a_line():
    """As everywhere: `alice` is alice@example.org with the setting; control characters become spaces."""
    order = parse_add(
        json.dumps({"login": "alice", "expire_secs": 5.0, "reason": "a\r\nb\x00c"}).encode(), "example.org"
    )

    assert order == (subject(None, "alice@example.org"), "a b c", 5)


def test_a_question_about_nothing_names_nothing():
    """reset and getDBStats know no netmask."""
    assert parse_key(b'{"netmask":"192.0.2.0/24"}', "") is None


def test_the_list_is_one_flat_array():
    """The exact body, kinds with their own keys."""
    entries = [
        entry(network="192.0.2.7"),
        entry(network="2001:db8::/32", reason='a "quote"'),
        entry(account="alice@example.org"),
        entry(network="2001:db8::1", account="alice@example.org"),
    ]

    when = '"expiration":"2025-Jun-20 15:09:34"'
    expected = (
        f'{{"bl_entries":[{{"ip":"192.0.2.7/32",{when},"reason":"a scan"}},'
        f'{{"ip":"2001:db8::/32",{when},"reason":"a \\"quote\\""}},'
        f'{{"login":"alice@example.org",{when},"reason":"a scan"}},'
        f'{{"iplogin":"2001:db8::1:alice@example.org",{when},"reason":"a scan"}}]}}'
    )
    assert listing("blacklist", entries) == (200, expected.encode())
    assert listing("whitelist", []) == (200, b'{"wl_entries":[]}')


@pytest.mark.parametrize(
    ("listed", "network", "account", "expected"),
    [
        ("blacklist", "192.0.2.0/24", None, (-1, "no", "blacklisted", "ip")),
        ("blacklist", None, "a@example.org", (-1, "no", "blacklisted", "login")),
        ("whitelist", "192.0.2.7", "a@example.org", (0, "ok", "whitelisted", "iplogin")),
    ],
)
def test_a_verdict_of_the_lists_says_why(listed, network, account, expected):
    """Status and msg first, then attributes, none of which Dovecot 2.3 could take for its own."""
    status, message, mark, key = expected

    answer = json.loads(verdict(entry(listed, network, account), "no\r\n"))

    attributes = {"expiration": "2025-Jun-20 15:09:34", "reason": "a scan", mark: "1", "key": key}
    assert answer == {"status": status, "msg": message, "r_attrs": attributes}


def test_db_stats_echo_the_key_and_say_all_of_it():
    """The exact bodies for a login that is blocked, and an address about which nothing is known."""
    standing = Standing(("by loginwatch", EXPIRES_MS), None, EXPIRES_MS)

    status, body = db_stats(subject(None, "a@example.org"), standing)
    assert status == 200
    assert body == (
        b'{"login":"a@example.org","blacklisted":true,"bl_reason":"by loginwatch","bl_expire":"2025-Jun-20 15:09:34",'
        b'"whitelisted":false,"wl_reason":"","wl_expire":"","stats":{"loginwatch":{"blocked":1,"blocked_until":1750432174}}}'
    )
    assert db_stats(subject("192.0.2.7"), Standing(None, None, None))[1] == (
        b'{"ip":"192.0.2.7","blacklisted":false,"bl_reason":"","bl_expire":"",'
        b'"whitelisted":false,"wl_reason":"","wl_expire":"","stats":{}}'
    )
    both = json.loads(db_stats(subject("192.0.2.7", "a@example.org"), Standing(None, None, None))[1])
    assert both["ip_login"] == "192.0.2.7:a@example.org"


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1970-Jan-01 00:00:00"), (1_767_225_599_999, "2025-Dec-31 23:59:59"), (FOREVER, "+infinity")],
)
def test_moments_are_in_weakforceds_form(ms, text):
    """UTC, English months whatever the locale."""
    assert expiration(ms) == text


@given(
    st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6).map(lambda v: json.dumps(v).encode())
)
def test_any_body_is_understood_or_refused(body):
    """Fuzz: no other exception, and what is understood can be shown and has a bounded expiry."""
    for parse in (parse_add, parse_delete, parse_key):
        try:
            found = parse(body, "example.org")
        except Refused:
            continue
        if parse is parse_add:
            assert 0 < found.expire_secs < 2**31
            assert found.reason.isprintable()
            found = found.subject
        if found is not None:
            db_stats(found, Standing(None, None, None))
            listing("blacklist", [Entry("blacklist", found, "", "", 0, EXPIRES_MS)])
