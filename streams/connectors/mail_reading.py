"""Notifications off their topic."""

from typing import Any, Protocol

from streams.bus.record import Record
from streams.connectors.topic_reader import SESSION_TIMEOUT_MS, Taker, TopicReader
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import NOTIFICATIONS

Notification = dict[str, Any]


class NotificationTaker(Taker, Protocol):
    """Who takes the notifications."""

    def take(self, record: Record, notification: Notification) -> None:
        """A notification."""


class NotificationReader(TopicReader[NotificationTaker]):
    """All mailers of an installation share the topic."""

    def __init__(self, settings: Settings, codec: Codec, *, session_timeout_ms: int = SESSION_TIMEOUT_MS) -> None:
        super().__init__(settings, codec, NOTIFICATIONS, "mailer", session_timeout_ms=session_timeout_ms)

    def hand_over(self, taker: NotificationTaker, record: Record, value: dict[str, Any]) -> None:
        """Give the taker a notification."""
        taker.take(record, value)
