"""
Sends logins at fixed times, whatever becomes of earlier ones, at a tenth of what the worker needs for them.

The logins are made before the clock runs; what is left to do for one is its time of day and the copy into a batch of Kafka,
both by compiled code (`worker/batch_writer`). A producer of records one by one needs more of a core than the worker, so it
would measure itself. As librdkafka with its `linger.ms` of 1, it sends once a millisecond what is due, a batch for each
partition; it does not wait for Kafka's answers, which say when a batch was appended.
"""

import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from numpy import typing as npt

from benchmarks.harness.apart import Apart
from benchmarks.harness.states import address, name
from streams.bus.murmur2 import partition_for
from streams.engine.compiled.jit import compiled
from streams.engine.compiled.numbers import Bytes
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import LOGINS
from streams.worker.batch_writer import COLUMNS, PARTITION, VALUE, Origin, Table, by_partition, write_batch

VICTIMS_PER_S = 100
ADDRESSES = 6
BEFORE_S = 0.5
"""How long before the last one the other addresses of a victim come in."""
NETWORKS = 3
TICK_S = 0.001
MOST_ROWS = 16_000
"""Of one request: a batch of a partition stays below a megabyte."""
ANSWER_S = 60.0
TIME_AT = 10
"""Where the time of a login is in its record: six bytes of varint."""
TIME_BYTES = 6
NO_PRODUCER = Origin(-1, -1, -1)
Moments = dict[str, tuple[float, float]]
"""When each victim's last login was due, and when it was appended; seconds since 1970."""


@dataclass(frozen=True)
class Load:
    """What is sent: `rate` logins per second for `seconds`, victims among them; `label` tells runs apart."""

    rate: float
    seconds: float
    accounts: int
    label: str
    seed: int = 1


class Traffic(NamedTuple):
    """Logins in the order in which they are due: seconds from the start, rows of `table`; and which are a victim's last."""

    data: Bytes
    table: Table
    due: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    timed: dict[int, str]
    """Place in `due` and `rows` to victim."""


class Pool:
    """Every account's login from each of its networks, made once."""

    def __init__(self, accounts: int, partitions: int) -> None:
        self._partitions = partitions
        self._encode = Codec().encode
        records = ((name(number).decode(), address(number, n)) for number in range(accounts) for n in range(NETWORKS))
        self._data, self._table = self._made(records)

    def traffic(self, load: Load) -> Traffic:
        """What a load sends."""
        chance = np.random.default_rng([load.seed, *load.label.encode()])
        count = int(load.rate * load.seconds)
        due, rows = np.arange(count) / load.rate, chance.integers(0, len(self._table), count)
        victims = list(_victims(load))
        data, table = self._made((victim, ip) for _, victim, ip, _ in victims)
        table[:, PARTITION + 1 :] += len(self._data)
        due = np.concatenate((due, [at for at, *_ in victims]))
        rows = np.concatenate((rows, len(self._table) + np.arange(len(victims)))).astype(np.int64)
        order = np.argsort(due, kind="stable")
        lasts = {count + number: victim for number, (_, victim, _, last) in enumerate(victims) if last}
        places = np.flatnonzero(np.isin(order, list(lasts)))
        return Traffic(
            np.concatenate((self._data, data)),
            np.concatenate((self._table, table)),
            due[order],
            rows[order],
            {int(place): lasts[int(order[place])] for place in places},
        )

    def everybody(self) -> Traffic:
        """Each account from each of its networks, once, at once."""
        rows = np.arange(len(self._table))
        return Traffic(self._data.copy(), self._table, np.zeros(len(rows)), rows, {})

    def _made(self, records: Iterator[tuple[str, str]]) -> tuple[Bytes, Table]:
        empty = dict.fromkeys(("id", "session", "server", "client", "failure"))
        made = []
        for account, ip in records:
            login = {
                **empty,
                "time": 1_767_571_200_000,
                "account": account,
                "ip": ip,
                "success": True,
                "service": "imap",
            }
            made.append((account.encode(), self._encode("Login", login)))
        return _laid_out(made, self._partitions)


class Sender(Apart):
    """A process that sends one load after another. Its pool is ready when it is made."""

    def __init__(self, settings: Settings, accounts: int) -> None:
        super().__init__(_serve, settings, accounts)

    def start(self, load: Load | None) -> float:
        """Begin to send (None: `Pool.everybody`); the moment from which the load is due, in seconds since 1970."""
        self._ours.send(load)
        begins_s: float = self._ours.recv()
        return begins_s

    def result(self) -> tuple[Moments, float, float]:
        """Its victims' moments; by how many seconds it was late itself, at worst; its CPU seconds for this load."""
        found = self._ours.recv()
        if isinstance(found, BaseException):
            raise found
        return found  # type: ignore[no-any-return]


def traffic_of(records: Sequence[tuple[bytes, bytes]], partitions: int) -> Traffic:
    """These logins in their order, all due at once; nobody is timed."""
    return Traffic(*_laid_out(records, partitions), np.zeros(len(records)), np.arange(len(records)), {})


class Producer:
    """A connection to the one broker there is; requests go out without waiting for the answers to earlier ones."""

    def __init__(self, settings: Settings) -> None:
        host, _, port = settings.bootstrap_servers.rpartition(":")
        self._partitions = settings.partitions
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out = np.empty(MOST_ROWS * 1024, np.uint8)
        self._in = bytearray()
        self._open: deque[tuple[list[int], dict[int, int]]] = deque()
        self.appended: dict[int, float] = {}
        """By place in the traffic, of those that are timed: the broker's time in seconds."""

    def send(self, traffic: Traffic, at: int, end: int, timed: list[int]) -> None:
        """Logins from `at` to `end` of the traffic, as of now; `timed` are the places of the timed ones in there."""
        rows, now_ms = traffic.rows[at:end], int(time.time() * 1000)
        _set_time(traffic.data, traffic.table, rows, np.frombuffer(_six_bytes(now_ms), np.uint8))
        part = np.ascontiguousarray(traffic.table[rows])
        order, starts, _ = by_partition(part, len(traffic.data), self._partitions)
        topic = LOGINS.name.encode()
        position, batches = 64 + len(topic), 0
        begin = position
        for partition in range(self._partitions):
            some = order[starts[partition] : starts[partition + 1]]
            if not len(some):
                continue
            first = position + 8
            last, count = write_batch(traffic.data, part, some, self._out, first, len(self._out), now_ms, NO_PRODUCER)
            assert count == len(some)
            struct.pack_into(">ii", self._out.data, position, partition, last - first)
            position, batches = last, batches + 1
        head = struct.pack(f">hhihhhiih{len(topic)}si", 0, 7, 0, -1, -1, -1, 30_000, 1, len(topic), topic, batches)
        size = struct.pack(">i", len(head) + position - begin)
        self._open.append((timed, {place: int(traffic.table[traffic.rows[place], PARTITION]) for place in timed}))
        self._socket.sendall(size + head + self._out[begin:position].tobytes())

    def take(self, wait_s: float = 0.0) -> None:
        """Take in the answers that have come. Raises RuntimeError for one that refuses."""
        self._socket.settimeout(wait_s)
        try:
            while more := self._socket.recv(1 << 16):
                self._in += more
                self._socket.settimeout(0)
        except (BlockingIOError, TimeoutError):
            pass
        self._socket.settimeout(ANSWER_S)
        while len(self._in) >= 4 and len(self._in) >= 4 + (length := int.from_bytes(self._in[:4], "big")):
            self._answered(bytes(self._in[4 : 4 + length]))
            del self._in[: 4 + length]

    def flush(self) -> None:
        """Wait for all answers. Raises TimeoutError."""
        deadline = time.monotonic() + ANSWER_S
        while self._open:
            self.take(0.05)
            if time.monotonic() > deadline:
                raise TimeoutError("Kafka has not answered the sender")

    def _answered(self, answer: bytes) -> None:
        """Version 7: correlation, topics with partitions: number, error, offset, time of append, first offset."""
        timed, partitions = self._open.popleft()
        at = 4 + 4 + 2 + len(LOGINS.name)
        (count,), times = struct.unpack_from(">i", answer, at), {}
        for index in range(count):
            partition, error, _, appended_ms, _ = struct.unpack_from(">ihqqq", answer, at + 4 + index * 30)
            if error:
                raise RuntimeError(f"Kafka refused logins with error {error}")
            times[partition] = appended_ms / 1000
        for place in timed:
            self.appended[place] = times[partitions[place]]


def _laid_out(records: Sequence[tuple[bytes, bytes]], partitions: int) -> tuple[Bytes, Table]:
    """Keys and values, one behind the other, and a row for each record."""
    data, table = bytearray(), []
    for key, value in records:
        at, middle = len(data), len(data) + len(key)
        data += key + value
        table.append((partition_for(key, partitions), at, middle, middle, len(data)))
    return np.frombuffer(data, np.uint8).copy(), np.array(table, np.int64).reshape(-1, COLUMNS)


@compiled
def _set_time(data: Bytes, table: Table, rows: npt.NDArray[np.int64], six: Bytes) -> None:
    for row in rows:
        at = table[row, VALUE] + TIME_AT
        for i in range(TIME_BYTES):
            data[at + i] = six[i]


def _serve(pipe: Connection, settings: Settings, accounts: int) -> None:
    pool = Pool(accounts, settings.partitions)
    pipe.send("ready")
    while True:
        load = pipe.recv()
        try:
            traffic = pool.everybody() if load is None else pool.traffic(load)
            pipe.send(send(settings, traffic, pipe.send))
        except Exception as error:  # noqa: BLE001 - raised where the result is waited for
            pipe.send(error)


def send(
    settings: Settings, traffic: Traffic, begins: Callable[[float], None] = lambda _: None
) -> tuple[Moments, float, float]:
    """Send it all from a moment on that `begins` is told, in seconds since 1970; returns what `Sender.result` does."""
    producer, due, timed = Producer(settings), traffic.due, deque(sorted(traffic.timed))
    start, at, behind = time.time() + 0.2, 0, 0.0
    begins(start)
    cpu = time.process_time()
    while at < len(due):
        now = time.time() - start
        end = min(int(np.searchsorted(due, now, "right")), at + MOST_ROWS)
        if end > at:
            behind = max(behind, now - float(due[at]))
            inside = []
            while timed and timed[0] < end:
                inside.append(timed.popleft())
            producer.send(traffic, at, end, inside)
            at = end
        producer.take()
        time.sleep(TICK_S)
    producer.flush()
    moments = {victim: (start + float(due[place]), producer.appended[place]) for place, victim in traffic.timed.items()}
    return moments, behind, time.process_time() - cpu


def _victims(load: Load) -> Iterator[tuple[float, str, str, bool]]:
    """When a login of a victim is due, who that is, its address, and whether it is the last one."""
    chance, first = random.Random(f"{load.seed}/{load.label}"), 1.0 + BEFORE_S
    for index in range(int((load.seconds - first) * VICTIMS_PER_S)):
        victim, due = f"{load.label}-{index:06d}@victims.example", first + index / VICTIMS_PER_S
        early = sorted(due - BEFORE_S * chance.random() - 0.01 for _ in range(ADDRESSES - 1))
        for number, moment in enumerate([*early, due]):
            yield moment, victim, f"198.51.100.{number + 1}", number == ADDRESSES - 1


def _six_bytes(time_ms: int) -> bytes:
    """A time of our years as Avro writes it: zigzag, seven bits a byte."""
    value = time_ms << 1
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21 & 0x7F | 0x80,
                  value >> 28 & 0x7F | 0x80, value >> 35])  # fmt: skip
