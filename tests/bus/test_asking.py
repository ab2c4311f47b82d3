"""Asking Kafka again and again."""

from pathlib import Path

from confluent_kafka import Consumer

from streams.bus.asking import ANEW_AFTER, Asker
from streams.bus.clients import Heard
from streams.settings import Settings
from tests.bus.certificates import make_certificates
from tests.eventually import eventually


def test_a_certificate_that_is_away_for_a_moment_does_not_end_it(tmp_path: Path, unused_port: int) -> None:
    """A new client is made when Kafka does not answer, and the file may be on its way from one to the next."""
    file = make_certificates(tmp_path).ca
    settings = Settings(bootstrap_servers=f"127.0.0.1:{unused_port}", security_protocol="SSL", ssl_ca_file=str(file))
    asked: list[Consumer] = []

    def ask(consumer: Consumer, _heard: Heard) -> bool:
        if len(asked) == ANEW_AFTER - 1:
            file.rename(tmp_path / "away")
        asked.append(consumer)
        return False

    asker = Asker(settings, "asking", ask, every_s=0.01, away_s=0.01)
    asker.start()
    eventually(lambda: len(asked) == ANEW_AFTER)
    (tmp_path / "away").rename(file)

    eventually(lambda: len(asked) > ANEW_AFTER)
    asker.stop()
