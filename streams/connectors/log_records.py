"""
From what lines say to records: Logins, and Submissions joined from two lines of Postfix by host and queue id.

Decision: the id of a record is a UUIDv5 of the line as it was written (of its time, host and text in the journal), never of
file, offset or moment of reading. So a line that is read again, from a rotated or compressed copy too, makes the same
record. A message counts when qmgr takes it in first; qmgr's line comes again at each later attempt and finds nothing then.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from streams.connectors.log_frames import Frame
from streams.connectors.log_lines import ClientLine, LoginLine, QueuedLine, Said
from streams.core.accounts import canonical_account
from streams.core.addresses import format_address, parse_address
from streams.core.refusal import Refused
from streams.topology import LOGINS, SUBMISSIONS

REPLACEMENT = "\ufffd"
"""Stands where bytes were no UTF-8: such a name is nobody's."""
LONGEST_SENDER = 320
LONGEST_HOST = 256
MOST_WAITING = 10_000
LONGEST_WAIT_MS = 3_600_000
"""smtpd gives up a client that is slow to send its message long before."""
MOST_RECIPIENTS = (1 << 31) - 1

_LOGIN_IDS = hashlib.sha1(UUID("6f5b7a0e-6c1d-5a53-9a5e-3a0b6a1f0c11").bytes, usedforsecurity=False)
_SUBMISSION_IDS = hashlib.sha1(UUID("6f5b7a0e-6c1d-5a53-9a5e-3a0b6a1f0c12").bytes, usedforsecurity=False)


class Event(NamedTuple):
    """What one line says, with its frame's time and host, and what identifies the line wherever it is read."""

    time_ms: int
    host: str
    said: Said
    identity: bytes


class Made(NamedTuple):
    """A record for a topic; its value has an `account`, which is its key."""

    topic: str
    record: str
    value: dict[str, Any]


class Waiting(NamedTuple):
    """A message that Postfix began to take: whose it is. Kept across restarts."""

    host: str
    queue_id: str
    time_ms: int
    account: str
    ip: str
    id: str


class RecordMaker:
    """
    Makes records of events in the order of time, whatever files they come from.

    At most `most_waiting` begun messages are remembered, each for an hour of its host's time; `let_go` counts the others.
    """

    def __init__(
        self,
        *,
        default_domain: str = "",
        failed_logins: bool = True,
        waiting: Sequence[Waiting] = (),
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._default_domain = default_domain
        self._failed_logins = failed_logins
        self._most = most_waiting
        self._waiting = OrderedDict(((one.host, one.queue_id), one) for one in waiting[-most_waiting:])
        self.let_go = 0

    def waiting(self) -> list[Waiting]:
        """The messages begun and not yet taken, oldest first."""
        return list(self._waiting.values())

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, event: Event) -> Made | None:
        """
        The record that follows from this line; None where none does (yet).

        Raises Refused for a login whose account or address cannot be used.
        """
        said = event.said
        if isinstance(said, QueuedLine):
            return self._submission(event, said)
        if isinstance(said, ClientLine):
            return self._client(event, said)
        if not said.success and not (said.name and self._failed_logins):
            return None
        return self._login(event, said)

    def _login(self, event: Event, said: LoginLine) -> Made:
        value = {
            "time": event.time_ms,
            "account": _account(said.name, self._default_domain),
            "ip": _address(said.address),
            "success": said.success,
            "service": said.service,
            "id": _id(_LOGIN_IDS, event.identity),
            "session": said.session,
            "server": _clean(event.host)[:LONGEST_HOST] or None,
            "client": None,
            "failure": said.failure,
        }
        return Made(LOGINS.name, LOGINS.record, value)

    def _client(self, event: Event, said: ClientLine) -> Made:
        made = self._login(event, LoginLine(said.name, said.address, success=True, service="smtp"))
        if said.queue_id:
            key = (event.host, said.queue_id)
            login_id = _id(_SUBMISSION_IDS, event.identity)
            self._waiting.pop(key, None)
            self._waiting[key] = Waiting(*key, event.time_ms, made.value["account"], made.value["ip"], login_id)
            self._forget(event)
        return made

    def _forget(self, event: Event) -> None:
        """Let go of the oldest: those over the bound, and those too old by the time of the same host, the only one it knows."""
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            too_old = oldest.host == event.host and event.time_ms - oldest.time_ms >= LONGEST_WAIT_MS
            if len(self._waiting) <= self._most and not too_old:
                return
            self._waiting.popitem(last=False)
            self.let_go += 1

    def _submission(self, event: Event, said: QueuedLine) -> Made | None:
        begun = self._waiting.pop((event.host, said.queue_id), None)
        if begun is None:
            return None
        if event.time_ms - begun.time_ms > LONGEST_WAIT_MS:  # another message: short queue ids are used again
            self.let_go += 1
            return None
        value = {
            "time": event.time_ms,
            "account": begun.account,
            "sender": _clean(said.sender)[:LONGEST_SENDER],
            "recipients": min(said.recipients, MOST_RECIPIENTS),
            "accepted": True,
            "id": begun.id,
            "ip": begun.ip,
            "queue_id": begun.queue_id,
            "size": said.size,
        }
        return Made(SUBMISSIONS.name, SUBMISSIONS.record, value)


def identity_of(line: bytes, frame: Frame) -> bytes:
    """What is the same wherever this line is read. Fields of the journal may come in any order."""
    if line[:1] == b"{":
        return f"{frame.time_ms}\0{frame.host}\0{frame.program}\0{frame.message}".encode(errors="replace")
    return line


@lru_cache(maxsize=100_000)
def _account(name: str, default_domain: str) -> str:
    if REPLACEMENT in name:
        raise Refused("bad-account", "the name in the line is no UTF-8")
    return canonical_account(name, default_domain)


@lru_cache(maxsize=100_000)
def _address(text: str) -> str:
    return format_address(parse_address(text))


def _clean(text: str) -> str:
    """Postfix writes ? for what is not printable; so do we where something else slipped in."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _id(namespace: Any, content: bytes) -> str:
    """A UUIDv5 (RFC 9562, 5.5) of these bytes, ten times as fast as `uuid.uuid5`."""
    digest = namespace.copy()
    digest.update(content)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"
