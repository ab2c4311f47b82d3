"""How long a worker may go on writing."""

import pytest

from streams.settings import Settings
from streams.worker.app import rebalance_timeout_s
from streams.worker.lease import Lease, LeaseLostError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    return Lease(30, 60, clock)


def test_nobody_may_write_before_joining(lease: Lease) -> None:
    """A worker that is no member holds nothing."""
    assert not lease.fresh()
    with pytest.raises(LeaseLostError):
        lease.check(lease.epoch)


def test_a_heartbeat_that_is_too_old_stops_writing(lease: Lease, clock: Clock) -> None:
    """A third of the session after the last answered heartbeat nothing is queued any more, until the next one."""
    lease.joined()
    clock.now += 9.9
    assert lease.fresh()

    clock.now += 0.2
    assert not lease.fresh()
    lease.check(lease.epoch)

    lease.renewed(clock.now, rebalancing=False)
    assert lease.fresh()


def test_queueing_and_delivery_together_end_before_the_session_does(lease: Lease) -> None:
    """What is queued at the last moment is given up by librdkafka before Kafka gives the accounts away."""
    assert lease.freshness_s + lease.delivery_timeout_s <= 30


@pytest.mark.parametrize("session_s", [6, 30, 60, 90, 300])
def test_a_long_session_is_no_longer_than_a_rebalance_waits(session_s: int, clock: Clock) -> None:
    """Else a worker that was frozen could write for accounts that a rebalance without it has given away."""
    rebalance_s = rebalance_timeout_s(Settings(worker_session_timeout=session_s))
    lease = Lease(session_s, rebalance_s, clock)
    lease.joined()
    assert lease.freshness_s + lease.delivery_timeout_s <= min(session_s, rebalance_s)

    lease.renewed(clock.now, rebalancing=True)

    lease.check(lease.epoch)
    assert lease.fresh(), "the round in hand can be finished"


def test_a_heartbeat_counts_from_when_it_was_sent(lease: Lease, clock: Clock) -> None:
    """An answer read late, by a process that was frozen, proves nothing about now."""
    lease.joined()
    sent = clock.now
    clock.now += 40
    lease.renewed(sent, rebalancing=False)

    assert not lease.fresh()


def test_a_lost_membership_ends_the_epoch_for_good(lease: Lease) -> None:
    """What was begun before the loss is void, also after the worker has joined again."""
    lease.joined()
    epoch = lease.epoch
    lease.lost()
    with pytest.raises(LeaseLostError):
        lease.check(epoch)

    lease.joined()

    with pytest.raises(LeaseLostError):
        lease.check(epoch)
    lease.check(lease.epoch)


def test_a_member_that_holds_up_a_rebalance_stops_before_it_is_thrown_out(lease: Lease, clock: Clock) -> None:
    """Its heartbeats are answered, but the group goes on without it after the rebalance timeout."""
    lease.joined()
    lease.renewed(clock.now, rebalancing=True)
    for _ in range(50):
        clock.now += 1
        lease.renewed(clock.now, rebalancing=True)

    assert not lease.fresh()
    with pytest.raises(LeaseLostError):
        lease.check(lease.epoch)


async def test_waiting_for_a_lost_lease_ends(lease: Lease) -> None:
    """Nobody waits for a membership that is over: the rebalance waits for the batch in hand."""
    lease.joined()
    epoch = lease.epoch
    lease.lost()

    with pytest.raises(LeaseLostError):
        await lease.hold(epoch)


def test_losing_the_membership_again_and_again_is_noticed(lease: Lease, clock: Clock) -> None:
    """Two workers with one name throw each other out; a single loss is life."""
    for _ in range(3):
        lease.joined()
        lease.lost()
    assert not lease.lost_often()

    lease.lost()
    assert lease.lost_often()

    clock.now += 61
    assert not lease.lost_often()
