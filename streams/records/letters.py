"""A dead letter: the record of what could not be used, with its bytes, where it came from and why."""

import hashlib
import json
import uuid
from typing import Any

from streams.core.episodes import NAMESPACE
from streams.core.refusal import Refused

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
    largest: int = 1 << 16,
) -> dict[str, Any]:
    """
    The DeadLetter of one refused record. Its id is derived from where it stood, or from its bytes, so that a repetition is known.

    Bytes over `largest` are cut, and the detail says so.
    """
    detail = str(refusal)
    if raw is not None and len(raw) > largest:
        detail += f" (the first {largest} of {len(raw)} bytes are kept)"
    place = [topic, partition, offset] if offset >= 0 else [topic, hashlib.sha256(raw or b"").hexdigest()]
    return {
        "id": str(uuid.uuid5(NAMESPACE, json.dumps(["dead-letter", *place]))),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "time": time_ms,
        "reason": refusal.reason,
        "detail": detail,
        "key": None if key is None else key[:largest],
        "raw": None if raw is None else raw[:largest],
        "process": process,
    }
