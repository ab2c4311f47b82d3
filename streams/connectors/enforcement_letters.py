"""
What no receiver took goes to `dead-letters`, and is finished when Kafka has acknowledged that.

Decision: the letter of an order names the receiver in place of the topic, so that nobody can write it back to `blocks`, where
it would be the newest word on that account.
"""

from collections import OrderedDict
from collections.abc import Callable

from streams.bus.record import Record
from streams.connectors.letter_box import LetterBox
from streams.core.refusal import Refused
from streams.metrics import Metrics
from streams.records.letters import UNKNOWN
from streams.settings import Settings

REMEMBERED = 10_000

Finished = Callable[[list[Record]], None]
Place = tuple[str, int, int]


class Letters(LetterBox):
    """The dead letters of all receivers."""

    def __init__(self, settings: Settings, metrics: Metrics, *, lost: Callable[[], None]) -> None:
        super().__init__(settings, "enforcement", metrics, lost=lost, max_record_bytes=settings.max_record_bytes)
        self._refusing: dict[Place, list[Finished]] = {}
        self._refused: OrderedDict[Place, None] = OrderedDict()

    def refuse(self, record: Record, refusal: Refused, finished: Finished) -> None:
        """A record that is no block: one letter, although every receiver reads it."""
        place = (record.topic, record.partition, record.offset)
        if place in self._refused:
            finished([record])
        elif place in self._refusing:
            self._refusing[place].append(finished)
        else:
            self._refusing[place] = [finished]
            self.post(place, record, record.value, refusal, lambda: self._refusal_through(place, record))

    def _refusal_through(self, place: Place, record: Record) -> None:
        self._refused[place] = None
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)
        for finished in self._refusing.pop(place):
            finished([record])

    def bury(self, receiver: str, records: list[Record], raw: bytes, refusal: Refused, finished: Finished) -> None:
        """An order that this receiver will not have. The records are finished when that is on the topic."""
        first = records[0]
        sentence = f"{refusal} (block at {first.topic}/{first.partition}/{first.offset})"
        letter = Refused(refusal.reason, sentence)
        self.post((receiver, UNKNOWN, UNKNOWN), first, raw, letter, lambda: finished(records))
