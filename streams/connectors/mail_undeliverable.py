"""
What cannot be mailed goes to `dead-letters`, and is finished when Kafka has acknowledged that.

Decision: a dead letter of a mail holds the notification with only the recipient who was not told, so that sending it again
tells nobody twice.
"""

from collections.abc import Callable, Mapping
from typing import Any

from streams.bus.record import Record
from streams.connectors.letter_box import LetterBox
from streams.connectors.mail_outbox import Notice, finish
from streams.core.refusal import Refused
from streams.errors import BadRecordError
from streams.metrics import Metrics
from streams.records.codec import Codec
from streams.records.letters import UNKNOWN
from streams.settings import Settings
from streams.topology import NOTIFICATIONS

LARGEST = 1_000_000
"""A notification with all its networks may be larger than what is taken from outside; cut, it could not be resent."""


class Undeliverable(LetterBox):
    """The dead letters of a mailer; `finished` is told the records that are done by them."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        finished: Callable[[list[Record]], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(settings, "mailer", metrics, lost=lost, max_record_bytes=LARGEST)
        self._finished = finished
        self._single_objects = Codec()

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is no notification."""
        place = (record.topic, record.partition, record.offset)
        self._post(Notice(record), place, record.value, refusal)

    def bury(self, notice: Notice, notification: Mapping[str, Any], recipients: list[str], refusal: Refused) -> None:
        """These recipients of a notification are not told, because of `refusal`. The notice stays open until acknowledged."""
        record = notice.record
        try:
            raw = self._single_objects.encode(NOTIFICATIONS.record, {**notification, "recipients": recipients})
        except BadRecordError:  # text that JSON can hold and UTF-8 cannot: better all recipients again than nothing
            raw = record.value or b""
        # the id is of the bytes, since several recipients of one position need several ids
        place = (record.topic, UNKNOWN, UNKNOWN)
        sentence = f"{refusal} (notification at {record.topic}/{record.partition}/{record.offset})"
        self._post(notice, place, raw, Refused(refusal.reason, sentence))

    def _post(self, notice: Notice, place: tuple[str, int, int], raw: bytes | None, refusal: Refused) -> None:
        notice.open += 1
        self.post(place, notice.record, raw, refusal, lambda: self._finished(finish([notice])))
