"""The usual logins of a batch, done by the kernel: its arrays, and what it must be told between two calls."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from streams.core.accounts import canonical_account
from streams.core.addresses import MAPPED, Network, parse_address
from streams.core.book import RuleBook, Rules
from streams.core.refusal import Refused
from streams.engine.compiled import kernel, known, layout, runs, store
from streams.engine.compiled.known import Known
from streams.engine.compiled.numbers import Bytes, Numbers
from streams.engine.compiled.shelf import Shelf
from streams.records.codec import Codec

MOST_NAMES = 200_000
"""Domains, and accounts of their own rules, that rules are remembered for."""
MOST_ROWS = 20_000
FIRST_COUNTRIES = 1 << 12
MOST_COUNTRIES = 1 << 19
"""Slots: half a million blocks of addresses take 8 MiB."""
HALF = 64
LOW = (1 << HALF) - 1


class Columns(Protocol):
    """Records of one partition: their bytes, and in `table` the columns of `layout`."""

    data: Bytes
    table: Numbers


class Blocks(Protocol):
    """A geo database, asked for blocks of addresses."""

    available: bool

    def country_and_span(self, number: int) -> tuple[str | None, int]:
        """The country of an address, and how many of its last bits do not matter to that."""


class UsualLogins:
    """
    Runs the kernel over the accounts of a worker. `partitions` are those of the input topics, `largest` bytes of a record.

    `take_counts` tells how many logins counted and how many had failed since it was asked last.
    """

    def __init__(self, codec: Codec, *, partitions: int, lateness_ms: int, largest: int, seed: int) -> None:
        self._codec = codec
        self._lateness_ms = lateness_ms
        self._seed = seed
        self._fixed = np.array([0, partitions, largest, 0, 1], np.int64)
        self._work = kernel.Work(
            np.zeros(kernel.COUNTS, np.int64), np.zeros(runs.ROWS, np.int64), np.zeros(runs.TEXT, np.uint8)
        )
        self._counts = self._work.counts
        self._generation: int | None = None
        self._book: RuleBook | None = None
        self._forget()

    def new_accounts(self) -> Shelf:
        """Nobody's accounts yet."""
        return Shelf(self._seed)

    def take_counts(self) -> tuple[int, int]:
        """Logins that counted, and failed ones."""
        _, usual, failed, *_ = self._counts.tolist()
        self._counts[:] = 0
        return usual, failed

    def run(
        self, book: RuleBook, places: Blocks, accounts: Shelf, partition: int, records: Columns, first: int, end: int
    ) -> int:
        """The first record, from `first` to `end`, that the kernel leaves to the engine; `end` = none."""
        if book is not self._book or book.generation != self._generation:
            self._book, self._generation = book, book.generation
            self._forget()
            self._note_own(book)
        self._fixed[kernel.PARTITION], self._fixed[kernel.PLACES] = partition, places.available
        told, room = -1, store.HEAD
        while True:
            at = self._call(accounts, records, first, end)
            reason = self._counts[kernel.REASON]
            if reason == store.NO_ROOM:
                room = room * 4 if at == first else store.HEAD
                accounts.grow(room)
            elif reason == kernel.UNKNOWN and at != told and self._tell(book, places, records, at):
                told = at
            else:
                return at
            first = at

    def facts(self) -> Known:
        """What the kernel knows, as it takes it."""
        return Known(self._names.arrays, self._rows, self._safe, self._ignored, self._country_keys, self._country_codes)

    def _call(self, accounts: Shelf, records: Columns, first: int, end: int) -> int:
        arguments = accounts.arrays, self.facts(), self._work, self._fixed, records.data, records.table
        return int(kernel.run(*arguments, first, end))

    def _tell(self, book: RuleBook, places: Blocks, records: Columns, at: int) -> bool:
        """Enter what is known of a record's account and address; False where it is nothing for the kernel."""
        now_ms, value_at, value_end = records.table[at, [layout.TIMESTAMP, layout.VALUE, layout.VALUE_END]].tolist()
        try:
            _, account, ip, *_ = self._codec.login(records.data[value_at:value_end].tobytes())
            if canonical_account(account) != account:
                return False
            number = parse_address(ip)
        except Refused:
            return False
        self._enter_rules(account, book, now_ms)
        if places.available:
            self._enter_country(number, places)
        return True

    def _forget(self) -> None:
        self._names = Shelf(self._seed)
        self._held: dict[int, tuple[int, Rules]] = {}
        self._rows = np.zeros((16, known.COLUMNS), np.int64)
        self._safe = np.zeros((0, 4), np.int64)
        self._ignored = np.zeros(0, np.int64)
        self._country_keys = np.zeros(FIRST_COUNTRIES, np.int64)
        self._country_codes = np.zeros(FIRST_COUNTRIES, np.int64)
        self._countries = 0

    def _note_own(self, book: RuleBook) -> None:
        for account in book.own:
            self._names.put(account, bytes(4))
        self._names.arrays.meta[known.OWN] = len(book.own)

    def _enter_rules(self, account: str, book: RuleBook, now_ms: int) -> None:
        if len(self._names) >= MOST_NAMES + len(book.own) or len(self._held) >= MOST_ROWS:
            self._forget()
            self._note_own(book)
        rules = book.rules(account, now_ms)
        held = self._held.get(id(rules))  # kept with its row, so that the id is nobody else's
        if held is None:
            held = self._held[id(rules)] = len(self._held), rules
            self._enter_row(*held)
        name = account if account in book.own else account.rpartition("@")[2]
        self._names.put(name, (held[0] + 1).to_bytes(4, "little"))

    def _enter_row(self, index: int, rules: Rules) -> None:
        if index == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
        policy, row = rules.policy, self._rows[index]
        ranges = [_ranges(rules, is_v4=True), _ranges(rules, is_v4=False)]
        begin, ignored_from = len(self._safe), len(self._ignored)
        self._safe = np.concatenate((self._safe, *(np.array(each, np.int64).reshape(-1, 4) for each in ranges)))
        self._ignored = np.concatenate((self._ignored, np.array([_code(code) for code in rules.ignored], np.int64)))
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
        row[known.SAFE_V4], row[known.SAFE_V6], row[known.SAFE_END] = begin, begin + len(ranges[0]), len(self._safe)
        row[known.IGNORED], row[known.IGNORED_END] = ignored_from, len(self._ignored)

    def _enter_country(self, number: int, places: Blocks) -> None:
        code, free = places.country_and_span(number)
        widths = known.V4_FREE if number >> 32 == MAPPED >> 32 else known.V6_FREE
        for width, bits in enumerate(widths):
            if free >= bits:
                key = int(known.key_of(_signed(number >> HALF), _signed(number & LOW), width))
                if key:
                    self._put_country(key, _code(code))
                return

    def _put_country(self, key: int, value: int) -> None:
        if self._countries * 10 >= len(self._country_keys) * 7:
            self._grow_countries()
        index = known.slot_of_key(key, self._country_keys)
        self._countries += self._country_keys[index] == 0
        self._country_keys[index], self._country_codes[index] = key, value

    def _grow_countries(self) -> None:
        """Twice the slots, or all forgotten when there are as many as may be."""
        keys, codes = self._country_keys, self._country_codes
        size, self._countries = len(keys), 0
        kept = keys != 0 if size < MOST_COUNTRIES else np.zeros(size, np.bool_)
        self._country_keys = np.zeros(min(2 * size, MOST_COUNTRIES), np.int64)
        self._country_codes = np.zeros_like(self._country_keys)
        for key, code in zip(keys[kept].tolist(), codes[kept].tolist(), strict=True):
            self._put_country(key, code)


def _code(country: str | None) -> int:
    """A country as the kernel reads it from an entry, 0 = unknown."""
    return int.from_bytes((country or "\0\0").encode(), "little")


def _signed(half: int) -> int:
    return half - (1 << HALF) if half >> (HALF - 1) else half


def _ranges(rules: Rules, *, is_v4: bool) -> list[tuple[int, int, int, int]]:
    """The safe networks of one version as first and last address, sorted, joined where they meet, each in two halves."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(_bounds([safe.network for safe in rules.safe if safe.network.is_v4 == is_v4])):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return [
        (_signed(first >> HALF), _signed(first & LOW), _signed(last >> HALF), _signed(last & LOW))
        for first, last in joined
    ]


def _bounds(networks: Sequence[Network]) -> list[tuple[int, int]]:
    return [(network.number, network.number | (1 << (128 - network.prefix)) - 1) for network in networks]
