"""Kafka and the schema registry: how every process reaches them, and what topics are made like."""

import re
from typing import Literal, Self

from pydantic import SecretStr, field_validator, model_validator

from streams.settings.declare import Group, key_needs_certificate, setting

LONGEST_DAYS = 3650
TOPIC_DAYS = re.compile(r"[^=]+=(?P<days>[0-9]{1,9})")
REGISTRY = re.compile(r"https?://[^/?#\s]+(?:/\S*)?")


class KafkaSettings(Group):
    """Kafka and the schema registry: how every process reaches them, and what topics are made like."""

    bootstrap_servers: str = setting(
        "127.0.0.1:9092", "Kafka brokers to connect to first, host:port, comma-separated.", min_length=1
    )
    app: str = setting(
        "loginwatch",
        "Name of this installation: the worker's consumer group and the prefix of its changelog.",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How to talk to Kafka."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "SCRAM-SHA-512", "SASL mechanism, with a SASL_ security protocol."
    )
    sasl_username: str = setting("", "SASL user name.")
    sasl_password: SecretStr = setting(SecretStr(""), "SASL password; best given as a file in the secrets directory.")
    ssl_ca_file: str = setting("", "CA certificates for Kafka (PEM); empty = those of the system.")
    ssl_cert_file: str = setting("", "Client certificate for Kafka (PEM), for mutual TLS.")
    ssl_key_file: str = setting("", "Key of the client certificate (PEM).")
    ssl_key_password: SecretStr = setting(SecretStr(""), "Password of that key.")
    partitions: int = setting(
        8, "Partitions of every topic keyed by account. Cannot be changed later without a migration.", ge=1, le=10_000
    )
    replication_factor: int = setting(
        0, "Copies of every topic; 0 = as many as there are brokers, at most 3.", ge=0, le=10
    )
    min_insync_replicas: int = setting(
        0, "Copies that must acknowledge a write; 0 = one less than the copies, at least 1.", ge=0, le=10
    )
    max_record_bytes: int = setting(
        65_536, "Larger records from outside go to dead-letters.", unit="bytes", ge=1024, le=900_000
    )

    retention_days: tuple[str, ...] = setting(
        (),
        "Topics kept for another time than the design's, for instance logins=14,incidents=365; `topics create` makes them so,"
        " `topics check` compares. Compacted tables are kept without end.",
        unit="days",
    )

    schema_registry_url: str = setting("", "Confluent-compatible schema registry; empty = single-object encoding.")
    schema_registry_username: str = setting("", "User name for the registry.")
    schema_registry_password: SecretStr = setting(SecretStr(""), "Password for the registry.")

    @model_validator(mode="after")
    def _sasl_needs_a_name(self) -> Self:
        if self.security_protocol.startswith("SASL") and not self.sasl_username:
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_username and sasl_password")
        return self

    @model_validator(mode="after")
    def _a_key_needs_its_certificate(self) -> Self:
        return key_needs_certificate(self, "ssl")

    @field_validator("retention_days")
    @classmethod
    def _topics_with_days(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            found = TOPIC_DAYS.fullmatch(entry)
            if found is None or not 1 <= int(found["days"]) <= LONGEST_DAYS:
                raise ValueError(
                    f"{entry[:80]!r} is not TOPIC=DAYS with 1 to {LONGEST_DAYS} days, for instance logins=14"
                )
        return entries

    @field_validator("schema_registry_url")
    @classmethod
    def _no_secret_in_a_url(cls, urls: str) -> str:
        # wherever it stands: a password may itself hold the slash or comma that seems to end the part with the host
        if "@" in urls:
            raise ValueError(
                "holds a name or password, which would be seen in logs:"
                " use schema_registry_username and schema_registry_password"
            )
        if urls and not all(REGISTRY.fullmatch(url.strip()) for url in urls.split(",")):
            raise ValueError("is not http://host or https://host, or several of these with commas between")
        return urls
