"""Policies: what may be set, and what holds for an account."""

import pytest

from streams.core.book import RuleBook
from streams.core.policy import FIELDS, RESET, parse_policy
from streams.core.refusal import Refused


def record(scope: str = "everyone", **fields: object) -> dict[str, object]:
    return {"scope": scope, **fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_window", -1),
        ("time_window", 43_201),
        ("time_window", True),
        ("time_window", "60"),
        ("allowed_ips", 51),
        ("allowed_countries", -1),
        ("block_time", 43_201),
        ("familiar_days", -5),
        ("ipv4_prefix", 7),
        ("ipv4_prefix", 33),
        ("ipv6_prefix", 15),
        ("ipv6_prefix", 129),
        ("mode", "panic"),
        ("notify_sender", 1),
        ("ignored_countries", ["DE", "XX"]),
        ("ignored_countries", "de;fr"),
        ("ignored_countries", [7]),
        ("notify", ["soc"]),
        ("notify", ["a@b\nBcc: c@d"]),
        ("notify", "soc@example.org"),
        ("notify", [f"{n}@example.org" for n in range(51)]),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(field: str, value: object) -> None:
    """The sentence says which field, or which of its values, and why."""
    with pytest.raises(Refused) as refused:
        parse_policy(record(**{field: value}))

    sentence = str(refused.value)
    assert field in sentence or "country code" in sentence


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("de, ro", ("DE", "RO")), ("ro DE de", ("DE", "RO")), (["xk"], ("XK",)), ([], ()), ("", ()), (None, None)],
)
def test_countries_are_taken_as_people_type_them(typed: object, kept: object) -> None:
    """Any case, commas or spaces, no repetition; an empty list is set, None inherits."""
    assert parse_policy(record(ignored_countries=typed))[1].ignored_countries == kept


def test_nobody_is_told_twice_under_two_spellings() -> None:
    """An address is one as a name of an account is one, the account itself too; what was written first is what is used."""
    book = RuleBook("example.org")
    typed = [
        "User@Example.org",
        "a@b.org",
        "A@B.org",
        "x@b\u00fccher.example",
        "X@xn--bcher-kva.example",
        "r@[::1]",
        "R@[::1]",
    ]
    book.set_policy("", record(notify=typed, notify_sender=True))

    policy = book.effective("user@example.org")

    once = ["User@Example.org", "a@b.org", "x@b\u00fccher.example", "r@[::1]"]
    assert list(policy.notify) == once
    assert policy.recipients("user@example.org") == once
    assert policy.recipients("other@example.org") == [*once, "other@example.org"]


def test_every_field_comes_from_the_nearest_scope_that_sets_it() -> None:
    """Account before domain before the deepest group before the one above before everyone, field by field."""
    book = RuleBook()
    book.set_domain("example.org", {"domain": "example.org", "group": "reseller/customer"})
    book.set_policy("", record("everyone", time_window=60, allowed_ips=3, block_time=30, notify=["soc@example.net"]))
    book.set_policy("", record("group:reseller", allowed_ips=4, familiar_days=5))
    book.set_policy("", record("group:reseller/customer", allowed_ips=5, notify=[]))
    book.set_policy("", record("domain:example.org", block_time=10))
    book.set_policy("", record("account:user@example.org", block_time=0))

    policy = book.effective("user@example.org")

    assert (policy.time_window, policy.allowed_ips, policy.block_time, policy.familiar_days) == (60, 5, 0, 5)
    assert policy.notify == ()
    assert policy.origin("time_window") == "everyone"
    assert policy.origin("allowed_ips") == "group:reseller/customer"
    assert policy.origin("notify") == "group:reseller/customer"
    assert policy.origin("familiar_days") == "group:reseller"
    assert policy.origin("block_time") == "account:user@example.org"
    assert policy.origin("mode") == "default"


def test_a_group_of_the_same_beginning_is_not_a_level_above() -> None:
    """The path is the hierarchy: `a/b` lies under `a`, not under `a/bc`, and case counts."""
    book = RuleBook()
    book.set_domain("example.org", {"domain": "example.org", "group": "a/b"})
    book.set_policy("", record("group:a/bc", allowed_ips=1))
    book.set_policy("", record("group:A", allowed_ips=2))

    assert book.effective("user@example.org").origin("allowed_ips") == "default"


def test_a_tombstone_and_a_domain_without_group_inherit_again() -> None:
    """What is taken away no longer counts."""
    book = RuleBook()
    book.set_domain("example.org", {"domain": "example.org", "group": "a"})
    book.set_policy("", record("group:a", allowed_ips=2))
    book.set_policy("", record("domain:example.org", time_window=5))
    book.rules("user@example.org", 0)

    book.set_policy("domain:example.org", None)
    book.set_domain("example.org", None)

    assert book.rules("user@example.org", 0).policy.origins == book.effective("user@example.org").origins
    assert all(origin == "default" for _, origin in book.effective("user@example.org").origins)


def test_an_invalid_policy_leaves_the_old_one() -> None:
    """It is refused, and what was in force stays."""
    book = RuleBook()
    book.set_policy("", record("everyone", allowed_ips=2))

    with pytest.raises(Refused):
        book.set_policy("", record("everyone", allowed_ips=-2))

    assert book.effective("user@example.org").allowed_ips == 2


def test_reset_writes_zeros_and_leaves_prefixes_and_mode() -> None:
    """The feature is off there, whatever is above."""
    unset = {name for name in FIELDS if getattr(RESET, name) is None}

    assert unset == {"ipv4_prefix", "ipv6_prefix", "mode"}
    assert parse_policy({"scope": "everyone", **RESET.to_record()})[1] == RESET


def test_the_effective_policy_says_the_origin_of_every_field() -> None:
    """Its record has all fields, none of them null, and an origin for each."""
    made = RuleBook().effective("user@example.org").to_record()

    assert set(made) == {*FIELDS, "origins"}
    assert set(made["origins"]) == set(FIELDS)
    assert None not in made.values()
