"""The order of a batch, and what happens when something in it goes wrong."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.errors import DeliveryError, RegistryUnavailableError
from streams.metrics import DECISION_SECONDS, Metrics
from streams.worker import agent as module
from streams.worker.agent import BatchAgent
from streams.worker.batch_writer import NULL, Table
from streams.worker.delivery import Sent, Stage
from streams.worker.fetched import Fetched, Record
from streams.worker.lease import Lease, LeaseLostError
from streams.worker.machine import Bytes
from streams.worker.measures import Measures
from streams.worker.progress import Progress
from streams.worker.rounds import Round
from tests.worker.stand_in import StandIn


class Kafka:
    """Deliveries that are noted, or fail with what is given."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.error: BaseException | None = None

    async def deliver(self, stage: Stage, epoch: int) -> None:
        if self.error is not None:
            raise self.error
        self.done.append([Sent(*record).topic for record in stage])

    def delivered(self, done: Round) -> None:
        self.done.append({tp.partition: records[-1].offset for tp, records in done})


class Changelog:
    """Deliveries of states that are noted, with those of `kafka` in their order."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.records: list[tuple[int, bytes, bytes | None]] = []

    async def deliver(self, data: Bytes, records: Table, epoch: int) -> None:
        raw = data.tobytes()
        self.records = [
            (partition, raw[key:key_end], None if end == NULL else raw[value:end])
            for partition, key, key_end, value, end in records.tolist()
        ]
        self.kafka.done.append(["changelog"] * len(self.records))


class Bench:
    """An agent, everything around it, and what it told."""

    def __init__(self, engine: Any) -> None:
        self.kafka = Kafka()
        self.changelog = Changelog(self.kafka)
        self.engine = engine
        self.lease = Lease(30, 60)
        self.lease.joined()
        self.told: list[Any] = []
        self.metrics = Metrics("worker")
        self.agent = BatchAgent(
            engine,
            self.kafka,  # type: ignore[arg-type]
            self.lease,
            Measures(self.metrics, Progress()),
            self.changelog,
            before_batch=lambda: self.told.append("tables"),
            on_abandoned=lambda: self.told.append("abandoned"),
            on_failure=self.told.append,
        )

    async def run(self, *rounds: Round) -> None:
        """As Faust runs it."""

        class Stream:
            app = SimpleNamespace(consumer=self.kafka)

            async def events(self) -> Any:
                for each in rounds:
                    yield SimpleNamespace(message=SimpleNamespace(value=each))

        await self.agent.run(Stream())


def records(offset: int, *raws: bytes, key: bytes = b"a@example.org") -> Fetched:
    return Fetched.of(Record(offset + number, 1000, key, raw, ()) for number, raw in enumerate(raws))


def batch(offset: int, *raws: bytes) -> Round:
    """A round with one partition."""
    one = Round(1)
    one.add(TP("logins", 0), records(offset, *raws))
    return one


async def test_outputs_come_before_the_changelog_and_both_before_the_offset() -> None:
    """In the other order a crash would lose outputs, or apply a login twice."""
    bench = Bench(StandIn())

    await bench.run(batch(0, b"x", b"y"))

    assert bench.told == ["tables"]
    assert bench.kafka.done == [["incidents", "incidents"], ["changelog"], {0: 1}]
    assert "loginwatch_decision_seconds_count 2.0" in bench.metrics.page().decode()
    assert DECISION_SECONDS.processes == ("worker",)


async def test_the_partitions_of_a_round_share_its_two_acknowledgements() -> None:
    """One stage of outputs and one of states, whatever came from where; an account's state is written once."""
    bench = Bench(StandIn())
    one = Round(1)
    one.add(TP("logins", 0), records(10, b"x", b"y"))
    one.add(TP("logins", 3), records(20, b"z", key=b"b@example.org"))
    one.add(TP("submissions", 0), records(5, b"message"))

    await bench.run(one)

    assert bench.kafka.done[:2] == [["incidents"] * 4, ["changelog"] * 2]
    assert bench.changelog.records == [
        (0, b"a@example.org", bench.engine.accounts[0]["a@example.org"]),
        (3, b"b@example.org", bench.engine.accounts[3]["b@example.org"]),
    ], "the newest of the two"
    assert one.taken.is_set()


async def test_a_round_that_was_taken_is_closed() -> None:
    """What the consumer fetches while the agent works belongs to the next round."""
    one = batch(0, b"x")
    await Bench(StandIn()).run(one)

    with pytest.raises(ValueError, match="belongs to the next"):
        one.add(TP("logins", 1), records(0, b"y"))


async def test_after_a_failure_no_later_batch_is_delivered() -> None:
    """Faust goes on with the next event after an exception; the worker must not."""
    bench = Bench(StandIn())
    error = bench.kafka.error = DeliveryError("refused")

    await bench.run(batch(0, b"x"))
    bench.kafka.error = None
    await bench.run(batch(1, b"y"))

    assert bench.told == ["tables", error]
    assert bench.kafka.done == []


async def test_a_defect_in_the_engine_stops_the_worker() -> None:
    """Whatever it is: nothing leaves the loop, and nothing is committed past it."""

    class Broken(StandIn):
        def process(self, *_: Any, **__: Any) -> None:
            raise ZeroDivisionError

    bench = Bench(Broken())

    await bench.run(batch(0, b"x"), batch(1, b"y"))

    assert [type(told) for told in bench.told] == [str, ZeroDivisionError]
    assert bench.kafka.done == []


async def test_a_batch_without_a_membership_is_given_up_with_those_behind_it() -> None:
    """They are another worker's now; the next membership begins anew."""
    bench = Bench(StandIn())
    bench.kafka.error = LeaseLostError()

    await bench.run(batch(0, b"x"), batch(1, b"y"))
    assert bench.told == ["tables", "abandoned"]

    bench.kafka.error = None
    bench.lease.joined()
    await bench.run(batch(0, b"x"))

    assert bench.kafka.done[-1] == {0: 0}


class WithUsual(StandIn):
    """Does logins that begin with `u` as usual ones, up to one that does not; `calls` are what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def usual_logins(self, partition: int, records: Any, first: int, end: int) -> int:
        self.calls.append((first, end))
        while first < end and records[first].value.startswith(b"u"):
            self.process("logins", partition, *records[first])
            first += 1
        return first


async def test_each_login_is_decided_once_in_its_order_whoever_decides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual ones by compiled code, each other one between them by the engine; other topics have no usual records."""
    monkeypatch.setattr(module, "YIELD_EVERY", 4)
    raws = [b"u1", b"u2", b"x3", b"x4", b"u5", b"u6", b"u7", b"u8", b"x9"]
    bench, plain = Bench(WithUsual()), Bench(StandIn())
    one, other = batch(0, *raws), batch(0, *raws)
    one.add(TP("submissions", 0), records(0, b"u"))
    other.add(TP("submissions", 0), records(0, b"u"))

    await bench.run(one)
    await plain.run(other)

    assert bench.changelog.records == plain.changelog.records
    assert bench.engine.calls == [(0, 4), (3, 4), (4, 8), (8, 9)]


class WithoutRegistry(StandIn):
    """Records that begin with 0 need a registry that answers after some questions."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.questions = questions

    def process(self, topic: str, partition: int, offset: int, now_ms: int, *rest: Any) -> None:
        if rest[1].startswith(b"\0") and self.questions > 0:
            self.questions -= 1
            raise RegistryUnavailableError("connection refused")
        super().process(topic, partition, offset, now_ms, *rest)


async def test_a_registry_that_comes_back_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record waits, and is then read like any other."""
    monkeypatch.setattr(module, "REGISTRY_PAUSE_S", 0.001)
    bench = Bench(WithoutRegistry(questions=3))

    await bench.run(batch(0, b"x", b"\0y", b"z"))

    assert bench.kafka.done == [["incidents"] * 3, ["changelog"], {0: 2}]


async def test_a_registry_that_stays_away_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only it could explain goes to dead letters after a while; the rest goes on."""
    monkeypatch.setattr(module, "REGISTRY_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "REGISTRY_WAIT_S", 0.01)
    bench = Bench(WithoutRegistry(questions=10**9))

    await bench.run(batch(0, b"x", b"\0y", b"z"))

    assert bench.kafka.done == [["incidents", "dead-letters", "incidents"], ["changelog"], {0: 2}]
