"""A Kafka that listens for TLS with passwords, and for TLS with client certificates, as one in production does."""

from pathlib import Path

from streams.settings import Settings
from tests.bus.certificates import KEY_PASSWORD, Certificates, make_certificates
from tests.kafka_broker import KafkaBroker

MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
USER, PASSWORD = "alice", "alice-secret"
PLAIN_LOGIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
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
listener.name.secure.plain.sasl.jaas.config={plain}
listener.name.secure.scram-sha-256.sasl.jaas.config={scram}
listener.name.secure.scram-sha-512.sasl.jaas.config={scram}
"""


class GuardedKafka(KafkaBroker):
    """`settings` still reach its open listener; `by_password` and `by_certificate` the guarded ones."""

    def __init__(self, folder: Path) -> None:
        self.certificates: Certificates = make_certificates(folder)
        listeners = LISTENERS.format(
            server=self.certificates.server, ca=self.certificates.ca, plain=PLAIN_LOGIN, scram=SCRAM_LOGIN
        )
        users = []
        for mechanism in MECHANISMS[1:]:
            users += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        super().__init__(extra=listeners, format_arguments=users)

    def by_password(self, mechanism: str, password: str = PASSWORD, *, ca: Path | None = None) -> Settings:
        """Settings with TLS and SASL; `ca` is the authority that the client believes."""
        return Settings(
            partitions=self.settings.partitions,
            bootstrap_servers=f"127.0.0.1:{self.second_port}",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=USER,
            sasl_password=password,
            ssl_ca_file=str(ca or self.certificates.ca),
        )

    def by_certificate(self) -> Settings:
        """Settings with mutual TLS, with an encrypted key."""
        return Settings(
            partitions=self.settings.partitions,
            bootstrap_servers=f"127.0.0.1:{self.third_port}",
            security_protocol="SSL",
            ssl_ca_file=str(self.certificates.ca),
            ssl_cert_file=str(self.certificates.client_certificate),
            ssl_key_file=str(self.certificates.client_key),
            ssl_key_password=KEY_PASSWORD,
        )
