"""Policies, safe networks and domains as pages see them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.addresses import contains, parse_network
from streams.core.refusal import Refused
from streams.panel.store import EVERYTHING, Store, Visible, rules, safe_networks
from streams.panel.store.cursors import Cursor, Page, whole
from streams.panel.store.spellings import spellings
from tests.panel.store.feeding import Told, fill
from tests.panel.store.population import START_MS, Population, Record

POPULATION = Population(21)
GROUP_A, DOMAIN = Visible.of(["group:a"]), Visible.of(["domain:one.example"])


def policy(scope: str, **fields: object) -> Told:
    return "policies", scope, {**POPULATION.policy(scope), **fields}


def domain(name: str, group: str | None) -> Told:
    return "domains", name, {"domain": name, "group": group}


def safe(scope: str, network: str, *, at: int = 0, **fields: object) -> Told:
    record: Record = {
        "scope": scope,
        "network": network,
        "description": "the office",
        "actor": "help@example.org",
        "time": START_MS + at,
        "expires": None,
        **fields,
    }
    return "safe-networks", f"{scope} {network}", record


HIERARCHY = [
    domain("one.example", "a/b"),
    domain("two.example", "a"),
    domain("three.example", "ab"),
    domain("four.example", None),
]


def test_the_effective_policy_is_the_workers_and_follows_every_change(store: Store) -> None:
    """The book of rules is made anew when a rule changes, and only then."""
    book = rules.Book()
    fill(store, [*HIERARCHY, policy("group:a", allowed_ips=7), policy("account:x@one.example", allowed_ips=9)])
    with store.reading() as connection:
        first = book.book(connection)
        assert first.effective("y@one.example").origin("allowed_ips") == "group:a"
        assert first.effective("x@one.example").allowed_ips == 9
        assert book.book(connection) is first

    fill(store, [("policies", "account:x@one.example", None)], first_offset=100)
    with store.reading() as connection:
        assert book.book(connection).effective("x@one.example").allowed_ips == 7
        assert rules.policy(connection, EVERYTHING, "account:x@one.example") is None


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_other_spellings_of_a_rule_are_known_as_long_as_they_lie_there(store: Store, batch: int) -> None:
    """However records fall into batches; the canonical key is none of them."""
    one, two = policy("domain:ONE.example"), policy("domain:one.EXAMPLE.")
    other = safe("group:a", "192.0.2.7/24")
    fill(store, [one, two, policy("domain:one.example"), other, domain("TWO.example", "a")], batch=batch)
    fill(store, [("policies", one[1], None), ("domains", "two.example", None)], first_offset=50, batch=batch)
    with store.reading() as connection:
        of_policies = spellings(connection, "policies", ["domain:one.example", "everyone"])
        of_safe = spellings(connection, "safe-networks", ["group:a 192.0.2.0/24"])
        of_domains = spellings(connection, "domains", ["one.example", "two.example"])

    assert of_policies == {"domain:one.example": ["domain:one.EXAMPLE."]}
    assert of_safe == {"group:a 192.0.2.0/24": ["group:a 192.0.2.7/24"]}
    assert of_domains == {"two.example": ["TWO.example"]}

    fill(store, [("policies", two[1], None)], first_offset=60)
    with store.reading() as connection:
        assert spellings(connection, "policies", ["domain:one.example"]) == {}


def test_a_scope_is_told_what_it_would_inherit(store: Store) -> None:
    """What the scope itself sets is left out; the nearest scope above that sets a field wins."""
    told = [policy("everyone", block_time=5), policy("group:a", allowed_ips=7), policy("domain:one.example")]
    fill(store, [*HIERARCHY, *told, policy("account:x@one.example")])
    with store.reading() as connection:
        book = rules.Book().book(connection)

    origins = {
        scope: rules.inherited(book, scope)["origins"]["allowed_ips"]
        for scope in ("everyone", "group:a", "group:a/b", "domain:one.example", "account:x@one.example")
    }
    assert origins == {
        "everyone": "default",
        "group:a": "everyone",
        "group:a/b": "group:a",
        "domain:one.example": "group:a",
        "account:x@one.example": "domain:one.example",
    }


def test_rules_of_others_are_not_shown(store: Store) -> None:
    """A reader sees the rules of scopes within the own ones: not those above, not those beside."""
    scopes = ["everyone", "group:a", "group:a/b", "group:ab", "domain:one.example", "account:x@one.example"]
    fill(store, [*HIERARCHY, *map(policy, scopes), *(safe(scope, "192.0.2.0/24") for scope in scopes)])
    with store.reading() as connection:
        seen = {
            visible: sorted(row.scope for row in rules.listed_policies(connection, visible).rows)
            for visible in (GROUP_A, DOMAIN)
        }
        for visible, policies in seen.items():
            page = rules.safe_networks(connection, visible, rules.SafeWanted())
            assert sorted(row.scope for row in page.rows) == policies
            assert rules.safe_network(connection, visible, "everyone", "192.0.2.0/24") is None
            assert rules.policy(connection, visible, "group:ab") is None

    assert seen[GROUP_A] == ["account:x@one.example", "domain:one.example", "group:a", "group:a/b"]
    assert seen[DOMAIN] == ["account:x@one.example", "domain:one.example"]


def test_policies_come_in_pages_the_widest_scopes_first(store: Store) -> None:
    """All of them once, forwards and backwards; an empty page behind the last one leads back to it."""
    scopes = ["everyone", "group:a", "group:a/b", "domain:one.example", "account:x@one.example"]
    fill(store, [*HIERARCHY, *map(policy, reversed(scopes))])
    with store.reading() as connection:

        def page(cursor: str | None) -> Page[rules.PolicyRow]:
            return rules.listed_policies(connection, EVERYTHING, cursor=cursor, size=2)

        assert [row.scope for row in whole(page)] == scopes
        second = page(page(None).next)
        assert [row.scope for row in page(second.previous).rows] == scopes[:2]
        behind = page(Cursor("widest", (3, scopes[-1])).text())
        assert behind.rows == ()
        assert [row.scope for row in page(behind.previous).rows] == scopes[-2:]


def test_the_tree_has_what_is_in_view(store: Store) -> None:
    """Levels between, domains without a group, and counts with all below; a reader of a branch sees the branch."""
    fill(store, HIERARCHY)
    incident = POPULATION.incident(account="x@one.example")[0]
    fill(store, [("incidents", "x@one.example", incident)], first_offset=50)
    with store.reading() as connection:
        whole = rules.tree(connection, EVERYTHING)
        branch = rules.tree(connection, Visible.of(["group:a/b"]))
        assert rules.groups(connection, EVERYTHING) == ("a", "a/b", "ab")
        assert rules.groups(connection, GROUP_A) == ("a", "a/b")
        assert [row.domain for row in rules.domains(connection, GROUP_A, text="ONE")] == ["one.example"]
        assert rules.domain(connection, DOMAIN, "two.example") is None

    assert [(node.path, node.incidents) for node in whole.groups] == [("a", 1), ("ab", 0)]
    assert [node.path for node in whole.groups[0].groups] == ["a/b"]
    assert [row.domain for row in whole.domains] == ["four.example"]
    assert [(node.path, node.unreviewed) for node in branch.groups] == [("a/b", 1)]


def test_a_domain_that_leaves_its_group_leaves_its_readers(store: Store) -> None:
    """Moved, or taken out: from the next page on."""
    fill(store, HIERARCHY)
    fill(store, [domain("two.example", "ab"), ("domains", "one.example", None)], first_offset=50)
    with store.reading() as connection:
        assert rules.domains(connection, GROUP_A) == ()
        assert rules.domain(connection, EVERYTHING, "one.example") == rules.DomainRow("one.example", "", False, 0, 0)


def test_safe_networks_are_found_page_by_page_and_by_an_address_inside(store: Store) -> None:
    """The latest first; a part of any text, or an address that a network contains."""
    fill(store, [safe("everyone", f"10.{n}.0.0/16", at=n, description=f"Office {n}") for n in range(5)])
    with store.reading() as connection:
        first = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(), size=2)
        second = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(), size=2, cursor=first.next)
        back = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(), size=2, cursor=second.previous)
        inside = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(text="10.3.7.7"))
        named = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(text="office 4"))

    assert [row.network for row in (*first.rows, *second.rows)] == [f"10.{n}.0.0/16" for n in (4, 3, 2, 1)]
    assert back == first
    assert [row.network for row in inside.rows] == ["10.3.0.0/16"]
    assert [row.network for row in named.rows] == ["10.4.0.0/16"]


@pytest.mark.parametrize("text", ["Österreich", "österreich", "ÖSTERREICH", "büro ö", "ŁÓDŹ"])
def test_a_word_is_found_in_any_case_beyond_ascii_too(store: Store, text: str) -> None:
    """The databases alone know the cases of ASCII."""
    fill(store, [safe("everyone", "10.1.0.0/16", description="Büro Österreich, Łódź"), safe("everyone", "10.2.0.0/16")])
    with store.reading() as connection:
        found = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted(text=text)).rows

    assert [row.network for row in found] == ["10.1.0.0/16"]


def test_a_removed_safe_network_is_gone_and_an_expired_one_is_listed(store: Store) -> None:
    """Expiry is seen by the page; only a tombstone removes."""
    expiring = safe("everyone", "192.0.2.0/24", expires=START_MS + 10)
    fill(store, [expiring, safe("everyone", "10.0.0.0/8"), ("safe-networks", "everyone 10.0.0.0/8", None)])
    with store.reading() as connection:
        rows = rules.safe_networks(connection, EVERYTHING, rules.SafeWanted()).rows

    assert [(row.network, row.holds(START_MS + 9), row.holds(START_MS + 10)) for row in rows] == [
        ("192.0.2.0/24", True, False)
    ]


ADDRESSES = st.one_of(st.ip_addresses(v=4, network="198.51.100.0/22"), st.ip_addresses(v=6, network="2001:db8::/44"))


@pytest.mark.parametrize("few", [0, 20_000])
def test_what_a_safe_network_would_cover_is_what_it_contains(
    store: Store, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Networks of incidents that lie wholly inside, of accounts of the scope, in view; found by range or by domain."""
    monkeypatch.setattr(safe_networks, "FEW_NETWORKS", few)
    revisions = [POPULATION.incident() for _ in range(60)]
    fill(store, [("incidents", found[0]["account"], found[0]) for found in revisions])
    seen = {
        (record["account"], str(parse_network(network["network"])))
        for found in revisions
        for record in found
        for network in record["networks"]
    }
    account = revisions[0][0]["account"]
    of_it = account.rpartition("@")[2]

    @settings(max_examples=30, deadline=None)
    @given(ADDRESSES, st.integers(16, 128))
    def agrees(address: object, prefix: int) -> None:
        text = f"{address}/{prefix if ':' in str(address) else 16 + prefix % 17}"
        inside = {pair for pair in seen if contains(parse_network(text), parse_network(pair[1]))}
        with store.reading() as connection:
            found = rules.coverage(connection, EVERYTHING, text, most=1000)
            own = rules.coverage(connection, EVERYTHING, text, scope=f"account:{account}", most=1000)
            its = rules.coverage(connection, EVERYTHING, text, scope=f"domain:{of_it}", most=1000)
            seen_there = rules.coverage(connection, Visible.of([f"domain:{of_it}"]), text, most=1000)
            none = rules.coverage(connection, Visible(), text)
        assert {(row.account, row.network) for row in found.shown} == inside
        assert (found.networks, found.accounts) == (len(inside), len({pair[0] for pair in inside}))
        assert {row.network for row in own.shown} == {network for name, network in inside if name == account}
        there = {pair for pair in inside if pair[0].endswith(f"@{of_it}")}
        assert {(row.account, row.network) for row in its.shown} == there
        assert seen_there == its
        assert none.networks == 0

    agrees()
    with store.reading() as connection, pytest.raises(Refused, match="not a network"):
        rules.coverage(connection, EVERYTHING, "the office")
