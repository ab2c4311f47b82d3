"""
Fetches the changelog as columns: aiokafka's consumer in an event loop of its own, for the thread that recovers.

With librdkafka a record cost 1.7 µs of processor time, most of it for an object and its two byte strings. Where accounts log
in often a changelog has many records of each, so after kill -9 reading them is most of what a worker needs to be current.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.bus.clients import ssl_context, uses_sasl
from streams.errors import StalledError
from streams.settings import Settings
from streams.worker import fetches
from streams.worker.fetched import Fetched

PARTITION_BYTES = 4 << 20
MOST_AT_ONCE = 100_000
POSITION_S = 0.2


class ChangelogFetch:
    """A reader of some partitions of a topic, each from an offset of its own. Made by `changelog_fetch`."""

    def __init__(self, runner: asyncio.Runner, consumer: Any, topic: str, partitions: Mapping[int, int]) -> None:
        self._runner = runner
        self._consumer = consumer
        self._places = {TopicPartition(topic, partition): partition for partition in partitions}
        self._positions = dict(partitions)

    def read(self, wait_s: float) -> dict[int, Fetched]:
        """What has come, by partition; waits a while for something. Raises StalledError for what does not pass by itself."""
        return self._runner.run(self._read(wait_s))

    def positions(self) -> dict[int, int]:
        """The offset after what was read, by partition; behind what is no record too."""
        self._runner.run(self._ask_positions())
        return self._positions

    async def _ask_positions(self) -> None:
        for tp, partition in self._places.items():
            with suppress(TimeoutError):  # it is looked up anew, and Kafka is away
                self._positions[partition] = await asyncio.wait_for(self._consumer.position(tp), POSITION_S)

    async def _read(self, wait_s: float) -> dict[int, Fetched]:
        try:
            found = await self._consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=MOST_AT_ONCE)
        except KafkaError as error:
            if error.retriable:
                await asyncio.sleep(wait_s)
                return {}
            raise StalledError(f"reading the changelog failed: {error!r}") from error
        return {self._places[tp]: records for tp, records in found.items()}


@contextmanager
def changelog_fetch(settings: Settings, topic: str, starts: Mapping[int, int]) -> Iterator[ChangelogFetch]:
    """A reader of these partitions, each from the offset given. Raises KafkaError while Kafka is away."""
    fetches.install()
    with asyncio.Runner() as runner:
        consumer = runner.run(_started(settings, topic, starts))
        try:
            yield ChangelogFetch(runner, consumer, topic, starts)
        finally:
            runner.run(consumer.stop())


async def _started(settings: Settings, topic: str, starts: Mapping[int, int]) -> Any:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers, **_config(settings))
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, partition) for partition in starts])
        for partition, offset in starts.items():
            consumer.seek(TopicPartition(topic, partition), offset)
    except BaseException:
        await consumer.stop()
        raise
    return consumer


def _config(settings: Settings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "client_id": f"{settings.app}-recovery",
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_uncommitted",  # the end that is waited for is the one without transactions
        "max_partition_fetch_bytes": PARTITION_BYTES,
        "fetch_max_wait_ms": 100,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if uses_sasl(settings):
        config["sasl_mechanism"] = settings.sasl_mechanism
        config["sasl_plain_username"] = settings.sasl_username
        config["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return config
