"""The broker of a benchmark: started from deploy/kafka, filled, read and asked."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from benchmarks.harness import process
from benchmarks.harness.log import Sent
from streams.bus.admin import ensure_topics
from streams.bus.clients import Heard, client_config, new_admin, new_consumer, new_producer
from streams.bus.partitions import bulk_config
from streams.settings import Settings
from streams.topology import LOGINS
from tests.kafka_broker import KafkaBroker

PARTITIONS = 4
JVM = "-Xms1g -Xmx1g -Xmn700m -XX:+UseSerialGC"
"""
Of the heap 700 MiB are for what is new, twice as much as Java would take: at 208,000 logins a second it stopped the broker for 8 to
22 ms once a second, and one block in fifty waited for that.
"""
READ_AT_ONCE = 10_000
DONE_S = 600
Ends = dict[int, int]
Row = tuple[int, int, int, bytes | None, bytes | None]
"""Partition, offset, timestamp in ms, key and value of a record."""

QUIET_S, QUIET_SHARE, QUIET_LOOKS = 0.5, 0.1, 20


class Kafka:
    """One real broker; `settings` reach it. Topics are made anew for every benchmark."""

    def __init__(self, partitions: int = PARTITIONS) -> None:
        os.environ.setdefault("KAFKA_JVM_OPTIONS", JVM)
        self._broker = KafkaBroker(settings=Settings(partitions=partitions))
        self.settings = self._broker.settings
        self.folder: Path = self._broker.folder

    def __enter__(self) -> Self:
        self._broker.__enter__()
        ensure_topics(self.settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._broker.close()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the broker since its start."""
        return process.cpu_s(self._broker._running().pid)  # noqa: SLF001

    def until_quiet(self) -> None:
        """
        Wait until the broker has done what the run before left to it.

        Two virtual cores may be one: what works on the other one makes a microsecond longer, up to 1.6 times here.
        """
        for _ in range(QUIET_LOOKS):
            before = self.cpu_s
            time.sleep(QUIET_S)
            if self.cpu_s - before < QUIET_SHARE * QUIET_S:
                return

    def for_app(self, app: str, **changes: Any) -> Settings:
        """Settings of a worker with a group and a changelog of its own."""
        settings = self.settings.model_copy(update={"app": app, **changes})
        ensure_topics(settings)
        return settings

    def make(self, name: str, partitions: int | None = None, **config: str) -> str:
        """A topic beside those of loginwatch."""
        named = {key.replace("_", "."): value for key, value in config.items()}
        admin = new_admin(self.settings)
        new = NewTopic(name, partitions or self.settings.partitions, 1, config=named)
        admin.create_topics([new])[name].result(30)
        process.until(lambda: _is_served(admin.list_topics(timeout=5).topics.get(name)), 30, f"topic {name} is served")
        return name

    def fill(self, topic: str, records: Iterable[Sent], *, keep_times: bool = True) -> None:
        """Append records; `keep_times` gives them their own times on a topic whose times are the broker's."""
        if keep_times:
            self._configure(topic, **{"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
        append(self.settings, ((topic, sent.key, sent.value, sent.timestamp_ms) for sent in records))
        if keep_times:
            self._configure(topic, **{"message.timestamp.type": "LogAppendTime"})

    def ends(self, topic: str) -> Ends:
        """The next offset of every partition."""
        return ends(self.settings, topic)

    def changelogs(self, app: str) -> int:
        """Records ever written to the changelogs of an application, markers of transactions included."""
        admin = new_admin(self.settings)
        names = [name for name in admin.list_topics(timeout=10).topics if "changelog" in name and app in name]
        return sum(sum(self.ends(name).values()) for name in names)

    def until_committed(
        self, group: str, topic: str, upto: Mapping[int, int], *, watch: Sequence[process.Process]
    ) -> None:
        """Wait until a group has committed all records below `upto`; the watched processes must go on running."""

        def done() -> bool:
            for each in watch:
                each.assert_running()
            committed = asked()
            return all(committed[partition] >= end for partition, end in upto.items())

        with self.committed(group, topic, upto) as asked:
            process.until(done, DONE_S, f"{group} has committed all of {topic}")

    @contextmanager
    def committed(self, group: str, topic: str, partitions: Iterable[int]) -> Iterator[Callable[[], Ends]]:
        """What asks for a group's committed offsets; below 0 where there is none."""
        consumer = new_consumer(bulk_config(self.settings, group, Heard()))
        places = [TopicPartition(topic, partition) for partition in partitions]
        try:
            yield lambda: {at.partition: at.offset for at in consumer.committed(places, timeout=10)}
        finally:
            consumer.close()

    def _configure(self, topic: str, **config: str) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        admin = new_admin(self.settings)  # must live until it has answered
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(30)


def append(
    settings: Settings, records: Iterable[tuple[str, bytes, bytes | None, int]], *, compression: str = "none"
) -> None:
    """Put (topic, key, value, time or 0) on topics, fast, partitioned like everybody does; returns when acknowledged."""
    producer = new_producer(
        {**client_config(settings), "partitioner": "murmur2_random", "acks": "all", "enable.idempotence": True,
         "linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 500_000,
         "queue.buffering.max.kbytes": 1 << 20, "compression.type": compression}
    )  # fmt: skip
    failed: list[object] = []
    for topic, key, value, timestamp_ms in records:
        while True:
            try:
                producer.produce(
                    topic,
                    value,
                    key,
                    timestamp=timestamp_ms,
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(120) or failed:
        raise RuntimeError(f"not everything was taken by Kafka: {failed[:1]}")


def ends(settings: Settings, topic: str) -> Ends:
    """The next offset of every partition of a topic."""
    consumer = new_consumer(bulk_config(settings, "benchmark", Heard()))
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            for partition in sorted(partitions)
        }
    finally:
        consumer.close()


def read(settings: Settings, topic: str, begin: Mapping[int, int], end: Mapping[int, int]) -> Iterator[Row]:
    """The records of a topic between two sets of offsets, each partition in its order."""
    open_at = {
        partition: (begin.get(partition, 0), to) for partition, to in end.items() if to > begin.get(partition, 0)
    }
    if not open_at:
        return
    consumer: Consumer = new_consumer(bulk_config(settings, "benchmark", Heard()))
    try:
        consumer.assign([TopicPartition(topic, partition, start) for partition, (start, _) in open_at.items()])
        while open_at:
            for message in consumer.consume(READ_AT_ONCE, 1):
                partition, offset = message.partition() or 0, message.offset() or 0
                if (error := message.error()) is not None:
                    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                        raise RuntimeError(f"cannot read {topic}: {error.str()}")
                    open_at.pop(partition, None)  # markers of transactions may stand last
                    continue
                if partition in open_at and offset < open_at[partition][1]:
                    yield partition, offset, message.timestamp()[1], message.key(), message.value()
                if partition in open_at and offset + 1 >= open_at[partition][1]:
                    del open_at[partition]
    finally:
        consumer.close()


def _is_served(topic: Any) -> bool:
    return topic is not None and topic.error is None and all(part.leader >= 0 for part in topic.partitions.values())


__all__ = ["LOGINS", "Kafka", "append", "ends", "read"]
