"""Filling a store as the follower does: records in batches, or through a broker."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.panel.store import Store, ingest
from streams.panel.store.progress import raise_numbers
from streams.panel.store.reading import Item, Reader
from streams.panel.store.tables import DEED, READ_MODEL
from streams.records.codec import Codec
from streams.topology import BY_NAME
from tests.kafka_broker import KafkaBroker
from tests.panel.store.population import START_MS
from tests.panel.store.population import Record as Value

CODEC = Codec()
Told = tuple[str, str, Value | None]


def items(told: Iterable[Told], first_offset: int = 0, time_ms: int = START_MS) -> list[Item]:
    """Records as the follower reads them, one offset after the other."""
    reader, found = Reader(CODEC), []
    for offset, (topic, key, value) in enumerate(told, first_offset):
        raw = None if value is None else CODEC.encode(BY_NAME[topic].record, value)
        item = reader.read(Record(topic, 0, offset, time_ms, key.encode(), raw))
        if item is not None:
            found.append(item)
    return found


def fill(
    store: Store, told: Iterable[Told], *, batch: int = 500, first_offset: int = 0, time_ms: int = START_MS
) -> None:
    """Write records into a store in batches."""
    for some in batches(items(told, first_offset, time_ms), batch):
        with store.writing() as connection:
            changed = ingest.write(connection, some)
            raise_numbers(connection, changed)


def batches(found: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Slices of at most `size`."""
    return (found[start : start + size] for start in range(0, len(found), size))


def produce(broker: EmbeddedBroker | KafkaBroker, told: Iterable[Told]) -> None:
    """Write records to a broker, and wait until it has them."""
    producer = Producer(broker.settings)
    for topic, key, value in told:
        raw = None if value is None else CODEC.encode(BY_NAME[topic].record, value)
        producer.send(topic, raw, key=key, timestamp_ms=START_MS)
    producer.flush(30)
    producer.close()


def content(store: Store, *, but: Iterable[str] = ("offset", "progress")) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the read model and the audit."""
    with store.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in (*READ_MODEL, DEED)
            if table.name not in but
        }
