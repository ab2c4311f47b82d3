"""
Which mail is sent next, and which notifications are finished: pure, the time comes with every call.

Decision: every recipient has a queue of its own, with its own backoff and its own hourly rate, so that neither a recipient
who refuses nor one who is told too much delays anybody else. Mails beyond their recipients' rate take at most half of the
places, or a few busy recipients would fill the box for days and reading would pause for everybody; what is more is for the
dead letters. The server has a backoff too, that holds everybody. A notification is finished when each of its mails is
delivered or in the dead letters, and only then may be committed; the price is that a restart may repeat what stood behind
a waiting one, which the Message-ID shows.

All times are milliseconds of one monotonic clock.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from streams.bus.record import Record
from streams.connectors.mail_address import Address

HOUR_MS = 3_600_000
REMEMBERED = 50_000
"""Message-IDs of delivered mails that are kept to recognise a repetition, about 8 MB."""


@dataclass(eq=False)
class Notice:
    """A notification in hand: the record as read, and how many of its mails and dead letters are still on their way."""

    record: Record
    open: int = 0


@dataclass(frozen=True)
class Backoff:
    """Waits after failures: `first_ms`, doubled each time, at most `most_ms`."""

    first_ms: int
    most_ms: int

    def after(self, failures: int) -> int:
        """The wait after this many failures in a row, in milliseconds.

        >>> [Backoff(1000, 5000).after(failures) for failures in (1, 2, 3, 4, 2000)]
        [1000, 2000, 4000, 5000, 5000]
        """
        return min(self.first_ms << min(failures - 1, 40), self.most_ms)


@dataclass(frozen=True)
class Patience:
    """How long and how often is tried: greylisting wants minutes, a server that restarts seconds."""

    recipient: Backoff = Backoff(30_000, 900_000)
    server: Backoff = Backoff(1_000, 60_000)
    give_up_ms: int = 24 * HOUR_MS


@dataclass(eq=False)
class Pending:
    """One mail to one recipient, not yet written; more than one notice when the notification was read again meanwhile."""

    address: Address
    message_id: str
    notices: list[Notice]
    read_ms: int = 0
    tries: int = 0
    not_before_ms: int = 0
    failing_since_ms: int | None = None
    held: bool = False
    """Beyond its recipient's rate when it was read: it waits for an hour to pass."""


@dataclass
class _Recipient:
    """A recipient with mails waiting, by Message-ID, oldest first."""

    waiting: dict[str, Pending] = field(default_factory=dict)
    failures: int = 0
    not_before_ms: int = 0


@dataclass(frozen=True)
class Added:
    """What became of a notification's mails: repeated ones are dropped, `held` must wait, `surplus` cannot be kept."""

    repeated: int
    held: int
    surplus: tuple[Pending, ...]


class Outbox:
    """The mails in hand. Not thread-safe."""

    def __init__(self, *, rate: int, most: int, patience: Patience) -> None:
        """`rate` is mails per hour and recipient, `most` the number of mails at which reading must pause."""
        self._rate = rate
        self._most = most
        # what would wait longer than a refused mail is retried is not worth waiting for; nobody may fill the box alone
        self._most_each = max(1, min(most // 4, rate * max(1, patience.give_up_ms // HOUR_MS)))
        self._patience = patience
        self._recipients: OrderedDict[str, _Recipient] = OrderedDict()
        self._sent: dict[str, deque[int]] = {}
        self._pending: dict[str, Pending] = {}
        self._held = 0
        self._delivered_ids: OrderedDict[str, None] = OrderedDict()
        self._server_failures = 0
        self._server_failing_since_ms: int | None = None
        self._server_not_before_ms = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._pending.values())

    @property
    def full(self) -> bool:
        """Must reading pause?"""
        return len(self) >= self._most

    @property
    def server_failing(self) -> bool:
        """Has the server refused or not answered since the last time it took a mail?"""
        return self._server_failures > 0

    def add(self, mails: Iterable[Pending], now_ms: int) -> Added:
        """Take these mails. Each that is kept holds its notices open until `done`."""
        repeated, held, surplus = 0, 0, []
        for mail in mails:
            if (same := self._pending.get(mail.message_id)) is not None:
                # not finished before the first one is, or a commit would pass it
                same.notices.extend(mail.notices)
                _open(mail.notices)
                repeated += 1
            elif mail.message_id in self._delivered_ids:
                repeated += 1
            elif self._keep(mail, now_ms):
                held += mail.held
            else:
                surplus.append(mail)
        return Added(repeated, held, tuple(surplus))

    def next_due(self, now_ms: int) -> Pending | None:
        """A mail to send now, from the recipient that has waited longest for a turn; None when all must wait."""
        if self._server_not_before_ms > now_ms:
            return None
        for name, recipient in self._recipients.items():
            if self._recipient_due(name, recipient, now_ms) <= now_ms:
                self._recipients.move_to_end(name)
                return next(mail for mail in recipient.waiting.values() if mail.not_before_ms <= now_ms)
        return None

    def wait_ms(self, now_ms: int) -> int | None:
        """How long until a mail or a probe is due, at least 0; None when there is none."""
        dues = [self._recipient_due(name, recipient, now_ms) for name, recipient in self._recipients.items()]
        if not dues and not self.server_failing:
            return None
        return max(0, min(dues, default=0) - now_ms, self._server_not_before_ms - now_ms)

    def delivered(self, mail: Pending, now_ms: int) -> list[Record]:
        """The server has taken it. The records of the notifications that are finished by it."""
        self.server_answered()
        if recipient := self._recipients.get(mail.address.spec):
            recipient.failures, recipient.not_before_ms = 0, 0
        self._sent.setdefault(mail.address.spec, deque()).append(now_ms)
        self._delivered_ids[mail.message_id] = None
        if len(self._delivered_ids) > REMEMBERED:
            self._delivered_ids.popitem(last=False)
        return self.done(mail)

    def failed(self, mail: Pending, now_ms: int) -> bool:
        """The server refused it for now; it is tried again later. True when that has gone on for too long."""
        mail.tries += 1
        mail.not_before_ms = now_ms + self._patience.recipient.after(mail.tries)
        mail.failing_since_ms = now_ms if mail.failing_since_ms is None else mail.failing_since_ms
        if recipient := self._recipients.get(mail.address.spec):
            recipient.failures += 1
            recipient.not_before_ms = now_ms + self._patience.recipient.after(recipient.failures)
        return self._waited_ms(mail, now_ms) >= self._patience.give_up_ms

    def server_failed(self, now_ms: int) -> list[Pending]:
        """No mail can be sent at all; all wait. The mails that have waited too long for the server."""
        self._server_failures += 1
        self._server_not_before_ms = now_ms + self._patience.server.after(self._server_failures)
        if self._server_failing_since_ms is None:
            self._server_failing_since_ms = now_ms
        return [mail for mail in self if self._waited_ms(mail, now_ms) >= self._patience.give_up_ms]

    def server_answered(self) -> None:
        """The server accepts connections and our name: whatever it says of a mail is about that mail."""
        self._server_failures, self._server_not_before_ms, self._server_failing_since_ms = 0, 0, None

    def done(self, mail: Pending) -> list[Record]:
        """This mail is delivered, or its dead letter is: the records of the notifications that are finished by it."""
        held = self.take_out(mail)
        return [] if held is None else finish(held.notices)

    def take_out(self, mail: Pending) -> Pending | None:
        """Send this mail no more; its notices stay open. None when it is not in hand."""
        # after a partition went and came back the same mail may be in hand as another object
        held = self._pending.pop(mail.message_id, None)
        recipient = self._recipients.get(mail.address.spec)
        if held is None or recipient is None:
            return None
        self._held -= held.held
        recipient.waiting.pop(mail.message_id)
        if not recipient.waiting:
            del self._recipients[mail.address.spec]
        return held

    def oldest_timestamp_ms(self) -> int | None:
        """Kafka's timestamp of the oldest notification with a mail in hand."""
        return min((mail.notices[0].record.timestamp_ms for mail in list(self)), default=None)

    def keep_only(self, partitions: Collection[tuple[str, int]]) -> None:
        """All other partitions belong to another mailer now, which begins at what was committed."""
        for mail in list(self):
            mine = [notice for notice in mail.notices if (notice.record.topic, notice.record.partition) in partitions]
            if mine:
                mail.notices = mine
            else:
                self.take_out(mail)

    def probe_due(self, now_ms: int) -> bool:
        """Should the failing server be asked, since there is no mail to try it with?"""
        return self.server_failing and not self._pending and self._server_not_before_ms <= now_ms

    def sweep(self, now_ms: int) -> None:
        """Forget the rate of those who were sent nothing for an hour."""
        for name in list(self._sent):
            if self._sent_lately(name, now_ms) == 0:
                del self._sent[name]

    def _waiting(self, mail: Pending) -> int:
        recipient = self._recipients.get(mail.address.spec)
        return len(recipient.waiting) if recipient else 0

    def _keep(self, mail: Pending, now_ms: int) -> bool:
        """False: no place. Nobody may fill the box alone, nor may all those together who are told more than their rate."""
        waiting = self._waiting(mail)
        mail.held = waiting + self._sent_lately(mail.address.spec, now_ms) >= self._rate
        if waiting >= self._most_each or (mail.held and 2 * self._held >= self._most):
            return False
        mail.read_ms = now_ms
        self._held += mail.held
        self._recipients.setdefault(mail.address.spec, _Recipient()).waiting[mail.message_id] = mail
        self._pending[mail.message_id] = mail
        _open(mail.notices)
        return True

    def _recipient_due(self, name: str, recipient: _Recipient, now_ms: int) -> int:
        own = min(mail.not_before_ms for mail in recipient.waiting.values())
        return max(own, recipient.not_before_ms, self._rate_allows_ms(name, now_ms))

    def _rate_allows_ms(self, name: str, now_ms: int) -> int:
        """When the recipient may be sent another mail: at most `rate` in any hour, exactly."""
        if self._sent_lately(name, now_ms) < self._rate:
            return 0
        return self._sent[name][-self._rate] + HOUR_MS

    def _sent_lately(self, name: str, now_ms: int) -> int:
        sent = self._sent.get(name)
        if sent is None:
            return 0
        while sent and sent[0] <= now_ms - HOUR_MS:
            sent.popleft()
        return len(sent)

    def _waited_ms(self, mail: Pending, now_ms: int) -> int:
        """How long the mail has been refused, by the server's silence or for itself. Waiting for the rate does not count."""
        since = [] if mail.failing_since_ms is None else [mail.failing_since_ms]
        if self._server_failing_since_ms is not None:
            since.append(max(self._server_failing_since_ms, mail.read_ms))
        return now_ms - min(since) if since else 0


def finish(notices: Iterable[Notice]) -> list[Record]:
    """One mail or dead letter of these notices is through: the records of those that have no other left."""
    finished = []
    for notice in notices:
        notice.open -= 1
        if notice.open == 0:
            finished.append(notice.record)
    return finished


def _open(notices: Iterable[Notice]) -> None:
    for notice in notices:
        notice.open += 1
