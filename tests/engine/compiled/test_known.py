"""What the kernel knows of countries and safe networks, against those who know it first."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.addresses import MAPPED, Network, contains
from streams.core.book import RuleBook
from streams.engine.compiled import known
from streams.engine.compiled.countries import KnownCountries
from streams.engine.compiled.known import Safe
from streams.engine.compiled.rules_known import KnownRules
from streams.engine.compiled.usual import UsualLogins
from streams.records.codec import Codec

HALF = 64
EDGES = (0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000, 0xC0000200, 0xFFFFFFFF)

v4 = (st.sampled_from(EDGES) | st.integers(0, 2**32 - 1)).map(lambda number: MAPPED | number)
halves = st.sampled_from([0, 1, 0xC00003, 1 << 32, 1 << 42, 0x20010DB8 << 32, 1 << 62, 1 << 63, 2**64 - 1])
v6 = st.builds(
    lambda high, low: high << HALF | low, halves | st.integers(0, 2**64 - 1), halves | st.integers(0, 2**64 - 1)
)
numbers = v4 | v6


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network of either version, also of all addresses."""
    number = draw(numbers)
    prefix = draw(st.integers(96, 128)) if number >> 32 == 0xFFFF else draw(st.integers(0, 128))
    shift = 128 - prefix
    return Network(number >> shift << shift, prefix)


def near(draw: st.DrawFn, chosen: list[Network]) -> int:
    """An address, often at an edge of one of the networks or beside it."""
    if not chosen or draw(st.booleans()):
        return draw(numbers)
    network = draw(st.sampled_from(chosen))
    last = network.number | (1 << 128 - network.prefix) - 1
    return min(max(draw(st.sampled_from([network.number, last])) + draw(st.integers(-1, 1)), 0), 2**128 - 1)


def halves_of(number: int) -> tuple[int, int]:
    """Both halves with their signs, as compiled code has them."""
    high, low = number >> HALF, number & (1 << HALF) - 1
    return high - (high >> 63 << HALF), low - (low >> 63 << HALF)


class Drawn:
    """A geo database of drawn networks, the narrowest of which counts."""

    available = True

    def __init__(self, countries: dict[Network, str | None]) -> None:
        self._countries = countries

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """By looking at every network."""
        address = Network(number, 128)
        around = [network for network in self._countries if contains(network, address)]
        code = self._countries[max(around, key=lambda network: network.prefix)] if around else None
        free, most = 0, 32 if address.is_v4 else 128
        while free < most and not self._splits(number, free + 1, address.is_v4):
            free += 1
        return code, free

    def _splits(self, number: int, free: int, is_v4: bool) -> bool:
        block = Network(number >> free << free, 128 - free)
        if not is_v4 and contains_mapped(block):
            return True
        return any(
            network.is_v4 == is_v4 and network.prefix > block.prefix and network.number >> free << free == block.number
            for network in self._countries
        )


def contains_mapped(block: Network) -> bool:
    """Whether a block of IPv6 has the addresses of IPv4 in it."""
    shift = 128 - block.prefix
    return MAPPED >> shift << shift == block.number


@given(
    countries=st.dictionaries(networks(), st.sampled_from([None, "DE", "FR", "US"]), max_size=6),
    data=st.data(),
)
@settings(deadline=None, max_examples=200)
def test_a_country_that_is_remembered_is_that_of_the_address(
    countries: dict[Network, str | None], data: st.DataObject
) -> None:
    """Whatever was asked before, in whatever order; and what was entered is known the next time, if it can be."""
    places = Drawn(countries)
    entered = KnownCountries()

    for _ in range(12):
        number = near(data.draw, list(countries))
        code, free = places.country_and_span(number)
        expected = int.from_bytes((code or "\0\0").encode(), "little")
        halves = halves_of(number)
        told = known.country_of(*halves, entered.keys, entered.codes)
        assert told in {known.NOT_KNOWN, expected}

        entered.enter(number, places)

        now = known.country_of(*halves, entered.keys, entered.codes)
        can_be = number >> 32 == 0xFFFF or (number >> 126 == 0 and free >= 64)
        assert now == (expected if can_be else known.NOT_KNOWN)


@given(
    everyones=st.lists(networks(), max_size=8, unique=True),
    own=st.lists(networks(), max_size=3, unique=True),
    data=st.data(),
)
@settings(deadline=None, max_examples=200)
def test_an_address_is_safe_where_a_safe_network_covers_it(
    everyones: list[Network], own: list[Network], data: st.DataObject
) -> None:
    """Networks within others, beside each other, of all addresses of a version, and of two scopes; after other rules."""
    book, entered = RuleBook(), KnownRules(1, 0)
    for scope, safe in (("everyone", everyones), ("domain:example.org", own)):
        for network in safe:
            book.set_safe_network("", {"scope": scope, "network": str(network), "description": "office"})
    entered.follow(book)
    for account in ("a@example.com", "a@example.org"):
        entered.enter(account, book, 0)
        rules, row = book.rules(account, 0), entered.rows.array[entered.rows.used - 1]

        for _ in range(6):
            address = near(data.draw, everyones + own)
            covered = rules.safe_cover(Network(address, 128)) is not None
            tables = Safe(entered.spans.array, entered.ranges.array)
            assert known.is_safe(*halves_of(address), row, tables) == covered


def test_rules_hold_from_and_until_their_millisecond() -> None:
    """Of an account, else of its domain; of nobody else."""
    usual, book = UsualLogins(Codec(), partitions=1, lateness_ms=0, largest=1000, seed=1), RuleBook()
    for scope, expires in (("everyone", 2000), ("account:a@example.org", 3000)):
        record = {"scope": scope, "network": "192.0.2.0/24", "description": "office", "expires": expires}
        book.set_safe_network("", record)
    usual._rules.follow(book)
    usual._rules.enter("b@example.org", book, 1999)
    usual._rules.enter("a@example.org", book, 2500)

    def row(account: str, now: int) -> int:
        return known.row_of(usual.facts(), np.frombuffer(account.encode() + b"\0", np.uint8), 0, len(account), now)

    assert [row("b@example.org", now) for now in (0, 1999, 2000)] == [0, 0, -1]
    assert [row("a@example.org", now) for now in (1999, 2000, 2999, 3000)] == [-1, 1, 1, -1]
    assert [row(account, 1000) for account in ("b@example.com", "example.org", "@example.org", "")] == [-1] * 4
