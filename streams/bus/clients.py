"""
How every process reaches Kafka: one place for addresses, TLS, SASL and patience.

Decision: librdkafka's own log is silent below "critical"; what it has to say arrives as errors of calls and as
`error_cb`, and is shown in health and metrics. Secrets stay in the dictionary that goes to librdkafka and never in a
text.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import BrokerUnavailableError, ConfigurationError
from streams.settings import Settings

Config = dict[str, Any]
Client = TypeVar("Client")

PATIENCE: Mapping[str, Any] = {
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 5_000,  # a broker that is back is found within this time
    "retry.backoff.ms": 100,
    "retry.backoff.max.ms": 1_000,
    "socket.keepalive.enable": True,
    "socket.connection.setup.timeout.ms": 10_000,
    "log_level": 2,
}


def client_config(settings: Settings) -> Config:
    """
    What every librdkafka client of loginwatch starts from: brokers, TLS, SASL and backoff.

    Raises ConfigurationError when a file that a setting names cannot be read. Holds secrets: never log it.
    """
    config: Config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": settings.app,
        "security.protocol": settings.security_protocol,
        **PATIENCE,
    }
    if uses_tls(settings):
        config.update(_tls(settings))
    if uses_sasl(settings):
        config["sasl.mechanism"] = settings.sasl_mechanism
        config["sasl.username"] = settings.sasl_username
        config["sasl.password"] = settings.sasl_password.get_secret_value()
    return config


def uses_tls(settings: Settings) -> bool:
    """Whether the connection to Kafka is encrypted."""
    return settings.security_protocol.endswith("SSL")


def uses_sasl(settings: Settings) -> bool:
    """Whether the connection to Kafka is authenticated by name and password."""
    return settings.security_protocol.startswith("SASL")


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """
    The same TLS as `client_config`, for clients written in Python (the worker's aiokafka); None without TLS.

    Raises ConfigurationError when a file cannot be read or is no certificate.
    """
    if not uses_tls(settings):
        return None
    _check_files(settings)
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file or None)
        if settings.ssl_cert_file:
            password = settings.ssl_key_password.get_secret_value()
            # without a password OpenSSL would ask for it on the terminal
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file or None, lambda: password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"the TLS files for Kafka cannot be used ({error}): check ssl_ca_file, ssl_cert_file, ssl_key_file"
            " and ssl_key_password"
        ) from error
    return context


def _tls(settings: Settings) -> Config:
    _check_files(settings)
    found = {
        "ssl.ca.location": settings.ssl_ca_file,
        "ssl.certificate.location": settings.ssl_cert_file,
        "ssl.key.location": settings.ssl_key_file,
        "ssl.key.password": settings.ssl_key_password.get_secret_value(),
    }
    return {name: value for name, value in found.items() if value}


def _check_files(settings: Settings) -> None:
    for name in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file"):
        path = getattr(settings, name)
        if not path:
            continue
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"setting {name}: cannot read {path}: {error.strerror}") from error


def new_producer(config: Config) -> confluent_kafka.Producer:
    """A librdkafka producer. Raises ConfigurationError for settings that librdkafka refuses."""
    return _made(confluent_kafka.Producer, config)


def new_consumer(config: Config) -> confluent_kafka.Consumer:
    """A librdkafka consumer. Raises ConfigurationError for settings that librdkafka refuses."""
    return _made(confluent_kafka.Consumer, config)


def new_admin(settings: Settings, heard: "Heard | None" = None) -> AdminClient:
    """A librdkafka admin client. Raises ConfigurationError for settings that librdkafka refuses."""
    config = client_config(settings)
    if heard is not None:
        config["error_cb"] = heard
    return _made(AdminClient, config)


def _made(kind: Callable[[Config], Client], config: Config) -> Client:
    try:
        return kind(config)
    except KafkaException as error:
        raise ConfigurationError(f"the settings for Kafka cannot be used: {reason(error)}") from error


def reason(error: KafkaException | KafkaError) -> str:
    """A Kafka error as one sentence for people, without librdkafka's brackets."""
    inner = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return inner.str() if isinstance(inner, KafkaError) else str(inner)


class Heard:
    """
    Remembers the most telling of a client's connection errors, as its `error_cb`.

    A call that fails says only that time ran out; why (a wrong password, a certificate) comes this way.
    """

    def __init__(self) -> None:
        self.last: str | None = None

    def __call__(self, error: KafkaError) -> None:
        """Called by librdkafka when the client is polled."""
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.last = error.str()


def unavailable(
    settings: Settings, error: KafkaException | KafkaError, heard: Heard | None = None
) -> BrokerUnavailableError:
    """The error that says which brokers do not answer, why, and what to look at."""
    why = (heard.last if heard else None) or reason(error)
    return BrokerUnavailableError(
        f"Kafka does not answer at {settings.bootstrap_servers}: {why.rstrip('.')}."
        " Check bootstrap_servers, security_protocol, the network and the broker's listeners"
    )
