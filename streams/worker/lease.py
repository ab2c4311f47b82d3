"""
May this worker still write for its accounts?

Kafka fences a worker's commits, not its records: one that was frozen (SIGSTOP, a suspended machine) for longer than its
session would wake up and write old states after its successor has taken over. So it writes only while its last answered
heartbeat is young, and librdkafka gives up on what it could not send while that still holds.

Decision: a third of the session timeout for the age of the heartbeat at which a record may be queued, two thirds for how
long it may stay queued: together never later than Kafka may give the partitions away. A freeze between
looking and queueing is noticed after it, and what was queued is taken back before librdkafka has sent it (`delivery`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

POLL_S = 0.02
OFTEN = 4
OFTEN_WITHIN_S = 60.0
NEVER, FOREVER = float("-inf"), float("inf")


class LeaseLostError(Exception):
    """The group went on without this worker: what it was about to write belongs to another now."""


class Lease:
    """
    The worker's membership, as its own monotonic clock knows it. Updated by the consumer's thread, read by the loop's.

    `epoch` counts memberships: what was begun in one epoch may not be written in the next.
    """

    def __init__(
        self, session_timeout_s: float, rebalance_timeout_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self.freshness_s = session_timeout_s / 3
        self.delivery_timeout_s = session_timeout_s * 2 / 3
        self.epoch = 0
        self._rebalance_timeout_s = rebalance_timeout_s
        self._clock = clock
        self._renewed = NEVER
        self._ends = NEVER
        self._losses: deque[float] = deque(maxlen=OFTEN)

    def joined(self) -> None:
        """The worker became a member of a new generation."""
        self.epoch += 1
        self._renewed = self._clock()
        self._ends = FOREVER

    def renewed(self, sent: float, *, rebalancing: bool) -> None:
        """A heartbeat that was sent at `sent` was answered; `rebalancing` members are thrown out after a while."""
        self._renewed = max(self._renewed, sent)
        if rebalancing and self._ends == FOREVER:
            self._ends = sent + self._rebalance_timeout_s - self.delivery_timeout_s

    def lost(self) -> None:
        """Kafka does not know this member any more; what is still in hand is void until it has joined again."""
        self._renewed = self._ends = NEVER
        self._losses.append(self._clock())

    def lost_often(self) -> bool:
        """Whether the group has thrown this worker out several times in a minute: somebody else has its name."""
        return len(self._losses) == OFTEN and self._clock() - self._losses[0] < OFTEN_WITHIN_S

    def fresh(self) -> bool:
        """Whether the last heartbeat is young enough to queue a record."""
        now = self._clock()
        return now - self._renewed < self.freshness_s and now < self._ends

    def check(self, epoch: int) -> None:
        """Raises LeaseLostError when the membership of `epoch` is over for good."""
        if epoch != self.epoch or self._clock() >= self._ends:
            raise LeaseLostError

    async def hold(self, epoch: int) -> None:
        """
        Return as soon as a record may be queued; waits while Kafka is away.

        Raises LeaseLostError when the membership of `epoch` is over.
        """
        self.check(epoch)
        while not self.fresh():
            await asyncio.sleep(POLL_S)
            self.check(epoch)
