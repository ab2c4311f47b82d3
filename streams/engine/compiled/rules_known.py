"""The rules that the kernel knows: rows of numbers, and the names of the accounts and domains that they hold for."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from streams.core.addresses import Network
from streams.core.book import RuleBook, Rules, SafeNetwork
from streams.engine.compiled import known
from streams.engine.compiled.countries import code_of, halves_of
from streams.engine.compiled.shelf import Shelf

MOST_DOMAINS = 200_000
MOST_ROWS = 20_000
MOST_RANGES = 1 << 19
"""When there are so many ranges of safe networks and ignored countries, 16 MiB, all is forgotten before the next row."""
FIRST_ROWS = 16
NO_ROW = bytes(8)


class KnownRules:
    """
    What a rule book said when it was asked, until it changes.

    `own` has every account with rules of its own, whether they were asked for or not: the kernel must never take the
    domain's for them. `domains` has those that were asked for. The state of a name is the number of its row, 8 bytes;
    numbers go on when the rows are forgotten, so that a number below `first_row` is one of a row that is no more, and
    nothing is to be done to the names. The shelves and arrays are exchanged: take them anew for every compiled call.
    """

    def __init__(self, seed: int, lateness_ms: int) -> None:
        self._seed = seed
        self._lateness_ms = lateness_ms
        self._book: RuleBook | None = None
        self._generation = 0
        self._own_names: set[str] = set()
        self.own, self.domains = Shelf(seed), Shelf(seed)
        self.first_row = 1
        self._begin_rows()

    def follow(self, book: RuleBook) -> None:
        """Forget what this book no longer says, and note who has rules of their own by now."""
        if book is self._book and book.generation == self._generation:
            return
        if book is not self._book:
            self._own_names, self.own = set(), Shelf(self._seed)
        self._book, self._generation = book, book.generation
        self._forget_rows()
        if len(book.own) != len(self._own_names):  # it only grows, so that the same number means the same names
            for account in book.own - self._own_names:
                self.own.put(account, NO_ROW)
                self._own_names.add(account)

    def enter(self, account: str, book: RuleBook, now_ms: int) -> None:
        """Ask for the rules of a canonical account, and keep them under its name or its domain's. `book` is followed."""
        number = self._number_of(book.rules(account, now_ms)).to_bytes(8, "little")
        if account in self._own_names:
            self.own.put(account, number)
            return
        if len(self.domains) >= MOST_DOMAINS:
            self.domains = Shelf(self._seed)
        self.domains.put(account.rpartition("@")[2], number)

    def _forget_rows(self) -> None:
        self.first_row += self.rows.used
        self._begin_rows()

    def _begin_rows(self) -> None:
        self.rows, self.spans, self.ranges, self.ignored = Table(known.COLUMNS), Table(3), Table(4), Table(1)
        self._held: dict[int, tuple[int, Rules]] = {}
        self._spans: dict[tuple[int, ...], tuple[int, int, int]] = {}
        self._ignored_places: dict[frozenset[str], tuple[int, int]] = {}

    def _number_of(self, rules: Rules) -> int:
        held = self._held.get(id(rules))  # kept with its number, so that the id is nobody else's
        if held is None:
            if len(self._held) >= MOST_ROWS or self.ranges.used + self.ignored.used >= MOST_RANGES:
                self._forget_rows()
            held = self._held[id(rules)] = self.first_row + self._enter_row(rules), rules
        return held[0]

    def _enter_row(self, rules: Rules) -> int:
        policy, row = rules.policy, [0] * known.COLUMNS
        row[known.SINCE], row[known.UNTIL] = rules.since_ms, rules.until_ms
        row[known.STAMP] = int.from_bytes(rules.stamp, "little", signed=True)
        row[known.WINDOW], row[known.WINDOW_MS], row[known.LATENESS] = (
            policy.time_window,
            rules.window_ms,
            self._lateness_ms,
        )
        row[known.ALLOWED_IPS], row[known.ALLOWED_COUNTRIES] = policy.allowed_ips, policy.allowed_countries
        row[known.POLICY_IPV4], row[known.POLICY_IPV6] = policy.ipv4_prefix, policy.ipv6_prefix
        row[known.IPV4_PREFIX], row[known.IPV6_PREFIX] = known.V4_OFFSET + policy.ipv4_prefix, policy.ipv6_prefix
        row[known.SAFE] = self.spans.add([self._span_of(list(networks)) for _, networks in groupby(rules.safe, _scope)])
        row[known.SAFE_END] = self.spans.used
        row[known.IGNORED], row[known.IGNORED_END] = self._place_ignored(rules)
        return self.rows.add([row])

    def _span_of(self, networks: Sequence[SafeNetwork]) -> tuple[int, int, int]:
        """
        Where in `ranges` those of a scope's networks begin by version, and end: one place for all rows with that scope.

        So hundreds of networks of everyone are there once, and not in the rules of each of thousands of domains.
        """
        key = tuple(map(id, networks))  # of rules that are held; to hash the networks would take longer
        span = self._spans.get(key)
        if span is None:
            v4, v6 = _ranges(networks, is_v4=True), _ranges(networks, is_v4=False)
            begin = self.ranges.add(v4 + v6)
            span = self._spans[key] = begin, begin + len(v4), self.ranges.used
        return span

    def _place_ignored(self, rules: Rules) -> tuple[int, int]:
        """Where in `ignored` the countries begin and end, shared as well."""
        place = self._ignored_places.get(rules.ignored)
        if place is None:
            begin = self.ignored.add([(code_of(country),) for country in rules.ignored])
            place = self._ignored_places[rules.ignored] = begin, self.ignored.used
        return place


class Table:
    """Rows of so many numbers; `array` has room for more than are `used`, and is exchanged for one of twice the length."""

    def __init__(self, columns: int) -> None:
        self.array = np.zeros((FIRST_ROWS, columns), np.int64)
        self.used = 0

    def add(self, rows: Sequence[Sequence[int]]) -> int:
        """Put rows behind the others; the index of the first."""
        first, self.used = self.used, self.used + len(rows)
        columns = self.array.shape[1]
        if self.used > len(self.array):
            longer = np.zeros((max(2 * len(self.array), self.used), columns), np.int64)
            longer[:first] = self.array[:first]
            self.array = longer
        self.array[first : self.used] = np.array(rows, np.int64).reshape(-1, columns)
        return first


def _scope(safe: SafeNetwork) -> str:
    return safe.scope


def _ranges(networks: Sequence[SafeNetwork], *, is_v4: bool) -> list[tuple[int, int, int, int]]:
    """The safe networks of one version as first and last address, sorted, joined where they meet, each in two halves."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(_bounds([safe.network for safe in networks if safe.network.is_v4 == is_v4])):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return [(*halves_of(first), *halves_of(last)) for first, last in joined]


def _bounds(networks: Sequence[Network]) -> list[tuple[int, int]]:
    return [(network.number, network.number | (1 << (128 - network.prefix)) - 1) for network in networks]
