"""One record as it was read from a topic."""

from typing import NamedTuple

from confluent_kafka import Message


class Record(NamedTuple):
    """
    A record with its position and raw bytes.

    `timestamp_ms` is the broker's clock on our topics (LogAppendTime). `live` is False for what was on the topic already
    when a view began to read.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    live: bool = True
    headers: tuple[tuple[str, bytes | None], ...] = ()


def from_message(message: Message) -> Record:
    """A librdkafka message without error as a record."""
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        True,
        _headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    found = message.headers() or ()
    pairs = found.items() if isinstance(found, dict) else found
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)
