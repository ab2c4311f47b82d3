"""Reports on their way to Kafka: the fate of each is known."""

import pytest

from streams.bus.embedded import PRODUCE
from streams.connectors.report_sender import ReportSender
from streams.core.refusal import Refused
from streams.errors import RegistryUnavailableError
from streams.metrics import Metrics
from tests.connectors.doors import CODEC, now_ms, read_all, wait_for
from tests.kafka_clients import kafka_clients, uncollected

OUT_OF_ORDER_SEQUENCE_NUMBER = 45  # Kafka's error code after which an idempotent producer gives up


@pytest.fixture
def metrics():
    return Metrics("gateway")


@pytest.fixture
def sender(embedded, metrics):
    sender = ReportSender(embedded.settings, CODEC, metrics)
    yield sender
    sender.close(20)


def login(account="alice@example.org", **fields):
    return {
        "time": now_ms(), "account": account, "ip": "192.0.2.1", "success": True, "service": "imap", "id": "x",
        "session": None, "server": None, "client": None, "failure": None, **fields,
    }  # fmt: skip


def count(metrics, outcome):
    return metrics.registry.get_sample_value("loginwatch_reports_total", {"outcome": outcome}) or 0


def polled(sender, condition):
    def poll():
        sender.poll()
        return condition()

    wait_for(poll, "the fate of the reports")


def test_a_report_is_counted_when_sent_and_when_acknowledged(embedded, sender, metrics):
    """And waits in between."""
    sender.send(login())
    assert (sender.waiting, count(metrics, "login"), count(metrics, "delivered")) == (1, 1, 0)

    polled(sender, lambda: sender.waiting == 0)

    assert count(metrics, "delivered") == 1
    assert sender.problem() is None
    assert [key for key, _ in read_all(embedded.settings, "logins")] == [b"alice@example.org"]


def test_a_dead_letter_says_why(embedded, sender, metrics):
    """It names the topic it was meant for, this process and the reason, and is counted like a report."""
    sender.refuse(b'{"account":"alice"}', now_ms(), Refused("bad-account", "no domain"))
    polled(sender, lambda: sender.waiting == 0)

    [(_, letter)] = read_all(embedded.settings, "dead-letters")
    assert (letter["topic"], letter["process"], letter["reason"]) == ("logins", "gateway", "bad-account")
    assert (letter["raw"], letter["detail"]) == (b'{"account":"alice"}', "no domain")
    assert count(metrics, "dead_letter") == 1


def test_a_producer_that_gave_up_is_replaced(embedded, sender, metrics):
    """What it held is counted as lost and its threads end; the next report is delivered by its successor."""
    embedded.fail(PRODUCE, [OUT_OF_ORDER_SEQUENCE_NUMBER])
    with uncollected():
        clients = kafka_clients()
        sender.send(login())
        polled(sender, lambda: count(metrics, "lost") == 1)

        sender.send(login("bob@example.org"))
        polled(sender, lambda: sender.waiting == 0)
        wait_for(lambda: kafka_clients() <= clients, "the old producer to end")

    assert b"bob@example.org" in [key for key, _ in read_all(embedded.settings, "logins")]
    assert count(metrics, "lost") == 1


def test_reports_for_a_producer_that_gave_up_are_dropped_and_counted_once(embedded, sender, metrics):
    """Between the fault and the successor a report has no place; the numbers still add up."""
    embedded.fail(PRODUCE, [OUT_OF_ORDER_SEQUENCE_NUMBER])
    sent = []

    def send():
        sender.send(login())
        sent.append(1)
        return count(metrics, "dropped")

    wait_for(send, "a report without a place")

    assert sender.waiting + count(metrics, "dropped") == len(sent)


def test_a_registry_that_is_away_at_the_start_delays_nothing(embedded, metrics):
    """Logins are then written in single-object encoding, which every reader takes."""

    class Away:
        def encode(self, record, value):
            raise RegistryUnavailableError("the registry does not answer")

    sender = ReportSender(embedded.settings, Away(), metrics)
    sender.send(login())

    assert sender.close(20) == 0
    assert len(read_all(embedded.settings, "logins")) == 1


def test_a_login_that_cannot_be_encoded_is_refused(sender):
    """The caller makes a dead letter of it; nothing waits."""
    with pytest.raises(Refused):
        sender.send(login(client="a\x00b"))

    assert sender.waiting == 0
