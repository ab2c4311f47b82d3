"""The book of rules: safe networks, their expiry, and when rules change."""

import hashlib
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.addresses import Network as Net
from streams.core.addresses import contains, parse_address, parse_network
from streams.core.book import RuleBook, SafeNetwork, parse_safe_key
from streams.core.refusal import Refused


def safe(scope: str, network: str, expires: int | None = None, description: str = "office") -> dict[str, object]:
    return {"scope": scope, "network": network, "description": description, "expires": expires}


def test_a_safe_network_holds_while_now_is_before_its_expiry() -> None:
    """At `expires` itself it is over; rules made for one `now` are not used for another across it."""
    book = RuleBook()
    book.set_safe_network("", safe("everyone", "192.0.2.0/24", expires=1000))

    answers = [bool(book.rules("a@x.org", now).safe) for now in (999, 1000, 999, 5000, 0)]

    assert answers == [True, False, True, False, True]


def test_safe_networks_of_every_scope_of_the_account_hold() -> None:
    """Of account, domain, groups and everyone; of no other."""
    book = RuleBook()
    book.set_domain("x.org", {"domain": "x.org", "group": "g/h"})
    for number, scope in enumerate(["everyone", "group:g", "group:g/h", "domain:x.org", "account:a@x.org", "group:z"]):
        book.set_safe_network("", safe(scope, f"192.0.2.{number}"))

    found = {str(item.network) for item in book.rules("a@x.org", 0).safe}

    assert found == {f"192.0.2.{number}/32" for number in range(5)}
    assert len(book.rules("b@x.org", 0).safe) == 4


def test_a_removed_safe_network_is_safe_no_more() -> None:
    """By its key: scope, one space, canonical CIDR."""
    book = RuleBook()
    book.set_safe_network("", safe("group:a b", "::ffff:192.0.2.9/120"))
    (item,) = book.safe["group:a b"].values()

    book.set_safe_network(item.key, None)

    assert item.key == "group:a b 192.0.2.0/24"
    assert not book.safe["group:a b"]
    assert parse_safe_key(item.key) == ("group:a b", parse_network("192.0.2.0/24"))


@pytest.mark.parametrize("description", ["", "   ", "x" * 501])
def test_a_safe_network_needs_a_description(description: str) -> None:
    """Nobody trusts a network without saying why."""
    with pytest.raises(Refused, match="description"):
        RuleBook().set_safe_network("", safe("everyone", "192.0.2.0/24", description=description))


def test_the_stamp_is_that_of_the_content() -> None:
    """Equal rules have equal stamps in every process; any change of a limit or filter changes it."""
    books = [RuleBook(), RuleBook()]
    for book in books:
        book.set_policy("", {"scope": "everyone", "allowed_ips": 2})
    first, second = (book.rules("a@x.org", 0).stamp for book in books)
    books[1].set_safe_network("", safe("everyone", "192.0.2.0/24"))

    assert first == second
    assert books[1].rules("a@x.org", 0).stamp != first


def test_domains_without_rules_of_their_own_share_those_of_everyone() -> None:
    """A provider has a million domains and few policies: what is resolved and remembered is per policy."""
    book = RuleBook()
    book.set_policy("", {"scope": "everyone", "allowed_ips": 2})
    book.set_policy("", {"scope": "domain:z.org", "allowed_ips": 3})

    first, second, other = (book.rules(account, 0) for account in ("a@x.org", "b@y.org", "c@z.org"))

    assert first is second
    assert other is not first


networks = st.builds(
    lambda last, prefix: parse_network(f"192.0.2.{last}/{prefix}"), st.integers(0, 255), st.integers(24, 32)
)


@given(st.lists(networks, max_size=6), st.integers(0, 255))
def test_the_index_of_safe_networks_answers_as_a_scan_would(trusted: list[Net], last: int) -> None:
    """Whether an address is covered, by one look-up per prefix length."""
    book = RuleBook()
    for network in trusted:
        book.set_safe_network("", safe("everyone", str(network)))
    address = Net(parse_address(f"192.0.2.{last}"), 128)

    cover = book.rules("a@x.org", 0).safe_cover(address)

    assert (cover is not None) is any(contains(network, address) for network in trusted)


SCOPES = ("everyone", "group:g", "group:g/h", "domain:x.org", "domain:y.org", "account:a@x.org")
ACCOUNTS = ("a@x.org", "b@x.org", "c@y.org")
edits = st.tuples(
    st.sampled_from(("add", "add", "add", "remove", "policy", "group")),
    st.sampled_from(SCOPES),
    networks,
    st.none() | st.integers(1, 30),
)
questions = st.tuples(st.sampled_from(ACCOUNTS), st.integers(0, 31), st.integers(0, 255))


@given(st.lists(st.tuples(edits, st.lists(questions, max_size=3)), max_size=20))
def test_shared_rules_are_those_that_are_made_anew(
    steps: list[tuple[tuple[str, str, Net, int | None], list[tuple[str, int, int]]]],
) -> None:
    """After any edits, at any `now`: the same safe networks in the same order, span, stamp and covers."""
    book = RuleBook()
    for edit, asked in steps:
        apply(book, *edit)
        for account, now, last in asked:
            rules = book.rules(account, now)
            everything = [item for scope in book.scopes(account) for item in book.safe.get(scope, {}).values()]
            active = [item for item in everything if item.expires_ms is None or now < item.expires_ms]
            address = Net(parse_address(f"192.0.2.{last}"), 128)

            assert list(rules.safe) == active
            assert rules.stamp == plain_stamp(book, account, active)
            assert rules.safe_cover(address) == next((i for i in active if contains(i.network, address)), None)
            changes = {item.expires_ms for item in everything if item.expires_ms is not None}
            assert not any(rules.since_ms < change < rules.until_ms for change in changes)
            assert rules.since_ms <= now < rules.until_ms


def apply(book: RuleBook, what: str, scope: str, network: Net, number: int | None) -> None:
    """One edit of a book."""
    if what == "add":
        book.set_safe_network("", safe(scope, str(network), expires=number))
    elif what == "remove":
        book.set_safe_network(f"{scope} {network}", None)
    elif what == "policy":
        book.set_policy(scope, {"scope": scope, "allowed_ips": number})
    else:
        book.set_domain("x.org", {"domain": "x.org", "group": "g/h" if number else None})


def plain_stamp(book: RuleBook, account: str, active: Iterable[SafeNetwork]) -> bytes:
    """The stamp as states in the field have it."""
    values = book.effective(account).to_record()
    del values["origins"]
    content = [values, sorted((item.scope, str(item.network)) for item in active)]
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).digest()
