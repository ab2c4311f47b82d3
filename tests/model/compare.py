"""
Compare the engine with the model over random logs: `python -m tests.model.compare --seeds 20000`.

Each seed makes one log. The first difference of a log is printed with the records that lead to it, made as few as
possible by leaving records out.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from streams.core.refusal import Refused
from streams.engine.engine import Engine, Kernel
from streams.records.codec import Codec
from tests.model.account import MOST_NETWORKS
from tests.model.generators import Flavour, Step, flavour, move, opening
from tests.model.logs import DEFAULT_DOMAIN, steps
from tests.model.model import TABLE_TOPICS, Model
from tests.model.places import FixedPlaces
from tests.model.values import MINUTE_MS

RECORDS = {
    "incidents": "Incident",
    "blocks": "Block",
    "notifications": "Notification",
    "account-views": "AccountView",
    "dead-letters": "DeadLetter",
}
OPTIONAL = ("session", "server", "client", "failure")
WORDS = {"reason"}
"""Fields whose text is made for people."""
Outputs = list[tuple[str, dict[str, Any]]]


class Machine:
    """The engine behind the interface of the model; `kernel` does the usual logins."""

    def __init__(self, lateness_ms: int, kernel: Kernel | None = None) -> None:
        self.codec = Codec()
        self.engine = Engine(
            codec=self.codec,
            places=FixedPlaces(),
            lateness_ms=lateness_ms,
            default_domain=DEFAULT_DOMAIN,
            kernel=kernel,
        )
        self._has_kernel = kernel is not None
        self.offset = 0
        self.counts: dict[tuple[str, ...], int] = {}
        """What was counted for the metrics at the record read last."""

    def read(self, step: Step) -> Outputs:
        """One input record; what is written because of it, as decoded records."""
        raw = self._raw(step)
        self.offset += 1
        self.counts = {}
        if step.topic in TABLE_TOPICS:
            try:
                self.engine.apply_table(step.topic, step.key.encode(), raw)
            except Refused as refused:
                return [("dead-letters", {"reason": refused.reason})]
            return []
        if step.topic == "logins" and self.offset % 3 == 0:
            self._let_another_go_first(step)
        if not self._is_usual(step, raw):
            self.engine.process(step.topic, 0, self.offset, step.now_ms, step.key.encode(), raw)
        batch = self.engine.take()
        outputs, self.counts = batch.outputs, batch.counts
        assert all(output.timestamp_ms == step.now_ms for output in outputs), "an output has its login's now"
        return [(output.topic, self.codec.decode(RECORDS[output.topic], output.value)) for output in outputs]

    def _is_usual(self, step: Step, raw: bytes | None) -> bool:
        """Whether it is a login that the kernel has done."""
        if step.topic != "logins" or not self._has_kernel:
            return False
        from streams.worker.fetched import Fetched, Record  # with a compiler, that most tests need not load

        record = Record(self.offset, step.now_ms, step.key.encode(), raw, ())
        return self.engine.usual_logins(0, Fetched.of([record]), 0, 1) == 1

    def _let_another_go_first(self, step: Step) -> None:
        """The same login of a neighbour: what is remembered of an address must not depend on who came from there."""
        assert step.value is not None
        neighbour = f"neighbour@{step.key.rpartition('@')[2]}"
        raw = orjson.dumps({**step.value, "account": neighbour})
        self.engine.process(step.topic, 0, self.offset, step.now_ms, neighbour.encode(), raw)
        self.engine.take()

    def _raw(self, step: Step) -> bytes | None:
        """The bytes of a record: JSON, and every other login in Avro."""
        if step.value is None:
            return None
        if step.topic == "logins" and self.offset % 2:
            return self.codec.encode("Login", {**dict.fromkeys(OPTIONAL), **step.value})
        return orjson.dumps(step.value)


def log(seed: int) -> tuple[Flavour, list[Step]]:
    """The random log of a seed."""
    choose = random.Random(seed).choice
    kind = flavour(choose)
    moves = [opening(choose, kind)]
    crowded = len(kind.addresses) > MOST_NETWORKS
    moves += [move(choose, kind) for _ in range(choose((100, 150, 200) if crowded else (10, 30, 60)))]
    return kind, steps(kind, moves)


def first_difference(
    lateness: int, records: Sequence[Step], make_kernel: Callable[[int], Kernel] | None = None
) -> str | None:
    """
    Where the engine and the model first write something else, or None; `lateness` in minutes.

    `make_kernel` makes what does the usual logins, of the lateness in ms.
    """
    lateness_ms = lateness * MINUTE_MS
    model = Model(lateness_ms, DEFAULT_DOMAIN, FixedPlaces().country)
    machine = Machine(lateness_ms, None if make_kernel is None else make_kernel(lateness_ms))
    for number, step in enumerate(records):
        expected = model.read(step.topic, step.now_ms, step.value, step.key)
        try:
            actual = machine.read(step)
        except Exception as error:  # noqa: BLE001 - any fault of the engine is a difference, and is made small too
            return f"at record {number}: the engine raised {error!r}"
        if found := difference(expected, actual):
            return f"at record {number}: {found}"
    return None


def difference(expected: Outputs, actual: Outputs) -> str | None:
    """The first field known to the model in which outputs differ, in words; None if there is none."""
    if [topic for topic, _ in expected] != [topic for topic, _ in actual]:
        return f"\n  model writes  {expected}\n  engine writes {actual}"
    for (topic, mine), (_, theirs) in zip(expected, actual, strict=True):
        for name, value in mine.items():
            if name not in WORDS and not _same(value, theirs.get(name, "nothing")):
                return f"{topic} {name}\n  model  {value}\n  engine {theirs.get(name, 'nothing')}"
    return None


def _same(mine: Any, theirs: Any) -> bool:
    """Are the fields that the model knows the same?"""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return all(name in theirs and _same(value, theirs[name]) for name, value in mine.items())
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))
    return mine == theirs


def compiled_kernel(lateness_ms: int) -> Kernel:
    """The worker's."""
    from streams.engine.compiled.usual import UsualLogins

    return UsualLogins(Codec(), partitions=1, lateness_ms=lateness_ms, largest=1 << 16, seed=1)


def fewest(lateness: int, records: list[Step], make_kernel: Callable[[int], Kernel] | None = None) -> list[Step]:
    """The log without the records that its difference does not need."""
    size = max(1, len(records) // 2)
    while size:
        at = 0
        while at < len(records):
            fewer = records[:at] + records[at + size :]
            if first_difference(lateness, fewer, make_kernel):
                records = fewer
            else:
                at += size
        size //= 2
    return records


def main() -> int:
    """Compare, print the differences found, and end with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many logs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--most", type=int, default=1, help="stop after this many differences")
    parser.add_argument("--compiled", action="store_true", help="with the worker's kernel for the usual logins")
    options = parser.parse_args()
    make_kernel = compiled_kernel if options.compiled else None
    found = 0
    for seed in range(options.first, options.first + options.seeds):
        kind, records = log(seed)
        if not first_difference(kind.lateness, records, make_kernel):
            continue
        found += 1
        few = fewest(kind.lateness, records, make_kernel)
        print(f"seed {seed}, lateness {kind.lateness} minutes, {len(few)} of {len(records)} records:")
        for step in few:
            print(" ", step.topic, step.now_ms, step.key, orjson.dumps(step.value).decode())
        print(first_difference(kind.lateness, few, make_kernel))
        if found >= options.most:
            break
    print(f"{options.seeds} logs from seed {options.first}: {found} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
