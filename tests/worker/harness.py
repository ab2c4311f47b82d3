"""Workers as processes on a real Kafka, and an independent look at what they left on the topics."""

import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from streams.bus.clients import client_config, new_admin, new_consumer, new_producer
from streams.bus.partitions import reader_config
from streams.demo.processes import environment
from streams.settings import Settings
from streams.topology import WORKER_INPUTS, changelog
from tests.eventually import eventually
from tests.ports import Port
from tests.worker.forked import Forked
from tests.worker.stand_in import STATE, StandIn, StandInForm

READY_S = 60
DONE_S = 90
STOP_S = 25
READ_S = 90
DEPLOYED = ("streams.cli", "worker")
INPUTS = [topic.name for topic in WORKER_INPUTS]


class Seen(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class WorkerProcess:
    """One worker process: around the stand-in engine, or what `command` (a module and its arguments) makes of it."""

    def __init__(
        self,
        settings: Settings,
        worker_id: str,
        *,
        crash_at: str = "",
        command: Sequence[str] = (),
        **changes: object,
    ) -> None:
        self._port = Port()
        base = {"worker_session_timeout": 6, "worker_id": worker_id, "worker_poll_records": 200}
        base["worker_health_listen"] = f"127.0.0.1:{self._port.number}"
        self.settings = settings.model_copy(update={**base, **changes})
        self._crash_at = crash_at
        self._command = command
        self._log = tempfile.NamedTemporaryFile(prefix=f"loginwatch-{worker_id}-", suffix=".log")  # noqa: SIM115
        self.process: subprocess.Popen[bytes] | Forked

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self._port.release()
        self._log.close()

    def start(self) -> Self:
        variables = environment(self.settings)
        if self._crash_at:
            variables["LOGINWATCH_CRASH_AT"] = self._crash_at
        path = Path(self._log.name)
        if self._command:
            with path.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", *self._command], env=variables, stdout=log, stderr=log
                )
        else:
            self.process = Forked(variables, path)
        return self

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page of its health server; 0 when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.settings.worker_health_listen}{path}", timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        self.assert_running()
        return self.page("/health/ready")[0] == 200

    def until_ready(self) -> Self:
        eventually(self.ready, READY_S, what="the worker is ready")
        return self

    def assert_running(self) -> None:
        assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log[-4000:]}"

    def until_dead(self) -> int:
        """Its exit code, negative for a signal."""
        try:
            return self.process.wait(DONE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker still runs:\n{self.log[-4000:]}") from None

    def until_killed(self) -> None:
        """Wait for it to die of SIGKILL, and of nothing else."""
        code = self.until_dead()
        assert code == -signal.SIGKILL, f"the worker ended with {code}:\n{self.log[-4000:]}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker does not stop:\n{self.log[-4000:]}") from None

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = [line for line in self.page("/metrics")[1].splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def send(settings: Settings, records: Iterable[tuple[str, bytes | None, bytes | None]], **config: object) -> None:
    """Put (topic, key, value) on the topics, partitioned like everybody does."""
    changes = {"partitioner": "murmur2_random", "linger.ms": 5, "queue.buffering.max.messages": 1_000_000, **config}
    producer = new_producer({**client_config(settings), **changes})
    failed: list[object] = []
    for number, (topic, key, value) in enumerate(records):
        producer.produce(topic, value, key, on_delivery=lambda error, _: failed.append(error) if error else None)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
    assert not failed


def configure(settings: Settings, topic: str, **config: str) -> None:
    """Change a topic's configuration; `_` stands for a dot."""
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    admin = new_admin(settings)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def everything(settings: Settings, *topics: str) -> list[Seen]:
    """All records of these topics, each partition in its order."""
    found = []
    consumer = new_consumer({**reader_config(settings, "look"), "enable.partition.eof": True})
    try:
        known = consumer.list_topics(timeout=10).topics
        waiting = {(topic, partition) for topic in topics for partition in known[topic].partitions}
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in waiting])
        deadline = monotonic() + READ_S
        while waiting:
            assert monotonic() < deadline, f"the end of {waiting} was not reached within {READ_S} s"
            for message in consumer.consume(5000, 0.1):
                if message.error() is not None:
                    waiting.discard((message.topic(), message.partition()))
                    continue
                found.append(
                    Seen(
                        message.topic(),
                        message.partition(),
                        message.offset(),
                        message.timestamp()[1],
                        message.key(),
                        message.value(),
                    )
                )
    finally:
        consumer.close()
    return found


def positions(settings: Settings) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """The committed and the end offset of every input partition."""
    consumer: Consumer = new_consumer(reader_config(settings, settings.app))
    try:
        places = [TopicPartition(topic, partition) for topic in INPUTS for partition in range(settings.partitions)]
        committed = {(at.topic, at.partition): max(0, at.offset) for at in consumer.committed(places, timeout=10)}
        ends = {(at.topic, at.partition): consumer.get_watermark_offsets(at, timeout=10)[1] for at in places}
    finally:
        consumer.close()
    return committed, ends


def until_done(settings: Settings, *workers: WorkerProcess) -> None:
    """Wait until every input record is processed and committed by the workers, which must go on running."""

    def done() -> bool:
        for worker in workers:
            worker.assert_running()
        try:
            committed, ends = positions(settings)
        except KafkaException:
            return False
        return committed == ends

    try:
        eventually(done, DONE_S, what="everything is committed")
    except AssertionError as error:
        logs = "\n".join(worker.log[-3000:] for worker in workers)
        raise AssertionError(f"{error}: {positions(settings)}\n{logs}") from error


def states(settings: Settings, *, recovered: bool = False) -> dict[str, bytes]:
    """
    The account table as its changelog has it: the last record of every key; or as a worker recovers it: the newest one.
    """
    is_newer = StandInForm().is_newer
    found: dict[str, bytes] = {}
    for seen in everything(settings, changelog(settings).name):
        if seen.key is not None and seen.value is not None:
            held = found.get(seen.key.decode())
            if held is None or not recovered or is_newer(seen.value, held):
                found[seen.key.decode()] = seen.value
    return found


class Expected(NamedTuple):
    outputs: set[tuple[str, str | bytes | None, bytes]]
    states: dict[str, bytes]


def expected(settings: Settings) -> Expected:
    """What the stand-in engine says of the input topics, driven in this process without any worker."""
    engine = StandIn()
    outputs = set()
    for seen in everything(settings, "logins"):
        engine.process(seen.topic, seen.partition, seen.offset, seen.timestamp_ms, seen.key, seen.value)
    for output in engine.take().outputs:
        outputs.add((output.topic, output.key, output.value))
    held = {account: packed for accounts in engine.accounts.values() for account, packed in accounts.items()}
    return Expected(outputs, held)


def assert_exact(settings: Settings, *, frozen: bool = False) -> int:
    """
    Nothing lost, nothing applied twice: states equal a plain replay of the log, outputs equal it as a set of bytes.

    A worker that was `frozen` with a request in its hand sends it when it wakes, behind newer states: those count then
    that recovery takes. Returns how many outputs were published more than once.
    """
    want = expected(settings)
    seen = everything(settings, "incidents")

    assert _differences(settings, want.states, recovered=frozen) == {}
    published = {("incidents", record.key.decode(), record.value) for record in seen if record.key and record.value}
    assert {output for output in want.outputs if output[0] == "incidents"} == published
    _assert_in_order(seen)
    return len(seen) - len(published)


def _differences(
    settings: Settings, want: dict[str, bytes], *, recovered: bool
) -> dict[str, tuple[object, list[object]]]:
    """Accounts whose state is not the wanted one: that, and all that the changelog has of them, in order."""
    found = states(settings, recovered=recovered)
    wrong = {account for account in want.keys() | found.keys() if want.get(account) != found.get(account)}
    history: dict[str, list[object]] = defaultdict(list)
    for seen in everything(settings, changelog(settings).name) if wrong else ():
        account = (seen.key or b"").decode()
        if account in wrong:
            history[account].append((seen.partition, seen.offset, seen.value and STATE.unpack(seen.value)[:4]))
    return {account: (account in want and STATE.unpack(want[account])[:4], history[account]) for account in wrong}


def _assert_in_order(seen: list[Seen]) -> None:
    """Within an account, what was published for the first time came in the order of its logins."""
    counts: dict[bytes, int] = defaultdict(int)
    for record in seen:
        assert record.key is not None
        assert record.value is not None
        number = int(record.value.split()[0])
        assert number <= counts[record.key] + 1
        counts[record.key] = max(counts[record.key], number)
