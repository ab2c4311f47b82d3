"""
How far a consumer group is behind, asked from Kafka by somebody who is no member of it.

Decision: what counts is not the number of records, which is thousands at a busy site that is well, but whether records
that were there a while ago are still not committed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.bus.asking import Asker
from streams.bus.clients import Heard, unavailable
from streams.bus.partitions import ASK_TIMEOUT_S, Place, partitions_of, watermarks
from streams.errors import LoginwatchError
from streams.settings import Settings
from streams.topology import Topic

EVERY_S = 10.0
LATE_S = 20.0
"""A worker that is well has committed what is older: it commits twice a second."""


class GroupLag:
    """
    Looks every few seconds, in a thread of its own, at the positions of a group and the ends of its topics.

    `behind` is None until the first look; errors show in `last_error` until they are over.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Sequence[Topic],
        *,
        every_s: float = EVERY_S,
        late_s: float = LATE_S,
    ) -> None:
        self.behind: int | None = None
        """Records that are not committed."""
        self.overdue = 0
        """Those of them that were there `late_s` ago."""
        self.last_error: str | None = None
        self._settings = settings
        self._topics = [topic.name for topic in topics]
        self._late_s = late_s
        self._ends: deque[tuple[float, dict[Place, int]]] = deque()
        """The ends of the last looks, the oldest first: one that is late, and all younger ones."""
        self._asker = Asker(settings, group, self._look, every_s=every_s, away_s=every_s)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._asker.start()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended."""
        self._asker.stop()

    def _look(self, consumer: Consumer, heard: Heard) -> bool:
        try:
            places = partitions_of(consumer, self._settings, self._topics, heard)
            # positions first: what is committed between the two questions only makes the lag look larger
            committed = self._committed(consumer, places, heard)
            bounds = {
                place: watermarks(consumer, self._settings, place)
                for place in places
                if not self._asker.stopping.is_set()
            }
        except LoginwatchError as error:
            self.last_error = str(error)
            return False
        if self._asker.stopping.is_set():
            return True
        positions = {place: max(committed.get(place, 0), first) for place, (first, _) in bounds.items()}
        ends = {place: end for place, (_, end) in bounds.items()}
        self.overdue = _left(positions, self._late_ends(ends))
        self.behind = _left(positions, ends)
        self.last_error = heard.last = None
        return True

    def _committed(self, consumer: Consumer, places: Sequence[Place], heard: Heard) -> dict[Place, int]:
        try:
            found = consumer.committed([TopicPartition(*place) for place in places], timeout=ASK_TIMEOUT_S)
        except KafkaException as error:
            consumer.poll(0)  # serves error_cb
            raise unavailable(self._settings, error, heard) from error
        return {(part.topic, part.partition): part.offset for part in found}

    def _late_ends(self, ends: dict[Place, int]) -> dict[Place, int]:
        """The ends of the latest look that is `late_s` old; none until there is one."""
        now = monotonic()
        self._ends.append((now, ends))
        while len(self._ends) > 1 and self._ends[1][0] <= now - self._late_s:
            self._ends.popleft()
        began, late = self._ends[0]
        return late if began <= now - self._late_s else {}


def _left(positions: Mapping[Place, int], ends: Mapping[Place, int]) -> int:
    return sum(max(0, end - positions[place]) for place, end in ends.items() if place in positions)
