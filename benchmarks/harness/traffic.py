"""
A reader of `blocks` that says how long each thief stayed inside.

Most logins of a load (`sender`) are of established accounts; at a steady pace the sixth address of a new account comes in,
which leads to a block. What is timed is that block: from the append of the sixth login (the broker's time) until the block
is appended, and from when that login was due until a reader has it. Sender and reader are processes of their own.
"""

import time
from multiprocessing.connection import Connection
from typing import NamedTuple

from confluent_kafka import TopicPartition

from benchmarks.harness import kafka
from benchmarks.harness.apart import Apart
from streams.bus.clients import new_consumer
from streams.bus.partitions import reader_config
from streams.settings import Settings
from streams.topology import BLOCKS

POLL_S = 0.05


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


class Reader(Apart):
    """Reads `blocks` from its end on, in a process of its own, until `stop`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(_read_blocks, settings)

    def stop(self) -> dict[str, tuple[float, float]]:
        """When each account's first block was appended and when it was read."""
        self._ours.send("stop")
        found: dict[str, tuple[float, float]] = self._ours.recv()
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
        message = consumer.poll(POLL_S)  # each as soon as it is there: `consume` waits for more
        if message is not None and message.error() is None:
            found.setdefault((message.key() or b"").decode(), (message.timestamp()[1] / 1000, time.time()))
    consumer.close()
    pipe.send(found)
