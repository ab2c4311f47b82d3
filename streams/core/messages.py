"""
The messages an account sent: how many in 24 hours, which of them as somebody else, and which it has told us of before.

Decision: messages are counted in quarter hours, also those of each foreign sender, so that 24 hours stay 24 hours without
a list of messages. A message is known by its queue id, or else by the id of its Submission: Postfix's door and the log
reader tell of the same message, and a log reader that was killed repeats some lines. Both are looked for in the quarter
hour of the message and the two beside it, among the last 256 of the account: more than a usual account sends in a day.

It all stands in the tail of the packed state (`state.py`), so that a message is counted without unpacking the networks.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

from streams.core.senders import mismatch
from streams.core.values import QUARTER_MS, QUARTERS_KEPT, judged_time

MOST_SENDERS = 16
"""Foreign senders told apart; of the others only the messages are counted."""
MOST_IDS = 256
CODE_LENGTH = 6
"""Characters that stand for an id: 36 bits, so one message in a hundred million is taken for another."""

T = TypeVar("T")
ByQuarter = dict[int, T]
"""Quarter hours since 1970, and what belongs to each."""


@dataclass(slots=True)
class ForeignSender:
    """A MAIL FROM that is not the account's own. `first_ms` may lie further back, if it was never unused for 24 hours."""

    relation: str
    first_ms: int
    last_ms: int
    quarters: ByQuarter[int] = field(default_factory=dict)


@dataclass(slots=True)
class Messages:
    """
    The accepted messages of the last 24 hours.

    `senders`: the foreign ones by address; `others`: messages of foreign senders that were let go; `codes`: the ids seen,
    six characters each; `offset`: the last applied record of `submissions`, -1 = none.
    """

    quarters: ByQuarter[int] = field(default_factory=dict)
    senders: dict[str, ForeignSender] = field(default_factory=dict)
    others: ByQuarter[int] = field(default_factory=dict)
    codes: ByQuarter[str] = field(default_factory=dict)
    offset: int = -1

    def count(self, submission: Mapping[str, Any], account: str, now_ms: int) -> bool:
        """
        Count an accepted Submission of this canonical account in the quarter hour of its time; False for a repetition.

        What is older than 24 hours, this message included, is let go.
        """
        time_ms = judged_time(submission["time"], now_ms)
        quarter = time_ms // QUARTER_MS
        gone = now_ms // QUARTER_MS - QUARTERS_KEPT
        if self.quarters and min(self.quarters) <= gone:
            self._forget(gone)
        if quarter <= gone:
            return True
        identity = submission["queue_id"] or submission["id"]
        if identity and not self._is_new(identity, quarter):
            return False
        self.quarters[quarter] = self.quarters.get(quarter, 0) + 1
        foreign = mismatch(account, submission["sender"])
        if foreign is not None:
            self._note(foreign[1], foreign[0].value, time_ms, quarter)
        return True

    def in_24h(self, now_ms: int) -> int:
        """Messages of the quarter hour of `now` and the 95 before it."""
        return _in_24h(self.quarters, now_ms)

    def foreign_24h(self, now_ms: int) -> int:
        """Those of them that had a foreign sender."""
        return sum(_in_24h(quarters, now_ms) for quarters in self._foreign())

    def senders_24h(self, now_ms: int) -> list[dict[str, Any]]:
        """The foreign senders of these 24 hours as an incident lists them: most messages first, then the latest."""
        listed = [
            {
                "sender": address,
                "relation": sender.relation,
                "messages": messages,
                "first": sender.first_ms,
                "last": sender.last_ms,
            }
            for address, sender in self.senders.items()
            if (messages := _in_24h(sender.quarters, now_ms))
        ]
        return sorted(listed, key=lambda sender: (-sender["messages"], -sender["last"], sender["sender"]))

    def _foreign(self) -> Iterable[ByQuarter[int]]:
        yield self.others
        for sender in self.senders.values():
            yield sender.quarters

    def _is_new(self, identity: str, quarter: int) -> bool:
        digest = hashlib.blake2b(identity.encode(), digest_size=6).digest()
        code = b64encode(digest).decode()[:CODE_LENGTH]
        for near in (quarter, quarter - 1, quarter + 1):
            text = self.codes.get(near)
            if text is not None and code in text and code in _parts(text):
                return False
        self.codes[quarter] = self.codes.get(quarter, "") + code
        excess = sum(map(len, self.codes.values())) - MOST_IDS * CODE_LENGTH
        if excess > 0:
            oldest = min(self.codes)
            self.codes[oldest] = self.codes[oldest][excess:]
            if not self.codes[oldest]:
                del self.codes[oldest]
        return True

    def _note(self, address: str, relation: str, time_ms: int, quarter: int) -> None:
        sender = self.senders.get(address)
        if sender is None:
            if len(self.senders) >= MOST_SENDERS:
                self._let_one_go()
            sender = self.senders[address] = ForeignSender(relation, time_ms, time_ms)
        sender.first_ms = min(sender.first_ms, time_ms)
        sender.last_ms = max(sender.last_ms, time_ms)
        sender.quarters[quarter] = sender.quarters.get(quarter, 0) + 1

    def _let_one_go(self) -> None:
        """The one with the fewest messages, so that many single ones do not hide one that is used a lot."""
        address = min(
            self.senders, key=lambda one: (sum(self.senders[one].quarters.values()), self.senders[one].last_ms)
        )
        for quarter, messages in self.senders.pop(address).quarters.items():
            self.others[quarter] = self.others.get(quarter, 0) + messages

    def _forget(self, gone: int) -> None:
        tables: list[dict[int, Any]] = [self.quarters, self.codes, *self._foreign()]
        for table in tables:
            for old in [quarter for quarter in table if quarter <= gone]:
                del table[old]
        self.senders = {address: sender for address, sender in self.senders.items() if sender.quarters}


def to_tail(messages: Messages, tail: dict[str, Any]) -> None:
    """Write them into the tail of a packed state: what is empty leaves nothing."""
    senders = [
        [address, sender.relation, sender.first_ms, sender.last_ms, _flat(sender.quarters)]
        for address, sender in messages.senders.items()
    ]
    parts: dict[str, Any] = {
        "m": sorted(messages.quarters.items()),
        "d": _flat(messages.codes),
        "f": senders,
        "o": _flat(messages.others),
    }
    for key, value in parts.items():
        if value:
            tail[key] = value
        else:
            tail.pop(key, None)
    if messages.offset >= 0:
        tail["s"] = messages.offset


def from_tail(tail: Mapping[str, Any]) -> Messages:
    """Read them from the tail of a packed state, which may have been written before there were ids and senders."""
    senders = {
        address: ForeignSender(relation, first_ms, last_ms, _unflat(quarters))
        for address, relation, first_ms, last_ms, quarters in tail.get("f", ())
    }
    return Messages(
        dict(tail.get("m", ())), senders, _unflat(tail.get("o", ())), _unflat(tail.get("d", ())), tail.get("s", -1)
    )


def _in_24h(quarters: ByQuarter[int], now_ms: int) -> int:
    newest = now_ms // QUARTER_MS
    return sum(count for at, count in quarters.items() if newest - QUARTERS_KEPT < at <= newest)


def _parts(text: str) -> list[str]:
    return [text[at : at + CODE_LENGTH] for at in range(0, len(text), CODE_LENGTH)]


def _flat(by_quarter: ByQuarter[T]) -> list[Any]:
    """One list of quarters and values in turn, each quarter as its distance from the one before: short in JSON."""
    flat: list[Any] = []
    before = 0
    for quarter in sorted(by_quarter):
        flat += (quarter - before, by_quarter[quarter])
        before = quarter
    return flat


def _unflat(flat: Any) -> ByQuarter[Any]:
    return dict(zip(accumulate(flat[::2]), flat[1::2], strict=True))
