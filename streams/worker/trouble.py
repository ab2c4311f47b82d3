"""What the two ways of sending (`delivery`, `state_delivery`) say of a Kafka that does not take records, for log and health."""

from time import monotonic

import structlog

log = structlog.get_logger(__name__)

MOST_REASONS = 10
"""In the log for one trouble: some hold addresses and times."""


class Trouble:
    """
    Why Kafka does not take records at the moment: in the log each reason once, and a line when they are taken again.

    A broker that dies is first not reached and then a copy too few: the reason that lasts need not be the first. Written by
    the event loop; `sentence` is None while all is well, and any thread may read it.
    """

    def __init__(self) -> None:
        self.sentence: str | None = None
        self._topic = ""
        self._told: list[str] = []
        self._since = 0.0

    def goes_on(self, topic: str, why: str) -> None:
        """Records of a topic were refused or got no answer, and will be sent again."""
        if self.sentence is None:
            self._told, self._since = [], monotonic()
        if why not in self._told and len(self._told) < MOST_REASONS:
            self._told.append(why)
            log.warning("Kafka does not take records: they are sent again until it does", topic=topic, reason=why)
        self._topic = topic
        self.sentence = f"Kafka does not take records of {topic}: {why}"

    def over(self) -> None:
        """All records were taken."""
        if self.sentence is not None:
            log.info("Kafka takes records again", topic=self._topic, seconds=round(monotonic() - self._since, 1))
        self.sentence = None

    def given_up(self) -> None:
        """The records are not sent any more; who gave them up says why."""
        self.sentence = None
