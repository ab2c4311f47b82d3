"""
Whether Kafka is there, and where its partitions end: asked beside a reading that must not wait for it.

Decision: a client and a thread of its own. Kafka answers a connection in the order of its requests, so on the reader's each
partition's end came behind a fetch that waits for records: for 32 partitions 2.3 s, in which nothing was read.
"""

from collections.abc import Callable, Mapping

from confluent_kafka import Consumer

from streams.bus.asking import Asker
from streams.bus.clients import Heard
from streams.bus.partitions import Place, watermarks
from streams.errors import BrokerUnavailableError, TopicError
from streams.settings import Settings

EVERY_S = 3.0
"""How often: silence of a topic says nothing of the broker."""


class Ends:
    """
    Asks for the ends of the partitions that `positions` names, each with the offset that is read next.

    `known` has the ends as of the last look.
    """

    def __init__(self, settings: Settings, group: str, positions: Callable[[], Mapping[Place, int]]) -> None:
        self.known: dict[Place, int] = {}
        self._settings = settings
        self._positions = positions
        self._found: BrokerUnavailableError | TopicError | bool = False
        self._asker = Asker(settings, group, self._ask, every_s=EVERY_S, away_s=EVERY_S)

    def start(self) -> None:
        """Begin to ask; returns at once."""
        self._asker.start()

    def stop(self) -> None:
        """Ask no more; returns when the thread has ended."""
        self._asker.stop()

    def found(self) -> bool:
        """
        Whether Kafka has answered since this was called last.

        Raises BrokerUnavailableError when it did not, TopicError when a topic is not the one that was read.
        """
        found, self._found = self._found, False
        if isinstance(found, Exception):
            raise found
        return found

    def _ask(self, consumer: Consumer, heard: Heard) -> bool:  # noqa: ARG002 - as Asker calls it
        try:
            for place, position in dict(self._positions()).items():
                self._look(consumer, place, position)
        except BrokerUnavailableError as error:
            self._found = error
            return False
        except TopicError as error:
            self._found = error
        else:
            self._found = True
        return True

    def _look(self, consumer: Consumer, place: Place, position: int) -> None:
        """A first offset beyond the position says nothing: records that Kafka let go of may be in the reader's memory still."""
        _, end = watermarks(consumer, self._settings, place)
        self.known[place] = end
        if end < position:
            raise TopicError(f"topic {place[0]} was recreated or lost records: it is read again from its start")
