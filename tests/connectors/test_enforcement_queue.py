"""Which order is due when: pure."""

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.bus.record import Record
from streams.connectors.enforcement_queue import Order, Patience, Queue

PATIENCE = Patience(first_ms=100, most_ms=1_000, receiver_most_ms=500)


def record(offset: int, partition: int = 0) -> Record:
    return Record("blocks", partition, offset, 0, b"key", b"value")


def block(number: int, account: str = "alice", **fields: Any) -> dict[str, Any]:
    return {"id": f"id-{number}", "account": account, "state": "blocked", "until": number, **fields}


def queue_of(*blocks: dict[str, Any], most: int = 100) -> Queue:
    queue = Queue(most, PATIENCE)
    for offset, one in enumerate(blocks):
        assert queue.add(one, record(offset))
    return queue


def due(queue: Queue, now_ms: int) -> Order:
    order = queue.next_due(now_ms)
    assert order is not None
    return order


def test_the_orders_of_an_account_come_one_after_the_other() -> None:
    """The second is due when the first is done, also when that took several tries."""
    queue = queue_of(block(1), block(2), block(3, "bob"))
    first, other = due(queue, 0), due(queue, 0)

    assert (first.block["id"], other.block["id"]) == ("id-1", "id-3")
    assert queue.next_due(0) is None
    queue.failed(first, 0, away=False)
    assert queue.next_due(99) is None
    assert due(queue, 100) is first
    assert queue.done(first) == [record(0)]
    assert due(queue, 100).block["id"] == "id-2"


def test_a_receiver_that_is_away_holds_all_and_one_refused_order_only_its_account() -> None:
    """Its backoff doubles to a bound and ends with an answer."""
    queue = queue_of(block(1), block(2, "bob"))
    order = due(queue, 0)

    queue.failed(order, 0, away=True)
    assert queue.next_due(99) is None
    assert queue.wait_ms(0) == 100
    other = due(queue, 100)
    assert other.account == "bob"
    queue.failed(other, 100, away=True)
    assert queue.next_due(299) is None
    queue.answered()
    assert due(queue, 250) is order


def test_the_only_order_is_carried_out_soon_after_its_receiver_is_back_however_long_that_was_away() -> None:
    """A kick that waits for minutes more leaves a thief in the mailbox."""
    queue = queue_of(block(1))
    now_ms = 0
    while now_ms < 20_000:
        queue.failed(due(queue, now_ms), now_ms, away=True)
        waited_ms = queue.wait_ms(now_ms)
        assert waited_ms is not None
        assert waited_ms <= PATIENCE.receiver_most_ms
        now_ms += waited_ms

    assert due(queue, now_ms).block["id"] == "id-1"


def test_an_order_that_the_receiver_refuses_waits_up_to_its_own_bound() -> None:
    """That is longer than the one of a receiver that is away."""
    queue = queue_of(block(1))
    now_ms = 0
    for _ in range(6):
        queue.failed(due(queue, now_ms), now_ms, away=False)
        waited_ms = queue.wait_ms(now_ms) or 0
        now_ms += waited_ms

    assert waited_ms == PATIENCE.most_ms


def test_a_wait_that_the_receiver_asked_for_is_kept() -> None:
    """Retry-After is longer than the backoff."""
    queue = queue_of(block(1))
    queue.failed(due(queue, 0), 0, away=False, wait_ms=5_000)

    assert queue.next_due(4_999) is None
    assert due(queue, 5_000).tries == 1


def test_a_repetition_is_recognised_while_it_waits_and_afterwards() -> None:
    """The first holds both records open; a later end of the same block is an order of its own."""
    queue = queue_of(block(1))
    assert queue.add(block(1), record(7))
    assert len(queue) == 1

    assert queue.done(due(queue, 0)) == [record(0), record(7)]
    assert not queue.add(block(1), record(8))
    assert queue.add(block(1, until=99), record(9))
    assert queue.add(block(1, state="open"), record(10))
    assert queue.knows("id-1")
    assert not queue.knows("id-2")


def test_an_unblock_takes_back_what_waits_and_marks_what_is_under_way() -> None:
    """Of that account only."""
    queue = queue_of(block(1), block(2), block(3, "bob"))
    under_way = due(queue, 0)

    assert [order.block["id"] for order in queue.lift("alice")] == ["id-2"]
    assert under_way.dropped
    assert queue.lift("nobody") == []
    assert queue.forget(under_way) == [record(0)]
    assert [due(queue, 0).account] == ["bob"]


def test_orders_of_partitions_that_went_away_go_with_them() -> None:
    """One that comes back while it is still under way is an order of its own."""
    queue = Queue(100, PATIENCE)
    queue.add(block(1), record(0, 0))
    queue.add(block(2, "bob"), record(0, 1))
    queue.add(block(3, "carol"), record(1, 0))
    under_way = due(queue, 0)

    queue.keep_only({("blocks", 1)})
    assert under_way.dropped
    assert len(queue) == 2
    assert queue.add(block(1), record(0, 0))
    queue.forget(under_way)
    assert {due(queue, 0).account, due(queue, 0).account} == {"alice", "bob"}


def test_it_says_when_it_is_full_and_what_is_oldest() -> None:
    """Reading pauses at the bound."""
    queue = queue_of(block(1), most=2)
    assert not queue.full

    queue.add(block(2), record(1)._replace(timestamp_ms=-5))
    assert queue.full
    assert queue.oldest_timestamp_ms() == -5
    assert Queue(2, PATIENCE).oldest_timestamp_ms() is None
    assert Queue(2, PATIENCE).wait_ms(0) is None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=20),
    st.lists(st.sampled_from(["done", "failed", "away", "again"]), max_size=80),
)
def test_whatever_happens_no_record_is_lost_and_no_account_is_overtaken(
    told: list[tuple[str, int]], fates: list[str]
) -> None:
    """Each record is finished once, and each account's blocks in the order in which they came."""
    queue, repeated, finished = Queue(1000, PATIENCE), [], []
    expected: dict[str, list[str]] = defaultdict(list)
    for offset, (account, number) in enumerate(told):
        one = block(number, account, id=f"{account}{number}")
        if one["id"] not in expected[account]:
            expected[account].append(one["id"])
        if not queue.add(one, record(offset)):
            repeated.append(offset)
    seen: dict[str, list[str]] = defaultdict(list)
    now_ms = 0
    for fate in [*fates, *["done"] * 40]:
        now_ms += queue.wait_ms(now_ms) or 0
        order = queue.next_due(now_ms)
        if order is None:
            continue
        if fate == "done":
            finished += [one.offset for one in queue.done(order)]
            seen[order.account].append(order.block["id"])
            queue.answered()
        elif fate == "again":
            queue.again(order, now_ms, 50)
        else:
            queue.failed(order, now_ms, away=fate == "away")

    assert sorted(finished + repeated) == list(range(len(told)))
    assert seen == {account: ids for account, ids in expected.items() if ids}
    assert len(queue) == 0
