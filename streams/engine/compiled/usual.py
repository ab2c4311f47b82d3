"""The usual logins of a batch, done by the kernel: its arrays, and what it must be told between two calls."""

from typing import Protocol

import numpy as np

from streams.core.accounts import canonical_account
from streams.core.addresses import parse_address
from streams.core.book import RuleBook
from streams.core.refusal import Refused
from streams.engine.compiled import kernel, layout, runs, store
from streams.engine.compiled.countries import Blocks, KnownCountries
from streams.engine.compiled.known import Known, Safe
from streams.engine.compiled.numbers import Bytes, Numbers
from streams.engine.compiled.rules_known import KnownRules
from streams.engine.compiled.shelf import Shelf
from streams.records.codec import Codec


class Columns(Protocol):
    """Records of one partition: their bytes, and in `table` the columns of `layout`."""

    data: Bytes
    table: Numbers


class UsualLogins:
    """
    Runs the kernel over the accounts of a worker. `partitions` are those of the input topics, `largest` bytes of a record.

    `take_counts` tells how many logins counted and how many had failed since it was asked last.
    """

    def __init__(self, codec: Codec, *, partitions: int, lateness_ms: int, largest: int, seed: int) -> None:
        self._codec = codec
        self._seed = seed
        self._fixed = np.array([0, partitions, largest, 0, 1], np.int64)
        self._work = kernel.Work(
            np.zeros(kernel.COUNTS, np.int64), np.zeros(runs.ROWS, np.int64), np.zeros(runs.TEXT, np.uint8)
        )
        self._counts = self._work.counts
        self._places: Blocks | None = None
        self._countries = KnownCountries()
        self._rules = KnownRules(seed, lateness_ms)

    def new_accounts(self) -> Shelf:
        """Nobody's accounts yet."""
        return Shelf(self._seed)

    def take_counts(self) -> tuple[int, int]:
        """Logins that counted, and failed ones."""
        _, usual, failed, *_ = self._counts.tolist()
        self._counts[:] = 0
        return usual, failed

    def forget_countries(self) -> None:
        """The geo database has another edition, though it may be the same object: nothing that it said before holds."""
        self._countries.forget()

    def run(
        self, book: RuleBook, places: Blocks, accounts: Shelf, partition: int, records: Columns, first: int, end: int
    ) -> int:
        """The first record, from `first` to `end`, that the kernel leaves to the engine; `end` = none."""
        self._rules.follow(book)
        if places is not self._places:
            self._places = places
            self.forget_countries()
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
        rules, countries = self._rules, self._countries
        return Known(
            rules.own.arrays,
            rules.domains.arrays,
            rules.first_row,
            rules.rows.array,
            Safe(rules.spans.array, rules.ranges.array),
            rules.ignored.array,
            countries.keys,
            countries.codes,
        )

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
        self._rules.enter(account, book, now_ms)
        if places.available:
            self._countries.enter(number, places)
        return True
