"""
What one receiver (a Dovecot backend, a webhook) is still to be told, and in which order: pure, the time comes with every call.

Decision: every account has a queue of its own and one order of it is under way at a time, so that a receiver never hears of
an account's unblock before its block, and an account that it refuses delays nobody else. A receiver that is away has a
backoff too, that holds all its orders. Order of different accounts means nothing.

All times are milliseconds of one monotonic clock.
"""

import enum
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from streams.bus.record import Record

Block = dict[str, Any]
Key = tuple[str, str, int]

REMEMBERED = 20_000
"""Orders carried out that are kept to recognise a repetition, about 5 MB a receiver."""


class Verdict(enum.Enum):
    """What became of one try."""

    DONE = "done"
    AGAIN = "again"
    """It worked, and is to be done once more after `wait_ms`."""
    FAILED = "failed"
    """Not this order, for now."""
    AWAY = "away"
    """Nothing can be told to this receiver now."""
    NEVER = "never"
    """The receiver, or the order itself, will not have it."""


@dataclass(frozen=True)
class Reply:
    """A verdict, the word for the metric, a sentence where it failed, and how long to wait at least."""

    verdict: Verdict
    outcome: str
    sentence: str = ""
    wait_ms: int = 0


@dataclass(frozen=True)
class Patience:
    """Waits after failures, doubled each time; after `give_up_ms` since the record was written, a dead letter."""

    first_ms: int = 1_000
    most_ms: int = 300_000
    receiver_most_ms: int = 30_000
    give_up_ms: int = 24 * 3_600_000

    def after(self, failures: int, most_ms: int) -> int:
        """The wait after this many failures in a row.

        >>> [Patience(1000).after(failures, 5000) for failures in (1, 2, 3, 4, 2000)]
        [1000, 2000, 4000, 5000, 5000]
        """
        return min(self.first_ms << min(max(failures, 1) - 1, 40), most_ms)


@dataclass(eq=False)
class Order:
    """One block for one receiver; several records when it was read again meanwhile."""

    block: Block
    records: list[Record]
    round: int = 0
    tries: int = 0
    not_before_ms: int = 0
    dropped: bool = False
    """Lifted, or another process's now, while it was under way: not to be tried again."""

    @property
    def account(self) -> str:
        """Whose block."""
        return str(self.block["account"])

    @property
    def key(self) -> Key:
        """What makes two blocks the same order."""
        return key_of(self.block)


def key_of(block: Block) -> Key:
    """Same id, state and end: the same block, however often it is written."""
    return block["id"], block["state"], block["until"]


class Queue:
    """At most about `most` orders in hand: reading must pause while `full`."""

    def __init__(self, most: int, patience: Patience) -> None:
        self._most = most
        self._patience = patience
        self._accounts: OrderedDict[str, deque[Order]] = OrderedDict()
        self._orders: dict[Key, Order] = {}
        self._busy: set[str] = set()
        self._handled: OrderedDict[Key, None] = OrderedDict()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._failures = 0
        self._not_before_ms = 0

    def __len__(self) -> int:
        return len(self._orders)

    @property
    def full(self) -> bool:
        """Must reading pause?"""
        return len(self) >= self._most

    def knows(self, block_id: str) -> bool:
        """Was a block with this id taken before?"""
        return block_id in self._ids

    def add(self, block: Block, record: Record) -> bool:
        """Take this block; False when it was carried out before. One that still waits also holds this record open."""
        key = key_of(block)
        if (same := self._orders.get(key)) is not None and not same.dropped:
            same.records.append(record)
        elif key in self._handled:
            return False
        else:
            order = Order(block, [record])
            self._accounts.setdefault(order.account, deque()).append(order)
            self._orders[key] = order
            _remember(self._ids, block["id"])
        return True

    def next_due(self, now_ms: int) -> Order | None:
        """An order to carry out now, of the account that has waited longest for a turn; its account is busy until told."""
        if self._not_before_ms > now_ms:
            return None
        for account, orders in self._accounts.items():
            if account not in self._busy and orders[0].not_before_ms <= now_ms:
                self._accounts.move_to_end(account)
                self._busy.add(account)
                return orders[0]
        return None

    def wait_ms(self, now_ms: int) -> int | None:
        """How long until an order is due, at least 0; None when none waits."""
        dues = [orders[0].not_before_ms for account, orders in self._accounts.items() if account not in self._busy]
        return max(0, min(dues) - now_ms, self._not_before_ms - now_ms) if dues else None

    def answered(self) -> None:
        """The receiver is there: whatever it says is about that order."""
        self._failures, self._not_before_ms = 0, 0

    def again(self, order: Order, now_ms: int, wait_ms: int) -> None:
        """It worked, and is to be carried out once more."""
        self._busy.discard(order.account)
        order.round, order.tries, order.not_before_ms = order.round + 1, 0, now_ms + wait_ms

    def failed(self, order: Order, now_ms: int, *, away: bool, wait_ms: int = 0) -> None:
        """
        It did not work; it is tried later, and when the receiver is `away` all others are too.

        A try while it is away says nothing of the order, which then waits no longer than the receiver is held.
        """
        self._busy.discard(order.account)
        order.tries += 1
        most_ms = self._patience.receiver_most_ms if away else self._patience.most_ms
        order.not_before_ms = now_ms + max(wait_ms, self._patience.after(order.tries, most_ms))
        if away:
            self._failures += 1
            self._not_before_ms = now_ms + max(wait_ms, self._patience.after(self._failures, most_ms))

    def done(self, order: Order) -> list[Record]:
        """Carried out, or given up: the records that it held open."""
        _remember(self._handled, order.key)
        return self.forget(order)

    def forget(self, order: Order) -> list[Record]:
        """Not to be carried out any more, but not carried out either: the records that it held open."""
        self._busy.discard(order.account)
        self._remove(order)
        return order.records

    def lift(self, account: str) -> list[Order]:
        """The account is open again: its orders that are not under way are forgotten and returned."""
        orders = self._accounts.get(account, ())
        under_way = [orders[0]] if orders and account in self._busy else []
        for order in under_way:
            order.dropped = True
        waiting = [order for order in orders if order not in under_way]
        for order in waiting:
            self._remove(order)
        return waiting

    def keep_only(self, partitions: Collection[tuple[str, int]]) -> None:
        """All other partitions belong to another process now, which begins at what was committed."""
        for order in list(self._orders.values()):
            mine = [record for record in order.records if (record.topic, record.partition) in partitions]
            if mine:
                order.records = mine
            elif order.account in self._busy and self._accounts[order.account][0] is order:
                order.dropped = True
            else:
                self._remove(order)

    def oldest_timestamp_ms(self) -> int | None:
        """Kafka's timestamp of the oldest block in hand."""
        return min((order.records[0].timestamp_ms for order in list(self._orders.values())), default=None)

    def _remove(self, order: Order) -> None:
        if self._orders.get(order.key) is order:
            del self._orders[order.key]
        orders = self._accounts.get(order.account)
        if orders is not None and order in orders:
            orders.remove(order)
            if not orders:
                del self._accounts[order.account]


def _remember(among: OrderedDict[Any, None], what: Any) -> None:
    among[what] = None
    if len(among) > REMEMBERED:
        among.popitem(last=False)
