"""
Records as the commands read and write them: topics on one side, dicts on the other.

Decision: topics go by their names here, so that commands need not import the topology before they run. A write is finished when Kafka has acknowledged it, so that a command which says "done" means it. Records that
cannot be read are counted in `unreadable` and left out; their reasons are in `dead-letters`, written by the worker.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from streams.bus.answers import Answers
from streams.bus.producer import Producer
from streams.bus.record import Record
from streams.bus.tail import Tail
from streams.cli.reading import History, Span
from streams.core.book import RuleBook
from streams.core.refusal import Refused
from streams.engine.engine import Engine
from streams.engine.tables import canonical, canonical_key, in_place_of
from streams.errors import TopicError
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings
from streams.topology import ALERTS, BY_NAME, DOMAINS, POLICIES, SAFE_NETWORKS, TABLES, all_topics

ACKNOWLEDGED_WITHIN_S = 10
"""One record of a command: somebody waits for it at a terminal."""
BULK_ACKNOWLEDGED_WITHIN_S = 600
"""One of very many: counted from queueing, and up to 256 MB wait before it. A slow Kafka is not one that is away."""
REGISTRY_PATIENCE_S = 2
USABLE_WITHIN_S = 20
Row = dict[str, Any]


@dataclass
class Tables:
    """
    The small tables as they are now: every record that is obeyed, and the rules that follow from them.

    Decision: other tools write keys and names as they like, and every process obeys their canonical form. So records are
    kept under that, with names in that form; `keys` says under which keys they lie on their topic, since compaction goes
    by those: what is not deleted under its own key would be in force again after the next start.
    """

    book: RuleBook
    policies: dict[str, Row] = field(default_factory=dict)
    safe_networks: dict[str, Row] = field(default_factory=dict)
    domains: dict[str, Row] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """What is on the topics and not obeyed by any process, a sentence each."""
    keys: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By topic and canonical key, the keys under which records lie there, refused ones too."""

    def keep(self, topic: str, key: str, row: Row | None) -> None:
        """Remember a record that is obeyed; None = nothing is set under its key any more. Raises Refused."""
        rows = {POLICIES.name: self.policies, SAFE_NETWORKS.name: self.safe_networks, DOMAINS.name: self.domains}[topic]
        if row is None:
            rows.pop(canonical_key(topic, key, self.book.default_domain), None)
        else:
            name, named = canonical(topic, row, self.book.default_domain)
            rows[name] = named

    def note_key(self, topic: str, key: str, *, lies_there: bool) -> None:
        """Remember a key as it is written on its topic; what is no key of it is passed over."""
        try:
            written = self.keys.setdefault((topic, canonical_key(topic, key, self.book.default_domain)), set())
        except Refused:
            return
        if lies_there:
            written.add(key)
        else:
            written.discard(key)

    def keys_of(self, topic: str, name: str) -> list[str]:
        """The keys under which records of a canonical key lie on their topic."""
        return sorted(self.keys.get((topic, name), ()))


class Store:
    """Kafka for one command. Connects when first asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.unreadable = 0

    @cached_property
    def codec(self) -> Codec:
        """Bytes to records and back, with the registry if one is set."""
        return Codec(from_settings(self.settings, patience_s=REGISTRY_PATIENCE_S))

    @cached_property
    def _producer(self) -> Producer:
        return Producer(self.settings, delivery_timeout_ms=ACKNOWLEDGED_WITHIN_S * 1000, linger_ms=0)

    @cached_property
    def _bulk(self) -> Producer:
        """Another one, since a producer has one patience for all its records."""
        return Producer(self.settings, delivery_timeout_ms=BULK_ACKNOWLEDGED_WITHIN_S * 1000)

    def history(
        self, *topics: str, since_ms: int | None = None, until_ms: int | None = None, account: str | None = None
    ) -> History:
        """
        What is on these topics. `account` reads only its partition. Tables are in force whatever their age, so of them
        everything before `until_ms` is read. Raises BrokerUnavailableError or TopicError.
        """
        spans = {name: Span(None if BY_NAME[name] in TABLES else since_ms, until_ms) for name in topics}
        return History(self.settings, spans, key=account)

    def number_of_records(self, topic: str) -> int:
        """How many offsets a topic holds now; 0 = it is empty. Raises BrokerUnavailableError or TopicError."""
        history = History(self.settings, {topic: Span()})
        history.close()
        return history.total

    def wait_until_usable(self) -> None:
        """Wait until every topic can be read: Kafka says that a topic is made before its brokers know of it."""
        spans = {topic.name: Span() for topic in all_topics(self.settings)}
        retrying = Retrying(
            retry=retry_if_exception_type(TopicError),
            stop=stop_after_delay(USABLE_WITHIN_S),
            wait=wait_fixed(0.2),
            reraise=True,
        )
        retrying(lambda: History(self.settings, spans).close())

    def tail(self, topic: str) -> Tail:
        """What comes onto a topic from now on; nothing is missed once this has returned."""
        return Tail(self.settings, [BY_NAME[topic]], start="end")

    def answers(self) -> Answers:
        """What workers answer from now on; used as a context. Raises BrokerUnavailableError or TopicError there."""
        return Answers(self.settings, self.codec)

    def decode(self, record: Record) -> Row | None:
        """The record's value; None for a tombstone and for what cannot be read (counted)."""
        if record.value is None:
            return None
        try:
            if record.topic == ALERTS.name:
                return dict(orjson.loads(record.value))
            return self.codec.decode(BY_NAME[record.topic].record, record.value)
        except (Refused, ValueError, TypeError):
            self.unreadable += 1
            return None

    def rows(self, topic: str, *, since_ms: int | None = None, account: str | None = None) -> Iterator[Row]:
        """The readable records of a topic, oldest first, of one account if it is named."""
        for record in self.history(topic, since_ms=since_ms, account=account):
            row = self.decode(record)
            if row is not None and account in (None, row.get("account")):
                yield row

    def tables(self) -> Tables:
        """Policies, safe networks and domains as they are now, taken in by the code that the worker takes them in with."""
        engine = Engine(codec=self.codec, places=NoPlaces(), lateness_ms=0, default_domain=self.settings.default_domain)
        tables = Tables(engine.book)
        for record in self.history(*(topic.name for topic in TABLES)):
            key = (record.key or b"").decode(errors="replace")
            tables.note_key(record.topic, key, lies_there=record.value is not None)
            try:
                engine.apply_table(record.topic, record.key, record.value)
            except Refused as refusal:
                tables.refused.append(f"{record.topic} {key!r}: {refusal}")
            else:
                tables.keep(record.topic, key, self.decode(record))
        return tables

    def write(self, topic: str, key: str, value: Row | None) -> None:
        """Write one record (None = tombstone) and wait for Kafka. Raises DeliveryError, or Refused for a bad value."""
        self.write_raw(topic, key, None if value is None else self.codec.encode(BY_NAME[topic].record, value))

    def replace(self, topic: str, key: str, value: Row | None, keys: Collection[str]) -> None:
        """
        As `write`, and delete what lies under other keys (`Tables.keys_of`).

        Raises as `write` does, before anything is written where the value is bad.
        """
        raw = None if value is None else self.codec.encode(BY_NAME[topic].record, value)
        for written, bytes_of_it in in_place_of(keys, key, raw):
            self._producer.send(topic, bytes_of_it, key=written)
        self._producer.flush(ACKNOWLEDGED_WITHIN_S + 1)

    def write_raw(self, topic: str, key: str | bytes | None, raw: bytes | None) -> None:
        """Write bytes as they are and wait for Kafka. Raises DeliveryError."""
        self._producer.send(topic, raw, key=key)
        self._producer.flush(ACKNOWLEDGED_WITHIN_S + 1)

    def send_raw(self, topic: str, key: str | None, raw: bytes | None, timestamp_ms: int) -> None:
        """
        Queue one of many records; `flush` waits for them. Raises DeliveryError.

        Kafka has `BULK_ACKNOWLEDGED_WITHIN_S` for each, also where the queue is full.
        """
        self._bulk.send(topic, raw, key=key, timestamp_ms=timestamp_ms)

    def flush(self, timeout_s: float) -> None:
        """Wait until Kafka has acknowledged everything that `send_raw` queued. Raises DeliveryError."""
        self._bulk.flush(timeout_s)
