"""What the model knows of the messages an account sent: every one that was new, recounted at every question."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.model.values import QUARTER_MS, Wrong, canonical_account

DAY_OF_QUARTERS = 96


@dataclass(frozen=True)
class Message:
    """An accepted message at its judged time, and the `now` at which it was read."""

    time: int
    now: int
    sender: tuple[str, str] | None
    """Address and relation of a foreign sender."""
    name: str | None

    @property
    def quarter(self) -> int:
        """The quarter hour of its time."""
        return self.time // QUARTER_MS

    @property
    def oldest(self) -> int:
        """The first quarter hour that counted when it was read: that of its `now`, and 95 before."""
        return self.now // QUARTER_MS - DAY_OF_QUARTERS + 1


@dataclass
class Messages:
    """The messages of one account, in the order read."""

    account: str
    all: list[Message] = field(default_factory=list)

    def read(self, value: dict[str, Any], time: int, now_ms: int) -> None:
        """One accepted submission; one that is too old, or was told before, is none."""
        name = value.get("queue_id") or value.get("id")
        message = Message(time, now_ms, foreign(self.account, value["sender"]), name)
        told = any(
            name and name == known.name and abs(known.quarter - message.quarter) <= 1
            for known in self.all
            if known.quarter >= message.oldest
        )
        if message.quarter >= message.oldest and not told:
            self.all.append(message)

    def in_24h(self, now_ms: int) -> list[Message]:
        """Those whose time falls in the quarter hour of `now` or the 95 before it."""
        quarter = now_ms // QUARTER_MS
        return [message for message in self.all if quarter - 95 <= message.quarter <= quarter]

    def record(self, now_ms: int) -> dict[str, Any]:
        """What incidents say of them."""
        recent = self.in_24h(now_ms)
        as_others = [message for message in recent if message.sender]
        senders = {message.sender for message in as_others if message.sender}
        listed = [self._listed(sender, [one.time for one in as_others if one.sender == sender]) for sender in senders]
        return {
            "messages_24h": len(recent),
            "foreign_messages_24h": len(as_others),
            "foreign_senders": sorted(listed, key=lambda one: (-one["messages"], -one["last"], one["sender"])),
        }

    def _listed(self, sender: tuple[str, str], times: list[int]) -> dict[str, Any]:
        address, relation = sender
        known = list(self._in_use(sender))
        return {
            "sender": address,
            "relation": relation,
            "messages": len(times),
            "first": min(known),
            "last": max(known),
        }

    def _in_use(self, sender: tuple[str, str]) -> Iterator[int]:
        """Times of its messages since it was last forgotten: when a message was read and none of its own was recent."""
        since = 0
        for number, message in enumerate(self.all):
            earlier = self.all[since:number]
            if not any(one.sender == sender and one.quarter >= message.oldest for one in earlier):
                since = number
        for message in self.all[since:]:
            if message.sender == sender:
                yield message.time


def foreign(account: str, sender: str) -> tuple[str, str] | None:
    """A sender that is not the account's own, in canonical form, and what it is to the account."""
    if not sender:
        return None
    try:
        address = canonical_account(sender, "")
    except Wrong:
        return sender, "malformed"
    local, _, domain = address.rpartition("@")
    if account in (address, f"{local.split('+')[0]}@{domain}"):
        return None
    return address, "domain" if domain == account.rpartition("@")[2] else "foreign"
