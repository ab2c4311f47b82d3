"""A dead letter: the record of what could not be used, with its bytes, where it came from and why."""

import hashlib
import json
import uuid
from typing import Any

from streams.core.episodes import NAMESPACE
from streams.core.refusal import Refused

MOST_DETAIL = 1_000  # characters
MOST_KEY = 1_000
"""Bytes of a key that are kept; it stands twice in what is sent, and an account's name is far shorter."""
UNKNOWN = -1
"""Partition or offset of what did not come from Kafka."""


def dead_letter(
    refusal: Refused,
    *,
    topic: str,
    partition: int,
    offset: int,
    time_ms: int,
    key: bytes | None,
    raw: bytes | None,
    process: str,
    receiver: str = "",
    largest: int = 1 << 16,
) -> dict[str, Any]:
    """
    The DeadLetter of one refused record; a key over `MOST_KEY` and bytes over `largest` are cut, and the detail says so.

    Its own key on the topic shall be the `key` that it has: that of the record may be larger than Kafka takes with the rest.

    `partition` and `offset` are -1 where it came by another way than Kafka. `receiver` is who refused it, where each of several
    receivers of a record has its own answer.
    """
    detail = str(refusal)[:MOST_DETAIL]
    for name, part, most in (("key", key, MOST_KEY), ("value", raw, largest)):
        if part is not None and len(part) > most:
            detail += f" (the first {most} of {len(part)} bytes of the {name} are kept)"
    return {
        "id": letter_id(topic, partition, offset, raw, receiver),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "time": time_ms,
        "reason": refusal.reason,
        "detail": detail,
        "key": None if key is None else key[:MOST_KEY],
        "raw": None if raw is None else raw[:largest],
        "process": process,
    }


def letter_id(topic: str, partition: int, offset: int, raw: bytes | None, receiver: str = "") -> str:
    """
    The id of a dead letter: of its position, or of its bytes where the position is unknown, and of its receiver if it has one.

    A record refused again after a crash, or by another process, has the same id; one that two receivers refuse has two, or the
    letter of one would hide that of the other.

    >>> letter_id("logins", 3, 14, None) == letter_id("logins", 3, 14, b"anything")
    True
    >>> letter_id("blocks", 3, 14, None, "webhook-a") == letter_id("blocks", 3, 14, None, "webhook-b")
    False
    """
    place = [topic, partition, offset] if offset >= 0 else [topic, hashlib.sha256(raw or b"").hexdigest()]
    if receiver:
        place.append(receiver)
    return str(uuid.uuid5(NAMESPACE, json.dumps(["dead-letter", *place])))
