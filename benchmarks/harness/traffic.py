"""
Live traffic at a stated rate, and a reader of `blocks` that says how long each thief stayed inside.

Open loop: logins are due at fixed times, whatever becomes of earlier ones. Most are of established accounts; at a steady
pace the sixth address of a new account comes in, which leads to a block. What is timed is that block: from the append of
the sixth login (the broker's time) until the block is appended, and from when that login was due until a reader has it.
Sender and reader are processes of their own.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

from confluent_kafka import Message, TopicPartition

from benchmarks.harness import kafka
from benchmarks.harness.states import address, name
from streams.bus.clients import client_config, new_consumer, new_producer
from streams.bus.partitions import reader_config
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS, LOGINS

VICTIMS_PER_S = 50
ADDRESSES = 6
BEFORE_S = 0.5
"""How long before the sixth the first five addresses of a victim come in."""
NETWORKS = 3
TICK_S = 0.001
TIME_AT, TIME_END = 10, 16
SPAWN = get_context("spawn")


class Seen(NamedTuple):
    """One victim's block. Times in seconds since 1970; `appended_s` is the broker's, of the login and of the block."""

    victim: str
    due_s: float
    login_appended_s: float
    block_appended_s: float
    read_s: float

    @property
    def in_kafka_ms(self) -> float:
        """From append of the login to append of its block (the broker's clock has milliseconds)."""
        return (self.block_appended_s - self.login_appended_s) * 1000

    @property
    def at_reader_ms(self) -> float:
        """From when the login was due to a reader that has the block."""
        return (self.read_s - self.due_s) * 1000


@dataclass(frozen=True)
class Load:
    """What is sent: `rate` logins per second for `seconds`, victims among them; `label` tells runs apart."""

    rate: float
    seconds: float
    accounts: int
    label: str
    seed: int = 1


class Reader:
    """Reads `blocks` from its end on, in a process of its own, until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._ours, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_read_blocks, args=(theirs, settings), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def stop(self) -> dict[str, tuple[float, float]]:
        """When each account's first block was appended and when it was read."""
        self._ours.send("stop")
        found: dict[str, tuple[float, float]] = self._ours.recv()
        return found


class Sender:
    """Sends a load in a process of its own; `result` waits for its end."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self._ours, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_send, args=(theirs, settings, load), daemon=True)
        self._process.start()
        self.begins_s: float = self._ours.recv()

    def result(self) -> tuple[dict[str, tuple[float, float]], float]:
        """When each victim's sixth login was due and appended; by how much the sender itself was late, at worst."""
        found: tuple[dict[str, tuple[float, float]], float] = self._ours.recv()
        self._process.join()
        return found


def joined(sent: dict[str, tuple[float, float]], read: dict[str, tuple[float, float]]) -> list[Seen]:
    """One line per victim, in the order in which they were due. Raises RuntimeError when a block is missing."""
    missing = sent.keys() - read.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(sent)} victims were not blocked, {min(missing)} for one")
    return sorted((Seen(victim, *times, *read[victim]) for victim, times in sent.items()), key=lambda seen: seen.due_s)


def _read_blocks(pipe: Connection, settings: Settings) -> None:
    consumer = new_consumer({**reader_config(settings, "benchmark-reader"), "fetch.wait.max.ms": 50})
    ends = kafka.ends(settings, BLOCKS.name)
    consumer.assign([TopicPartition(BLOCKS.name, partition, end) for partition, end in ends.items()])
    consumer.poll(0.5)
    pipe.send("ready")
    found: dict[str, tuple[float, float]] = {}
    while not pipe.poll():
        for message in consumer.consume(500, 0.02):
            read_s = time.time()
            key = (message.key() or b"").decode()
            if message.error() is None and key not in found:
                found[key] = (message.timestamp()[1] / 1000, read_s)
    consumer.close()
    pipe.send(found)


def _send(pipe: Connection, settings: Settings, load: Load) -> None:
    records = _prepared(load)
    producer = new_producer(
        {**client_config(settings), "partitioner": "murmur2_random", "acks": "all", "enable.idempotence": True,
         "linger.ms": 1, "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    sent: dict[str, tuple[float, float]] = {}

    def appended(victim: str, due_s: float) -> Callable[[Any, Message], None]:
        def remember(error: Any, message: Message) -> None:
            if error is None:
                sent[victim] = (due_s, message.timestamp()[1] / 1000)

        return remember

    start, behind = time.time() + 0.2, 0.0
    pipe.send(start)
    while records:
        now = time.time() - start
        while records and records[0][0] <= now:
            due, key, head, tail, victim = records.popleft()
            behind = max(behind, now - due)
            value = head + _six_bytes(int((start + due) * 1000)) + tail
            told = appended(victim, start + due) if victim else None
            producer.produce(LOGINS.name, value, key, on_delivery=told)
        producer.poll(0)
        time.sleep(TICK_S)
    producer.flush(60)
    pipe.send((sent, behind))


def _prepared(load: Load) -> "deque[tuple[float, bytes, bytes, bytes, str]]":
    """When a record is due, its key, its bytes before and after the time, and the victim that it is the last address of."""
    chance = random.Random(f"{load.seed}/{load.label}")
    encode = Codec().encode
    empty = dict.fromkeys(("id", "session", "server", "client", "failure"))

    def record(due: float, account: str, ip: str, victim: str = "") -> tuple[float, bytes, bytes, bytes, str]:
        login = {**empty, "time": 1_767_571_200_000, "account": account, "ip": ip, "success": True, "service": "imap"}
        raw = encode("Login", login)
        return due, account.encode(), raw[:TIME_AT], raw[TIME_END:], victim

    records = []
    for index in range(int(load.rate * load.seconds)):
        number = chance.randrange(load.accounts)
        ip = address(number, chance.randrange(NETWORKS))
        records.append(record(index / load.rate, name(number).decode(), ip))
    for victim, due in _victims(load):
        early = sorted(due - BEFORE_S * chance.random() - 0.01 for _ in range(ADDRESSES - 1))
        for number, moment in enumerate([*early, due]):
            last = victim if number == ADDRESSES - 1 else ""
            records.append(record(moment, victim, f"198.51.100.{number + 1}", last))
    return deque(sorted(records))


def _victims(load: Load) -> Iterator[tuple[str, float]]:
    first = 1.0 + BEFORE_S
    for index in range(int((load.seconds - first) * VICTIMS_PER_S)):
        yield f"{load.label}-{index:06d}@victims.example", first + index / VICTIMS_PER_S


def _six_bytes(time_ms: int) -> bytes:
    """A time of our years as Avro writes it: zigzag, seven bits a byte."""
    value = time_ms << 1
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21 & 0x7F | 0x80,
                  value >> 28 & 0x7F | 0x80, value >> 35])  # fmt: skip
