"""
Two engines that read the same log: one with the compiled kernel, as a worker drives it, and one without.

Whatever they write, count and keep must be the same, after every batch. `python -m tests.engine.compiled.twins` compares
them over many random logs.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

import orjson

from streams.bus.murmur2 import partition_for
from streams.core.refusal import Refused
from streams.core.state import AccountState, unpack
from streams.engine.compiled.usual import UsualLogins
from streams.engine.engine import FORWARDED, Engine
from streams.records.codec import Codec
from streams.topology import LOGINS
from streams.worker.fetched import Fetched, Record
from tests.core.test_hot import tidied
from tests.model.compare import log
from tests.model.generators import Choose, Step
from tests.model.logs import DEFAULT_DOMAIN
from tests.model.places import FixedPlaces, Place
from tests.model.values import MINUTE_MS

PARTITIONS = 2
LARGEST = 4096
OPTIONAL = ("id", "session", "server", "client", "failure")
TABLES = {"policies", "safe-networks", "domains"}
PLACES = "places"
"""Topic of a step that brings another edition of the geo database: its key says which, its value whether the object is another."""
CODEC = Codec()
Batch = list[tuple[str, int, list[Record]]]
"""Records by topic and partition."""

RARE = ("0:0:c0:3::1", "0:0:1:2::7", "::1", "::ffff:c000:20a", "1::", "64:ff9b::c000:20a", "255.255.255.255", "0.0.0.0")
"""Addresses at the edges of how they are written and of how countries are remembered."""
OTHER_SCOPES = (
    "account:user@example.org",
    "account:other@example.org",
    "account:user@example.com",
    "account:üser@müller.example",
    "domain:example.org",
    "domain:example.com",
    "domain:müller.example",
)
RARE_ACCOUNTS = ("example.org", "a@b@example.org", "@example.org", "Other@example.org", "user@example.com", "")


class Elsewhere(FixedPlaces):
    """Another edition of the geo database: every country is another one, and unknown ones are known."""

    def country(self, address: str) -> str | None:
        """The country of an address."""
        return {"DE": "FR", "FR": None, None: "AT"}.get(super().country(address), "DE")

    def place(self, address: str) -> Place:
        """The place of an address."""
        return Place(self.country(address))


class Nowhere(FixedPlaces):
    """No geo database."""

    available = False

    def country(self, address: str) -> str | None:
        """Unknown."""
        return None


EDITIONS: dict[str, type[FixedPlaces]] = {"fixed": FixedPlaces, "elsewhere": Elsewhere, "nowhere": Nowhere}


class ReadAnew(FixedPlaces):
    """One of which another edition can be read, as the worker's can: it stays the same object."""

    def __init__(self, name: str = "fixed") -> None:
        self.read(name)

    def read(self, name: str) -> None:
        """Be this edition from now on."""
        self._edition = EDITIONS[name]()
        self.available = self._edition.available

    def country(self, address: str) -> str | None:
        """The country of an address."""
        return self._edition.country(address)

    def place(self, address: str) -> Place:
        """The place of an address."""
        return self._edition.place(address)


class Twins:
    """The two engines. `taken` counts logins by whether the kernel did them."""

    def __init__(self, lateness_ms: int, *, default_domain: str = DEFAULT_DOMAIN) -> None:
        usual = UsualLogins(CODEC, partitions=PARTITIONS, lateness_ms=lateness_ms, largest=LARGEST, seed=7)
        common: dict[str, Any] = {
            "codec": CODEC,
            "lateness_ms": lateness_ms,
            "default_domain": default_domain,
            "route": partial(partition_for, partitions=PARTITIONS),
            "largest": LARGEST,
        }
        self._places = ReadAnew()
        self.fast = Engine(**common, places=self._places, kernel=usual)
        self.plain = Engine(**common, places=self._places)
        self._lateness_ms = lateness_ms
        self.taken: Counter[bool] = Counter()
        self.odd_prefixes = False
        """Whether some policy had a prefix that is no multiple of 8: the plain hot path leaves such networks to a full judgement."""

    def apply(self, step: Step) -> None:
        """A record of a table, or another geo database."""
        if step.topic == PLACES:
            if step.value and step.value["reopened"]:
                self._places = ReadAnew()
            self._places.read(step.key)
            for engine in (self.fast, self.plain):
                engine.use_places(self._places)
            return
        value = step.value or {}
        self.odd_prefixes |= any((value.get(name) or 0) % 8 for name in ("ipv4_prefix", "ipv6_prefix"))
        raw = None if step.value is None else orjson.dumps(step.value)
        told = []
        for engine in (self.fast, self.plain):
            try:
                engine.apply_table(step.topic, step.key.encode(), raw)
                told.append("")
            except Refused as refused:
                told.append(refused.reason)
        assert told[0] == told[1]

    def read(self, batch: Batch) -> None:
        """Let both read a batch, and compare everything."""
        for topic, partition, records in batch:
            if topic == LOGINS.name:
                self._read_fast(partition, Fetched.of(records))
            else:
                for record in records:
                    self.fast.process(topic, partition, *record)
            for record in records:
                self.plain.process(topic, partition, *record)
        self._compare()

    def _read_fast(self, partition: int, records: Fetched) -> None:
        """As the worker's agent does."""
        at, end = 0, len(records)
        while at < end:
            first, at = at, self.fast.usual_logins(partition, records, at, end)
            self.taken[True] += at - first
            if at == end:
                break
            self.taken[False] += 1
            self.fast.process(LOGINS.name, partition, *records[at])
            at += 1

    def _compare(self) -> None:
        fast, plain = self.fast.take(), self.plain.take()
        assert fast.outputs == plain.outputs
        assert fast.forwards == plain.forwards
        assert fast.counts == plain.counts
        assert fast.decisions == plain.decisions
        assert fast.touched.keys() == plain.touched.keys()
        for partition, touched in plain.touched.items():
            written = list(fast.touched[partition].states())
            assert len({name for name, _ in written}) == len(written), "each account is written once"
            self._compare_states(dict(written), dict(touched.states()))
        held = [
            {partition: dict(accounts.items()) for partition, accounts in engine.accounts.items() if len(accounts)}
            for engine in (self.fast, self.plain)
        ]
        assert held[0].keys() == held[1].keys()
        for partition, states in held[1].items():
            fast_states = {account.encode(): packed for account, packed in held[0][partition].items()}
            self._compare_states(fast_states, {account.encode(): packed for account, packed in states.items()})

    def _compare_states(self, fast: dict[bytes, bytes | None], plain: dict[bytes, bytes | None]) -> None:
        if not self.odd_prefixes:
            assert fast == plain
            return
        assert fast.keys() == plain.keys()
        for account, packed in plain.items():
            mine = fast[account]
            if mine != packed:
                assert mine is not None
                assert packed is not None
                assert self._tidied(mine) == self._tidied(packed)

    def _tidied(self, packed: bytes) -> AccountState:
        state = unpack(packed)
        return tidied(state, state.window * MINUTE_MS, self._lateness_ms)


def varied(choose: Choose, steps: Sequence[Step]) -> Iterator[Step]:
    """
    A log of the model with what only an engine has to do with: other geo databases, forgetting, rare names and addresses.

    Rules of several accounts and domains come and go between the logins, those of the model only for some logs. In two of three logs the policies allow more, so that not every other login is one too many.
    """
    more = choose((0, 2, 8))
    for step in steps:
        value = step.value
        if value is not None and value.get("allowed_ips"):
            value = {**value, "allowed_ips": value["allowed_ips"] + more}
        if value is not None and value.get("allowed_countries"):
            value = {**value, "allowed_countries": value["allowed_countries"] + more}
        if step.topic == LOGINS.name and value is not None:
            if choose((False,) * 9 + (True,)):
                value = {**value, "ip": choose(RARE)}
            if choose((False,) * 15 + (True,)):
                account = choose(RARE_ACCOUNTS)
                yield step._replace(value={**value, "account": account}, key=choose((account, step.key)))
                continue
        if step.topic == "account-commands" and value is not None and value["action"] == "reset":
            value = {**value, "forget": choose((True, False, False))}
        if choose((False,) * 30 + (True,)):
            yield Step(PLACES, step.now_ms, {"reopened": choose((True, False))}, choose(tuple(EDITIONS)))
        if choose((False,) * 15 + (True,)):
            yield _rule(choose, step.now_ms)
        yield step._replace(value=value)


def _rule(choose: Choose, now_ms: int) -> Step:
    """A policy or safe network of some account or domain, or its end."""
    scope = choose(OTHER_SCOPES)
    value = {"scope": scope, "actor": "test", "time": now_ms}
    if choose((True, True, False)):
        limits = {"allowed_ips": choose((1, 4, 9)), "ignored_countries": choose((None, None, ["FR"]))}
        return Step("policies", now_ms, choose(({**value, **limits}, None)), scope)
    network = choose(("192.0.2.0/24", "198.51.100.0/25", "2001:db8:de:1::/64"))
    value |= {"network": network, "description": "office", "expires": choose((None, now_ms + 2 * MINUTE_MS))}
    return Step("safe-networks", now_ms, choose((value, None)), f"{scope} {network}")


class Cutter:
    """Makes batches of a log: cut anywhere, some records twice, some under another key or in another form."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._offsets: dict[tuple[str, int], Iterator[int]] = {}
        self._waiting: dict[tuple[str, int], list[Record]] = {}
        self._before: dict[tuple[str, int], list[Record]] = {}

    def __call__(self, twins: Twins, steps: Sequence[Step]) -> None:
        """Let the twins read them."""
        for step in steps:
            if step.topic in TABLES or step.topic == PLACES:
                self._end(twins)
                twins.apply(step)
                continue
            self._put(step)
            if self._choose((False, False, False, False, True)):
                self._end(twins)
        self._end(twins)

    def _put(self, step: Step) -> None:
        choose = self._choose
        assert step.value is not None
        key: bytes | None = step.key.encode()
        partition = partition_for(step.key.encode(), PARTITIONS)
        if choose((False,) * 19 + (True,)):
            key = choose((None, b"", b"other@example.org", step.value["account"].encode()))
            partition = choose(range(PARTITIONS))
        headers = choose(((),) * 9 + (((FORWARDED, b"1"),),))
        place = step.topic, partition
        offset = next(self._offsets.setdefault(place, count(choose((0, 5)))))
        self._waiting.setdefault(place, []).append(Record(offset, step.now_ms, key, self._raw(step), headers))

    def _raw(self, step: Step) -> bytes:
        value = step.value
        if step.topic != LOGINS.name or self._choose((False,) * 7 + (True,)):
            return orjson.dumps(value)
        return CODEC.encode("Login", {**dict.fromkeys(OPTIONAL), **(value or {})})

    def _end(self, twins: Twins) -> None:
        if not self._waiting:
            return
        for place, records in self._before.items():
            if place in self._waiting and self._choose((False,) * 9 + (True,)):
                self._waiting[place] = records + self._waiting[place]
        self._before, self._waiting = self._waiting, {}
        twins.read([(topic, partition, records) for (topic, partition), records in self._before.items()])


def compare(seed: int) -> Counter[bool]:
    """Compare the twins over the log of a seed; how many logins the kernel did. Raises AssertionError."""
    choose = random.Random(f"cuts {seed}").choice
    kind, steps = log(seed)
    twins = Twins(kind.lateness * MINUTE_MS, default_domain=choose((DEFAULT_DOMAIN, DEFAULT_DOMAIN, "")))
    Cutter(choose)(twins, list(varied(choose, steps)))
    return twins.taken


def main() -> int:
    """Compare many logs; ends at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many logs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    taken: Counter[bool] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        try:
            taken += compare(seed)
        except AssertionError as error:
            print(f"seed {seed}: {error!r}")
            raise
    print(f"{options.seeds} logs, {taken[True]} of {taken.total()} logins done by the kernel: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
