"""What the kernel is told of rules and countries, and when that is forgotten."""

from typing import Any

import numpy as np
import pytest

from streams.bus.murmur2 import partition_for
from streams.core.book import RuleBook
from streams.core.state import unpack
from streams.engine.compiled import known, rules_known
from streams.engine.compiled.rules_known import KnownRules
from streams.engine.compiled.shelf import Shelf
from streams.engine.compiled.usual import UsualLogins
from streams.worker.fetched import Fetched, Record
from tests.engine.compiled.twins import CODEC, OPTIONAL, PARTITIONS, PLACES, ReadAnew, Twins
from tests.model.generators import Step

NOW = 1_767_700_000_000
USER, OTHER = "user@example.org", "other@example.org"


class Asked(ReadAnew):
    """A geo database that counts how often it is asked by the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """As every other one."""
        self.times += 1
        return super().country_and_span(number)


class Kernel:
    """The kernel over one partition, without an engine."""

    def __init__(self) -> None:
        self.usual = UsualLogins(CODEC, partitions=1, lateness_ms=0, largest=4096, seed=3)
        self.book, self.places, self.accounts = RuleBook(), Asked(), Shelf(3)
        self._offset = 0

    def login(self, account: str, ip: str = "192.0.2.1") -> bool:
        """Whether the kernel did it."""
        self._offset += 1
        records = Fetched.of([record(account, ip, self._offset)])
        return self.usual.run(self.book, self.places, self.accounts, 0, records, 0, 1) == 1

    def allowed(self, account: str) -> int | None:
        """How many networks the rules allow that the kernel has at hand for an account; None where it must ask."""
        facts = self.usual.facts()
        row = known.row_of(facts, np.frombuffer(account.encode() + b"\0", np.uint8), 0, len(account), NOW)
        return None if row < 0 else int(facts.rows[row, known.ALLOWED_IPS])


def record(account: str, ip: str, number: int) -> Record:
    """The login of an account, so many milliseconds and offsets on."""
    value = {"time": NOW + number, "account": account, "ip": ip, "success": True, "service": "imap"}
    raw = CODEC.encode("Login", {**dict.fromkeys(OPTIONAL), **value})
    return Record(number, NOW + number, account.encode(), raw, ())


def policy(scope: str, **fields: Any) -> dict[str, Any]:
    """The record of a policy."""
    return {"scope": scope, "time_window": 10, "block_time": 30, "actor": "test", "time": NOW, **fields}


def safe(scope: str, network: str) -> dict[str, Any]:
    """The record of a safe network."""
    return {"scope": scope, "network": network, "description": "office"}


@pytest.fixture
def kernel() -> Kernel:
    """A kernel that has been told of two accounts of one domain, which allows 4 networks."""
    made = Kernel()
    made.book.set_policy("", policy("domain:example.org", allowed_ips=4))
    assert made.login(USER)
    assert made.login(OTHER)
    return made


def test_countries_are_still_known_after_a_change_of_the_rules(kernel: Kernel) -> None:
    """Only the geo database says them: it is asked once per block, and for the logins that bring the new rules."""
    blocks = [f"100.{number}.0.1" for number in range(64, 104)]
    for number, ip in enumerate(blocks):
        assert kernel.login(f"user{number}@example.org", ip)
    asked = kernel.places.times

    kernel.book.set_policy("", policy("domain:example.org", allowed_ips=5))
    kernel.book.set_safe_network("", safe("everyone", "203.0.113.0/24"))
    kernel.book.set_domain("example.org", {"domain": "example.org", "group": "a"})

    for number, ip in enumerate(blocks):
        assert kernel.login(f"later{number}@example.org", ip)
    assert kernel.places.times <= asked + 1
    assert kernel.allowed(USER) == 5


@pytest.mark.parametrize("reopened", [True, False])
def test_a_new_geo_database_is_heeded_at_once(reopened: bool) -> None:
    """Another object, or the same one with another edition in it: nobody gets a country of the old one."""
    both = Twins(0)
    both.apply(Step("policies", NOW, policy("everyone", allowed_ips=9), "everyone"))
    accounts = [f"user{number}@example.org" for number in range(40)]
    ours = [account for account in accounts if partition_for(account.encode(), PARTITIONS) == 0]
    countries = []
    for number, edition in enumerate(("fixed", "elsewhere", "nowhere", "elsewhere", "fixed")):
        both.apply(Step(PLACES, NOW, {"reopened": reopened}, edition))
        first, then = ours[2 * number : 2 * number + 2]  # the first one's address is asked for with its rules
        both.read(
            [("logins", 0, [record(first, "203.0.113.1", 2 * number), record(then, "192.0.2.1", 2 * number + 1)])]
        )
        packed = both.fast.accounts[0].get(then)
        assert packed is not None
        countries += [used.country for used in unpack(packed).networks.values()]

    assert countries == ["DE", "FR", None, "FR", "DE"]
    assert both.taken == {True: 10}


def test_another_geo_database_is_heeded_though_nobody_told_the_kernel(kernel: Kernel) -> None:
    """It is known by its being another object."""
    kernel.places = Asked()

    kernel.login(USER)

    assert kernel.places.times == 1


def test_rules_of_an_accounts_own_come_and_go(kernel: Kernel) -> None:
    """From the change on, whoever logs in first: it never has its domain's rules while it may have its own."""
    assert kernel.allowed(USER) == kernel.allowed(OTHER) == 4

    kernel.book.set_policy("", policy(f"account:{USER}", allowed_ips=7))
    kernel.login(OTHER)
    assert (kernel.allowed(USER), kernel.allowed(OTHER)) == (None, 4)
    kernel.login(USER)
    assert (kernel.allowed(USER), kernel.allowed(OTHER)) == (7, 4)

    kernel.book.set_policy("", policy("domain:example.org", allowed_ips=5))
    kernel.login(OTHER)
    assert (kernel.allowed(USER), kernel.allowed(OTHER)) == (None, 5)
    kernel.login(USER)
    assert (kernel.allowed(USER), kernel.allowed(OTHER)) == (7, 5)

    kernel.book.set_policy(f"account:{USER}", None)
    kernel.login(OTHER)
    assert (kernel.allowed(USER), kernel.allowed(OTHER)) == (None, 5)
    kernel.login(USER)
    assert kernel.allowed(USER) == kernel.allowed(OTHER) == 5
    assert USER in kernel.book.own, "or its name would have to go"


def test_a_change_of_the_rules_writes_no_name_of_an_account_with_its_own() -> None:
    """Of a hundred thousand: only those are entered that are new."""
    book, rules = RuleBook(), KnownRules(1, 0)
    accounts = [f"user{number}@example.org" for number in range(2000)]
    for account in accounts[:-1]:
        book.set_policy("", policy(f"account:{account}", allowed_ips=2))
    rules.follow(book)
    for account in accounts[:10]:
        rules.enter(account, book, NOW)
    before = dict(rules.own.items())

    book.set_policy("", policy(f"account:{accounts[-1]}", allowed_ips=2))
    rules.follow(book)

    assert dict(rules.own.items()) == {**before, accounts[-1]: rules_known.NO_ROW}
    assert all(int.from_bytes(number, "little") < rules.first_row for number in before.values())


def test_another_book_has_other_accounts_with_rules_of_their_own(kernel: Kernel) -> None:
    """Nothing of the one before is known any more."""
    kernel.book.set_policy("", policy(f"account:{USER}", allowed_ips=7))
    kernel.login(USER)

    kernel.book = RuleBook()
    kernel.book.set_policy("", policy("everyone", allowed_ips=3))
    kernel.login(OTHER)

    assert kernel.allowed(USER) == kernel.allowed(OTHER) == 3


def test_safe_networks_of_many_rules_are_kept_once() -> None:
    """Those of everyone for all domains, whatever safe networks these have of their own; ignored countries too."""
    book, rules = RuleBook(), KnownRules(1, 0)
    for number in range(100):
        book.set_safe_network("", safe("everyone", f"10.0.{number}.0/25"))
    for number in range(300):
        ignored = ["DE", "FR"] if number % 2 else ["AT"]
        book.set_policy("", policy(f"domain:d{number}.example", allowed_ips=2 + number % 9, ignored_countries=ignored))
        book.set_safe_network("", safe(f"domain:d{number % 50}.example", f"172.16.{number % 50}.0/24"))

    rules.follow(book)
    for number in range(300):
        rules.enter(f"user@d{number}.example", book, NOW)

    assert (rules.rows.used, rules.ranges.used, rules.ignored.used) == (300, 100 + 50, 3)
    assert all(
        len(table.array) <= 2 * max(table.used, rules_known.FIRST_ROWS)
        for table in (rules.rows, rules.spans, rules.ranges, rules.ignored)
    )


def test_no_more_ranges_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all rows are forgotten, and entered again when they are asked for."""
    monkeypatch.setattr(rules_known, "MOST_RANGES", 20)
    made = Kernel()
    for number in range(40):
        for third in range(3):
            made.book.set_safe_network("", safe(f"domain:d{number}.example", f"10.{number}.{third * 2}.0/24"))
        made.book.set_policy("", policy(f"domain:d{number}.example", allowed_ips=1 + number))

    for number in [*range(40), *range(40)]:
        assert made.login(f"user{number}@d{number}.example")
        assert not made.login(f"user{number}@d{number}.example", f"10.{number}.2.9")
        assert made.allowed(f"user@d{number}.example") == 1 + number
        assert made.usual._rules.ranges.used < 20 + 3

    assert made.usual._rules.rows.used < 8
