"""A worker without Faust for the tests of the command line: the real engine, fed from the topics by one thread."""

import threading
from types import TracebackType
from typing import Self

from confluent_kafka import TopicPartition

from streams.bus.clients import new_consumer
from streams.bus.partitions import reader_config
from streams.bus.producer import Producer
from streams.bus.tail import Tail
from streams.core.refusal import Refused
from streams.engine.engine import Engine
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BY_NAME, TABLES, WORKER_INPUTS

TABLE_NAMES = {topic.name for topic in TABLES}


class SmallWorker:
    """Reads all input topics from their start, inside its `with` block, and writes what the engine says."""

    def __init__(self, settings: Settings) -> None:
        self._tail = Tail(settings, [*TABLES, *WORKER_INPUTS])
        self._producer = Producer(settings, linger_ms=0)
        self._member = new_consumer(reader_config(settings, settings.app))
        """Commits as a worker does, so that the panel sees how far this one is."""
        self._engine = Engine(codec=Codec(), places=NoPlaces(), lateness_ms=600_000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the small worker does not end"
        self._tail.close()
        self._member.close()
        self._producer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            judged = {}
            for record in self._tail.read(0.05):
                if record.topic in TABLE_NAMES:
                    self._obey(record.topic, record.key, record.value)
                else:
                    self._engine.process(
                        record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value
                    )
                    judged[record.topic, record.partition] = record.offset + 1
            for output in self._engine.take().outputs:
                topic = BY_NAME[output.topic].name
                self._producer.send(topic, output.value, key=output.key, timestamp_ms=output.timestamp_ms)
            self._producer.flush(10)
            if judged:
                positions = [TopicPartition(*place, following) for place, following in judged.items()]
                self._member.commit(offsets=positions, asynchronous=False)

    def _obey(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        try:
            self._engine.apply_table(topic, key, value)
        except Refused as refusal:
            self._engine.refuse(refusal, topic, 0, -1, 0, key, value)
