"""Dead letters of the panel."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.record import Record
from streams.bus.tail import tail
from streams.core.refusal import Refused
from streams.errors import DeliveryError
from streams.metrics import Metrics
from streams.panel.store.letters import Letters
from streams.topology import DEAD_LETTERS
from tests.panel.store.feeding import CODEC
from tests.panel.store.population import START_MS

REFUSED = Refused("unstorable", "for a test")


def test_a_letter_that_cannot_be_sent_does_not_stop_the_next_one(embedded: EmbeddedBroker) -> None:
    """A producer remembers what it lost and takes nothing more: the next letter has one of its own."""
    settings = embedded.settings.model_copy(update={"max_record_bytes": 1_000_000})
    letters = Letters(settings, CODEC, Metrics("panel"))
    with pytest.raises(DeliveryError):
        letters.write(Record("incidents", 0, 0, START_MS, b"key", bytes(1_000_000)), REFUSED)

    letters.write(Record("incidents", 0, 1, START_MS, b"key", b"raw"), REFUSED)
    letters.flush()

    letters.close()
    assert [record.key for record in tail(settings, [DEAD_LETTERS])] == [b"key"]
