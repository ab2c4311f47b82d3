"""Records on their way to Kafka: what can be no record is counted, what cannot be sent now is waited for."""

import threading

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.connectors.log_delivery import Delivery
from streams.connectors.log_reader import Unreadable
from streams.connectors.log_records import Made
from streams.errors import RegistryUnavailableError
from streams.metrics import Metrics
from streams.records.codec import Codec
from tests.connectors.doors import read_all
from tests.connectors.mail_log_kit import login_line, records_of
from tests.kafka_clients import assert_at_most, kafka_clients, uncollected


class AwayTwice(Codec):
    """A codec whose registry answers at the third time."""

    asked = 0

    def encode(self, record, value):
        self.asked += 1
        if self.asked < 3:
            raise RegistryUnavailableError("the registry does not answer")
        return super().encode(record, value)


class AwayForTheSecond(Codec):
    """A codec whose registry answers for one record only when it was asked three times; notes how many producers there are."""

    def __init__(self, needed: str, producers: list[int]) -> None:
        super().__init__()
        self._needed, self._producers = needed, producers

    def encode(self, record, value):
        if value["id"] == self._needed:
            self._producers.append(kafka_clients())
            if len(self._producers) < 4:
                raise RegistryUnavailableError("the registry does not answer")
        return super().encode(record, value)


def delivery_of(broker, *, codec=None, stop=None):
    metrics = Metrics("logs")
    unreadable = Unreadable(metrics)
    return Delivery(broker.settings, codec or Codec(), metrics, unreadable, stop or threading.Event()), unreadable


def test_what_can_be_no_record_is_counted_and_the_rest_sent(embedded: EmbeddedBroker) -> None:
    """One bad record does not stop the others."""
    [good] = records_of([login_line(1).rstrip()])
    bad = Made(good.topic, good.record, {**good.value, "server": "x" * 5000})
    delivery, unreadable = delivery_of(embedded)

    assert delivery.deliver([bad, good], 1) is True

    assert sum(unreadable.reasons.values()) == 1
    assert [value for _, value in read_all(embedded.settings, "logins")] == [good.value]
    assert delivery.problem() is None


def test_a_registry_that_is_away_is_waited_for(embedded: EmbeddedBroker) -> None:
    """As Kafka is."""
    made = records_of([login_line(1).rstrip()])
    delivery, _ = delivery_of(embedded, codec=AwayTwice())

    assert delivery.deliver(made, 1) is True

    assert len(read_all(embedded.settings, "logins")) == 1


def test_the_producer_is_kept_while_the_registry_is_away(embedded: EmbeddedBroker) -> None:
    """A new one has threads and connections of its own; nor is anything sent before all can be."""
    [first, second] = records_of([login_line(1).rstrip(), login_line(2).rstrip()])
    counted: list[int] = []
    delivery, _ = delivery_of(embedded, codec=AwayForTheSecond(second.value["id"], counted))

    assert delivery.deliver([first, second], 1) is True

    assert max(counted) == counted[0]
    assert len(read_all(embedded.settings, "logins")) == 2


def test_producers_that_were_given_up_end(embedded: EmbeddedBroker) -> None:
    """With Kafka refusing all day there are not more and more of them, however seldom Python looks for garbage."""
    embedded.fail(PRODUCE, [87] * 3)  # INVALID_RECORD: not retried by librdkafka
    delivery, _ = delivery_of(embedded)

    with uncollected():
        before = kafka_clients()
        assert delivery.deliver(records_of([login_line(1).rstrip()]), 1) is True
        assert_at_most(before)


def test_a_stop_ends_the_waiting(embedded: EmbeddedBroker) -> None:
    """And says that not everything arrived."""
    stop = threading.Event()
    stop.set()
    delivery, _ = delivery_of(embedded, codec=AwayTwice(), stop=stop)

    assert delivery.deliver(records_of([login_line(1).rstrip()]), 0.1) is False
    assert "the registry does not answer" in delivery.problem()
