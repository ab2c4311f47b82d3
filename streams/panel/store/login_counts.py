"""
Logins per hour, counted without reading them: by how far the ends of their partitions move.

Decision: a provider has thousands of logins a second, and the plot needs one number per hour. Kafka tells the offset at
which an hour began, so a panel that was away, or is filled anew, still sees each hour of the last days.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import Consumer, TopicPartition

from streams.bus.clients import Heard
from streams.bus.partitions import ASK_TIMEOUT_S, Place, partitions_of, watermarks
from streams.panel.store.activity import HOUR_MS, MOST_HOURS, TOGETHER
from streams.panel.store.progress import offsets, set_offsets
from streams.panel.store.store import Store
from streams.panel.store.tables import HOURLY
from streams.panel.store.writes import add
from streams.settings import Settings
from streams.topology import LOGINS, all_topics

log = structlog.get_logger(__name__)

EVERY_MS = 15_000
"""Between two looks at the ends: every one asks for each partition."""
SINCE_PARTITION = -1
"""The row of `offset` under which the time of the last look stands."""


class LoginCounts:
    """Keeps the column `logins` of `hourly`."""

    def __init__(self, settings: Settings, store: Store, clock_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._store = store
        self._clock_ms = clock_ms
        self._next_ms = 0
        kept_ms = next(topic.retention_ms or 0 for topic in all_topics(settings) if topic.name == LOGINS.name)
        self._back_ms = min(kept_ms, MOST_HOURS * HOUR_MS)

    def count(self, consumer: Consumer, heard: Heard) -> None:
        """Add what came since the last look, if that was a while ago. Raises as `bus.partitions` does."""
        now_ms = self._clock_ms()
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + EVERY_MS
        bounds = {
            place: watermarks(consumer, self._settings, place)
            for place in partitions_of(consumer, self._settings, [LOGINS.name], heard)
        }
        with self._store.reading() as connection:
            left = offsets(connection)
        # the hours before are gone from the topic, or nobody is shown them, and each one costs a question
        since_ms = max(left.get((LOGINS.name, SINCE_PARTITION), 0), now_ms - self._back_ms)
        begins = {place: _begin(left.get(place), *bound) for place, bound in bounds.items()}
        ends = {place: end for place, (_, end) in bounds.items()}
        steps = _steps(consumer, ends, since_ms, now_ms)
        rows = [
            {"hour_ms": hour, "domain": TOGETHER, "logins": number, "incidents": 0, "blocks": 0}
            for hour, number in per_hour(begins, ends, steps, now_ms).items()
            if number
        ]
        with self._store.writing() as connection:
            if _of_logins(offsets(connection, lock=True)) != _of_logins(left):
                self._next_ms = 0  # wiped meanwhile: the next look counts from where that left it
                return
            add(connection, HOURLY, rows, numbers=("logins",))
            set_offsets(connection, {**ends, (LOGINS.name, SINCE_PARTITION): now_ms})


def per_hour(
    begins: Mapping[Place, int], ends: Mapping[Place, int], steps: Mapping[int, Mapping[Place, int]], now_ms: int
) -> dict[int, int]:
    """
    How many records came in each hour. `steps`: for the beginning of an hour, the first offset of it or later in each
    partition that has one; without any, all count for the hour of now.

    >>> per_hour({("t", 0): 5}, {("t", 0): 12}, {3_600_000: {("t", 0): 8}}, 3_600_001)
    {0: 3, 3600000: 4}
    """
    counted: dict[int, int] = {}
    at = dict(begins)
    for hour, firsts in sorted(steps.items()):
        moved = {place: min(max(firsts.get(place, ends[place]), at[place]), ends[place]) for place in at}
        counted[hour - HOUR_MS] = sum(moved.values()) - sum(at.values())
        at = moved
    current = now_ms // HOUR_MS * HOUR_MS
    counted[current] = counted.get(current, 0) + sum(ends[place] - at[place] for place in at)
    return counted


def _of_logins(left: Mapping[Place, int]) -> dict[Place, int]:
    return {place: following for place, following in left.items() if place[0] == LOGINS.name}


def _begin(left: int | None, first: int, end: int) -> int:
    return first if left is None or left > end else max(left, first)


def _steps(consumer: Consumer, ends: Mapping[Place, int], since_ms: int, now_ms: int) -> dict[int, dict[Place, int]]:
    """The first offsets of each hour that began since; none where the broker does not search by time (the embedded one)."""
    if not _firsts(consumer, ends, 0):  # everything came after 1970: it does not search, or there is nothing
        return {}
    steps: dict[int, dict[Place, int]] = {}
    for hour in range((since_ms // HOUR_MS + 1) * HOUR_MS, now_ms + 1, HOUR_MS):
        steps[hour] = _firsts(consumer, ends, hour)
        if not steps[hour]:  # nothing came in that hour or later
            break
    return steps


def _firsts(consumer: Consumer, ends: Mapping[Place, int], time_ms: int) -> dict[Place, int]:
    """The first offset of each partition whose record came at a time or later; partitions without one are left out."""
    asked = [TopicPartition(*place, time_ms) for place in ends]
    found: list[Any] = consumer.offsets_for_times(asked, timeout=ASK_TIMEOUT_S)
    return {(part.topic, part.partition): part.offset for part in found if part.offset >= 0}
