"""
View loading: how fast a door takes in the topic `blocks`, from a real Kafka, as a gateway does at its start.

Beside it in the same run: the limit, a librdkafka consumer that hands over the same records to nobody.
"""

import argparse
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import TopicPartition

from benchmarks.harness.door_processes import account, block
from benchmarks.harness.kafka import Kafka, append, ends
from benchmarks.harness.results import summary
from streams.bus.clients import Heard, new_consumer
from streams.bus.partitions import bulk_config
from streams.bus.view import Record, TableView
from streams.connectors.blocks_view import BlocksView
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BLOCKS

LONGEST_S = 120
SPAWN = get_context("spawn")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rows: the view, and the limit."""
    with Kafka() as kafka:
        append(kafka.settings, _blocks(options.blocks))
        runs: dict[str, list[dict[str, float]]] = {"view of blocks": [], "consume only": []}
        for _ in range(options.rounds):
            runs["view of blocks"].append(_apart(_load, kafka.settings, options.blocks))
            runs["consume only"].append(_apart(_consume, kafka.settings, options.blocks))
    return {"blocks": options.blocks, "rows": [{"what": what, **summary(found)} for what, found in runs.items()]}


def _blocks(number: int) -> Iterator[tuple[str, bytes, bytes, int]]:
    for index in range(number):
        yield BLOCKS.name, account(index), block(index), 0


def _apart(what: Any, settings: Settings, blocks: int) -> dict[str, float]:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=what, args=(theirs, settings, blocks))
    process.start()
    found: dict[str, float] = ours.recv()
    process.join()
    return found


def _load(pipe: Connection, settings: Settings, blocks: int) -> None:
    """As the gateway: keys and values of a batch go to the view of blocks."""
    held = BlocksView(Codec(), lambda: time.time_ns() // 1_000_000, lambda _: None)

    def apply(records: list[Record]) -> None:
        held.apply((record.key, record.value) for record in records)

    view = TableView(settings, [BLOCKS], apply_batch=apply)
    begun, cpu = time.perf_counter(), time.process_time()
    view.start()
    loaded = view.caught_up.wait(LONGEST_S)
    found = _figures(blocks, time.perf_counter() - begun, time.process_time() - cpu)
    view.stop()
    if not loaded or len(held) != blocks:
        raise RuntimeError(f"{len(held)} blocks are in the view, not {blocks}")
    pipe.send(found)


def _consume(pipe: Connection, settings: Settings, blocks: int) -> None:
    places = ends(settings, BLOCKS.name)
    begun, cpu = time.perf_counter(), time.process_time()
    consumer = new_consumer(bulk_config(settings, "limit", Heard()))
    consumer.assign([TopicPartition(BLOCKS.name, partition, 0) for partition in places])
    left = blocks
    while left:
        left -= sum(message.error() is None for message in consumer.consume(5_000, 0.1))
    found = _figures(blocks, time.perf_counter() - begun, time.process_time() - cpu)
    consumer.close()
    pipe.send(found)


def _figures(records: int, seconds: float, cpu: float) -> dict[str, float]:
    return {"records_per_s": records / seconds, "cpu_us": cpu / records * 1e6}
