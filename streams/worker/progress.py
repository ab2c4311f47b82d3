"""
What the worker has done so far, as plain numbers that any thread may read.

Written by the event loop (and `end` by the lag reader); read by the watchdog, the metrics and the health page. Times are
seconds of the monotonic clock: the wall clock may jump.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

TopicPartition = tuple[str, int]
NOT_ASKED = "not asked yet"


@dataclass(slots=True)
class PartitionProgress:
    """One input partition of this worker. Offsets are those of the next record; -1 is unknown."""

    since: float
    end: int = -1
    processed: int = -1
    committed: int = -1
    processed_at: float = 0.0
    committed_at: float = 0.0

    @property
    def lag(self) -> int:
        """Records that wait: behind what was processed, or else committed; all of them when neither is known."""
        if self.end < 0:
            return 0
        return max(0, self.end - max(self.processed, self.committed, 0))


@dataclass
class Progress:
    """Everything the watchdog, the metrics and the health page ask about."""

    clock: Callable[[], float] = monotonic
    partitions: dict[TopicPartition, PartitionProgress] = field(default_factory=dict)
    loop_beat: float = 0.0
    """When the event loop last ran."""
    broker_seen: float = 0.0
    """When Kafka last answered the lag reader."""
    broker_error: str | None = NOT_ASKED
    """Why Kafka cannot be asked; None while it answers."""
    count_from: float = 0.0
    """Stalls are counted from here at the earliest: Kafka came back, or this process was thawed."""
    recovering: bool = True
    recovery_total: int = 0
    recovery_done: int = 0
    settled_at: float = 0.0
    """When the last assignment was taken up; `unsettled_at` when the last one ended."""
    unsettled_at: float = 0.0
    settled: bool = False
    in_flight: int = 0

    def unsettle(self) -> None:
        """A rebalance begins: nothing is processed until `settle`."""
        if self.settled or not self.unsettled_at:
            self.unsettled_at = self.clock()
        self.settled = False
        self.partitions = {}

    def settle(self, committed: dict[TopicPartition, int]) -> None:
        """An assignment was taken up; `committed` has an offset for each of its input partitions, -1 for none."""
        now = self.clock()
        self.partitions = {
            tp: PartitionProgress(since=now, committed=offset, processed_at=now, committed_at=now)
            for tp, offset in committed.items()
        }
        self.settled_at = now
        self.settled = True

    def processed(self, tp: TopicPartition, offset: int) -> None:
        """Everything below `offset` is decided and acknowledged."""
        partition = self.partitions.get(tp)
        if partition is not None and offset > partition.processed:
            if partition.processed <= partition.committed:
                partition.committed_at = self.clock()  # from now on a commit is due
            partition.processed = offset
            partition.processed_at = self.clock()

    def committed(self, tp: TopicPartition, offset: int) -> None:
        """Kafka has stored `offset` for the group."""
        partition = self.partitions.get(tp)
        if partition is not None and offset > partition.committed:
            partition.committed = offset
            partition.committed_at = self.clock()

    def broker_answers(self, error: str | None) -> None:
        """The lag reader got an answer, or an error."""
        now = self.clock()
        if error is None:
            if self.broker_error is not None:
                self.count_from = now
            self.broker_seen = now
        self.broker_error = error
