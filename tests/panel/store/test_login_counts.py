"""Logins per hour on a Kafka that tells where an hour began."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer
from sqlalchemy import select

from streams.bus.clients import Heard
from streams.bus.partitions import reader_config
from streams.bus.producer import Producer
from streams.panel.store import Store
from streams.panel.store.login_counts import SINCE_PARTITION, LoginCounts
from streams.panel.store.progress import set_offsets
from streams.panel.store.tables import HOURLY
from streams.settings import Settings
from streams.topology import DAY_MS

DAYS = 2
HOURS = DAYS * 24


class Counting(Consumer):
    """Counts the questions for the offsets of a time."""

    asked = 0

    def offsets_for_times(self, *arguments: Any, **options: Any) -> Any:
        self.asked += 1
        return super().offsets_for_times(*arguments, **options)


@pytest.fixture
def consumer(kafka_settings: Settings) -> Iterator[Counting]:
    with closing(Counting(reader_config(kafka_settings, "counting"))) as made:
        yield made


@pytest.mark.kafka
def test_a_panel_that_was_off_for_a_year_asks_for_the_hours_that_are_kept(
    kafka_settings: Settings, consumer: Counting, sqlite_store: Store
) -> None:
    """As many as the settings keep logins for; each costs a question."""
    settings = kafka_settings.model_copy(update={"retention_days": (f"logins={DAYS}",)})
    now_ms = time.time_ns() // 1_000_000
    producer = Producer(settings)
    producer.send("logins", b"a login", key="a@example.org", timestamp_ms=now_ms)
    producer.close()
    with sqlite_store.writing() as connection:
        set_offsets(connection, {("logins", SINCE_PARTITION): now_ms - 365 * DAY_MS})

    LoginCounts(settings, sqlite_store, lambda: now_ms).count(consumer, Heard())

    assert HOURS <= consumer.asked <= HOURS + 2
    with sqlite_store.reading() as connection:
        assert connection.execute(select(HOURLY.c.logins)).scalars().all() == [1]
