"""TLS and SASL against a real Kafka."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.bus.admin import wait_for_broker
from streams.bus.clients import ssl_context
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.errors import BrokerUnavailableError
from streams.settings import Settings
from streams.topology import LOGINS
from tests.bus.certificates import make_certificates
from tests.guarded_kafka import MECHANISMS, GuardedKafka

pytestmark = pytest.mark.kafka


def round_trip(settings: Settings, value: bytes) -> None:
    producer = Producer(settings)
    producer.send(LOGINS.name, value, key="k")
    producer.flush(30)
    assert value in [record.value for record in tail(settings, [LOGINS])]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_records_are_written_and_read_over_tls_with_a_password(guarded_kafka: GuardedKafka, mechanism: str) -> None:
    """Every mechanism that the settings offer."""
    round_trip(guarded_kafka.by_password(mechanism), mechanism.encode())


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_an_error_that_says_so_and_hides_it(guarded_kafka: GuardedKafka, mechanism: str) -> None:
    """Not a silent wait, and no secret in the sentence."""
    settings = guarded_kafka.by_password(mechanism, "wrong-secret")

    with pytest.raises(BrokerUnavailableError, match="does not answer") as raised:
        wait_for_broker(settings, 2)

    assert "uthentication" in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


def test_records_are_written_and_read_with_a_client_certificate(guarded_kafka: GuardedKafka) -> None:
    """Mutual TLS, with an encrypted key."""
    round_trip(guarded_kafka.by_certificate(), b"mutual")


def test_a_server_of_another_authority_is_not_believed(guarded_kafka: GuardedKafka, tmp_path: Path) -> None:
    """A man in the middle has a certificate too."""
    others = make_certificates(tmp_path)

    with pytest.raises(BrokerUnavailableError):
        wait_for_broker(guarded_kafka.by_password("PLAIN", ca=others.ca), 2)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_the_workers_library_connects_with_the_same_settings(guarded_kafka: GuardedKafka, mechanism: str) -> None:
    """aiokafka with our TLS context."""
    settings = guarded_kafka.by_password(mechanism)
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers,
        security_protocol=settings.security_protocol,
        ssl_context=ssl_context(settings),
        sasl_mechanism=settings.sasl_mechanism,
        sasl_plain_username=settings.sasl_username,
        sasl_plain_password=settings.sasl_password.get_secret_value(),
    )
    await asyncio.wait_for(admin.start(), 30)

    assert LOGINS.name in await admin.list_topics()

    await admin.close()
