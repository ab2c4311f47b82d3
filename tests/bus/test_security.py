"""TLS and SASL against a real Kafka."""

import asyncio
from collections.abc import Iterator
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
from tests.bus.certificates import KEY_PASSWORD, Certificates, make_certificates
from tests.conftest import require_kafka
from tests.kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka

PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller_port}},\
SECURE://127.0.0.1:{{second_port}},MUTUAL://127.0.0.1:{{third_port}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SECURE://127.0.0.1:{{second_port}},MUTUAL://127.0.0.1:{{third_port}}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.mutual.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config={plain} user_alice="alice-secret";
listener.name.secure.scram-sha-256.sasl.jaas.config={scram}
listener.name.secure.scram-sha-512.sasl.jaas.config={scram}
"""
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded_kafka(certificates: Certificates) -> Iterator[KafkaBroker]:
    """A Kafka that listens for TLS with passwords, and for TLS with client certificates."""
    require_kafka()
    extra = LISTENERS.format(server=certificates.server, ca=certificates.ca, plain=PLAIN_LOGIN, scram=SCRAM_LOGIN)
    users = []
    for mechanism in MECHANISMS[1:]:
        users += ["--add-scram", f"{mechanism}=[name=alice,password=alice-secret]"]
    with KafkaBroker(extra=extra, format_arguments=users) as broker:
        broker.with_topics()
        yield broker


def by_password(broker: KafkaBroker, certificates: Certificates, mechanism: str, password: str) -> Settings:
    return Settings(
        partitions=broker.settings.partitions,
        bootstrap_servers=f"127.0.0.1:{broker.second_port}",
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,
        sasl_username="alice",
        sasl_password=password,
        ssl_ca_file=str(certificates.ca),
    )


def by_certificate(broker: KafkaBroker, certificates: Certificates, key_file: Path) -> Settings:
    return Settings(
        bootstrap_servers=f"127.0.0.1:{broker.third_port}",
        security_protocol="SSL",
        ssl_ca_file=str(certificates.ca),
        ssl_cert_file=str(certificates.client_certificate),
        ssl_key_file=str(key_file),
        ssl_key_password=KEY_PASSWORD,
    )


def round_trip(settings: Settings, value: bytes) -> None:
    producer = Producer(settings)
    producer.send(LOGINS.name, value, key="k")
    producer.flush(30)
    assert value in [record.value for record in tail(settings, [LOGINS])]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_records_are_written_and_read_over_tls_with_a_password(
    guarded_kafka: KafkaBroker, certificates: Certificates, mechanism: str
) -> None:
    """Every mechanism that the settings offer."""
    round_trip(by_password(guarded_kafka, certificates, mechanism, "alice-secret"), mechanism.encode())


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_an_error_that_says_so_and_hides_it(
    guarded_kafka: KafkaBroker, certificates: Certificates, mechanism: str
) -> None:
    """Not a silent wait, and no secret in the sentence."""
    settings = by_password(guarded_kafka, certificates, mechanism, "wrong-secret")

    with pytest.raises(BrokerUnavailableError, match="does not answer") as raised:
        wait_for_broker(settings, 2)

    assert "uthentication" in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


def test_records_are_written_and_read_with_a_client_certificate(
    guarded_kafka: KafkaBroker, certificates: Certificates
) -> None:
    """Mutual TLS, with an encrypted key."""
    round_trip(by_certificate(guarded_kafka, certificates, certificates.client_key), b"mutual")


def test_a_server_of_another_authority_is_not_believed(guarded_kafka: KafkaBroker, tmp_path: Path) -> None:
    """A man in the middle has a certificate too."""
    others = make_certificates(tmp_path)

    with pytest.raises(BrokerUnavailableError):
        wait_for_broker(by_password(guarded_kafka, others, "PLAIN", "alice-secret"), 2)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_the_workers_library_connects_with_the_same_settings(
    guarded_kafka: KafkaBroker, certificates: Certificates, mechanism: str
) -> None:
    """aiokafka with our TLS context."""
    settings = by_password(guarded_kafka, certificates, mechanism, "alice-secret")
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
