"""
Blocks off their topic for one receiver, and whether they are news to it.

Decision: every receiver has a consumer group of its own. So each goes on where it was, one that is down for a day makes
nothing come twice to the others, and what waits for it waits on Kafka instead of in memory.
"""

from time import time_ns
from typing import Any, Protocol

from confluent_kafka import KafkaException

from streams.bus.consumer import GroupReader
from streams.bus.record import Record
from streams.connectors.enforcement_queue import Block
from streams.connectors.topic_reader import SESSION_TIMEOUT_MS, Partition, Taker, TopicReader
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS


class BlockTaker(Taker, Protocol):
    """Who takes the blocks."""

    def take(self, record: Record, block: Block, *, news: bool) -> None:
        """A block; not `news` when it was on the topic before this receiver was followed for the first time."""


class BlockReader(TopicReader[BlockTaker]):
    """The reader of one receiver, `name`."""

    def __init__(
        self, settings: Settings, codec: Codec, name: str, *, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> None:
        super().__init__(settings, codec, BLOCKS, name, session_timeout_ms=session_timeout_ms)
        self._first_ms: dict[Partition, int] = {}
        """When a partition was read for the first time ever; what is older on it is no news."""

    def decode(self, record: Record) -> dict[str, Any]:
        """As every reader; nothing for a tombstone, which orders nothing."""
        return {} if record.value is None else super().decode(record)

    def hand_over(self, taker: BlockTaker, record: Record, value: dict[str, Any]) -> None:
        """Give the taker a block; the canary has no sessions, and nobody is to be told of it."""
        if value and not self._settings.is_canary(record.key):
            taker.take(record, value, news=self._is_news(record))
        else:
            self.finish([record])

    def now_mine(self, reader: GroupReader, partitions: set[Partition]) -> None:
        """A partition without a position was never followed. If Kafka will not say, all is news: told twice is not lost."""
        now_ms = time_ns() // 1_000_000
        try:
            followed = {(topic, partition) for topic, partition, _ in reader.committed()}
        except KafkaException:
            followed = partitions
        for place in partitions:
            if place in followed:
                self._first_ms.pop(place, None)
            else:
                self._first_ms.setdefault(place, now_ms)

    def _is_news(self, record: Record) -> bool:
        return record.timestamp_ms >= self._first_ms.get((record.topic, record.partition), 0)
