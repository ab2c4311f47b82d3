"""Questions about accounts and their answers."""

from pathlib import Path

import pytest

from streams.bus.answers import Answers
from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.core.policy import EffectivePolicy
from streams.errors import BrokerUnavailableError, ConfigurationError
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import VIEWS
from tests.bus.certificates import make_certificates
from tests.eventually import eventually


def test_an_answer_is_known_by_its_question(embedded: EmbeddedBroker) -> None:
    """Others on the same topic, and bytes that are no view, are passed over."""
    codec, producer = Codec(), Producer(embedded.settings)
    view = {
        "account": "user@example.org",
        "time": 1,
        "messages_24h": 0,
        "ignored_logins": 0,
        "policy": EffectivePolicy().to_record(),
        "networks": [],
    }

    def answer() -> None:
        for raw in (
            b"garbage",
            *(codec.encode("AccountView", {**view, "request": name}) for name in ("other", "mine")),
        ):
            producer.send(VIEWS.name, raw, key="user@example.org")
        producer.flush(10)

    with Answers(embedded.settings, codec) as answers:
        found = answers.ask("mine", answer, 20)
        nothing = answers.ask("never asked", lambda: None, 0.1)

    assert found is not None
    assert found["request"] == "mine"
    assert nothing is None


def test_without_kafka_a_context_says_so_and_a_thread_waits(embedded: EmbeddedBroker) -> None:
    """A command ends with the reason; a process goes on trying, and shows the reason until it is over."""
    nowhere = Settings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(BrokerUnavailableError), Answers(nowhere, Codec()):
        pass

    embedded.down()
    answers = Answers(embedded.settings, Codec())
    answers.start()
    eventually(lambda: answers.last_error, 30)
    assert answers.ask("question", lambda: None, 0.01) is None
    embedded.up()
    eventually(lambda: answers.last_error is None, 60)
    answers.stop()


def test_a_certificate_that_is_away_is_said_and_waited_for(tmp_path: Path, unused_port: int) -> None:
    """A command ends with the reason; a process goes on trying, and shows the reason until it is over."""
    file = make_certificates(tmp_path).ca
    settings = Settings(bootstrap_servers=f"127.0.0.1:{unused_port}", security_protocol="SSL", ssl_ca_file=str(file))
    file.rename(tmp_path / "away")
    with pytest.raises(ConfigurationError, match="cannot read"), Answers(settings, Codec()):
        pass

    answers = Answers(settings, Codec())
    answers.start()
    eventually(lambda: "cannot read" in (answers.last_error or ""))
    (tmp_path / "away").rename(file)
    eventually(lambda: "Kafka does not answer" in (answers.last_error or ""), 30)
    answers.stop()
