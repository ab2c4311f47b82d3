"""How Kafka is reached."""

import ssl
from pathlib import Path

import pytest

from streams.bus.clients import client_config, new_admin, new_consumer, new_producer, ssl_context
from streams.errors import ConfigurationError
from streams.settings import Settings
from tests.bus.certificates import KEY_PASSWORD, make_certificates


def test_a_plain_connection_has_no_trace_of_tls_and_passwords() -> None:
    """librdkafka would complain about settings that do not apply."""
    config = client_config(Settings(bootstrap_servers="a:1,b:2", app="here"))

    assert (config["bootstrap.servers"], config["client.id"], config["security.protocol"]) == (
        "a:1,b:2",
        "here",
        "PLAINTEXT",
    )
    assert not [name for name in config if name.startswith(("ssl", "sasl"))]
    assert ssl_context(Settings()) is None


def test_tls_and_sasl_are_handed_to_librdkafka_which_accepts_them(tmp_path: Path) -> None:
    """All files, the key's password, mechanism, name and password."""
    files = make_certificates(tmp_path)
    settings = Settings(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="alice",
        sasl_password="alice-secret",
        ssl_ca_file=str(files.ca),
        ssl_cert_file=str(files.client_certificate),
        ssl_key_file=str(files.client_key),
        ssl_key_password=KEY_PASSWORD,
    )

    config = client_config(settings)

    assert config["sasl.mechanism"] == "SCRAM-SHA-256"
    assert (config["sasl.username"], config["sasl.password"]) == ("alice", "alice-secret")
    assert config["ssl.key.password"] == KEY_PASSWORD
    new_admin(settings)
    new_producer(config)
    new_consumer({**config, "group.id": "g"}).close()


def test_without_a_ca_file_the_systems_authorities_are_used() -> None:
    """In both libraries."""
    settings = Settings(security_protocol="SSL")

    assert "ssl.ca.location" not in client_config(settings)
    context = ssl_context(settings)
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_the_python_context_takes_an_encrypted_key(tmp_path: Path) -> None:
    """Without asking for its password on the terminal."""
    files = make_certificates(tmp_path)
    given = {
        "security_protocol": "SSL",
        "ssl_ca_file": str(files.ca),
        "ssl_cert_file": str(files.client_certificate),
        "ssl_key_file": str(files.client_key),
    }

    assert ssl_context(Settings(**given, ssl_key_password=KEY_PASSWORD)) is not None
    with pytest.raises(ConfigurationError, match="ssl_key_password") as raised:
        ssl_context(Settings(**given, ssl_key_password="wrong-secret"))
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"])
def test_a_file_that_cannot_be_read_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    """For both libraries, before anything connects."""
    given = {name: str(tmp_path / "missing.pem")}
    if name == "ssl_key_file":  # a key is nothing without its certificate
        (tmp_path / "certificate.pem").write_text("a certificate")
        given["ssl_cert_file"] = str(tmp_path / "certificate.pem")
    settings = Settings(security_protocol="SSL", **given)

    for use in (client_config, ssl_context):
        with pytest.raises(ConfigurationError, match=f"setting {name}: cannot read .*missing.pem: No such file"):
            use(settings)


def test_a_file_that_is_no_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    """Also without a word of librdkafka's own."""
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    settings = Settings(security_protocol="SSL", ssl_ca_file=str(path))

    with pytest.raises(ConfigurationError, match="TLS files"):
        ssl_context(settings)
    with pytest.raises(ConfigurationError, match="settings for Kafka cannot be used"):
        new_admin(settings)
