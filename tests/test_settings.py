"""Settings: where they come from, which source wins, and what is said of a wrong one."""

from pathlib import Path

import pytest

from streams.errors import ConfigurationError
from streams.settings import Settings, load_settings, load_with_origins


def origins(**sources: object) -> dict[str, str]:
    return {item.name: item.origin for item in load_with_origins(**sources)[1]}  # type: ignore[arg-type]


def refusal(**environment: str) -> str:
    """The sentence with which settings from the environment are refused."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environment={f"LOGINWATCH_{name.upper()}": value for name, value in environment.items()})
    return str(refused.value)


def test_without_any_source_the_defaults_hold() -> None:
    """And say so."""
    assert load_settings(environment={}) == Settings()
    assert set(origins(environment={}).values()) == {"default"}


def test_the_nearer_source_wins(tmp_path: Path) -> None:
    """Command line, environment, secrets directory, file, in this order; each value says where it came from."""
    file = tmp_path / "loginwatch.toml"
    file.write_text(
        'lateness = 1\npartitions = 2\nsmtp_port = 3\nsmtp_timeout = 4\ngeo_databases = ["a.mmdb", "b.mmdb"]\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "loginwatch_partitions").write_text("20\n")
    (secrets / "LOGINWATCH_SMTP_PORT").write_text("30")
    (secrets / "LOGINWATCH_SMTP_TIMEOUT").write_text("40")
    (secrets / "other").write_text("no setting")
    environment = {
        "LOGINWATCH_CONFIG": str(file),
        "LOGINWATCH_SECRETS_DIR": str(secrets),
        "LOGINWATCH_SMTP_PORT": "300",
        "LOGINWATCH_SMTP_TIMEOUT": "400",
        "PATH": "/bin",
    }

    settings = load_settings(flags={"smtp_timeout": "500"}, environment=environment)
    said = origins(flags={"smtp_timeout": "500"}, environment=environment)

    values = (settings.lateness, settings.partitions, settings.smtp_port, settings.smtp_timeout)
    assert values == (1, 20, 300, 500)
    assert settings.geo_databases == ("a.mmdb", "b.mmdb")
    assert said["lateness"] == f"file {file}"
    assert said["partitions"] == f"secrets {secrets}"
    assert (said["smtp_port"], said["smtp_timeout"]) == ("environment", "command line")


def test_lists_are_given_with_commas() -> None:
    """In a variable as on the command line; spaces and empty parts do not count."""
    environment = {"LOGINWATCH_GEO_DATABASES": " a.mmdb, b.mmdb,,"}

    assert load_settings(environment=environment).geo_databases == ("a.mmdb", "b.mmdb")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("partitons", "4", "there is no setting 'partitons' (from environment)"),
        ("partitions", "four", "setting partitions (from environment)"),
        ("partitions", "0", "setting partitions (from environment)"),
        ("security_protocol", "TLS", "setting security_protocol"),
        ("app", "a b", "setting app"),
        ("bootstrap_servers", "", "setting bootstrap_servers"),
        ("default_domain", "exa mple", "setting default_domain (from environment): 'exa mple' is not a domain name"),
        ("security_protocol", "SASL_SSL", "security_protocol SASL_SSL needs sasl_username"),
        ("gateway_tls_key_file", "/etc/key.pem", "gateway_tls_key_file is set without gateway_tls_cert_file"),
        ("ssl_key_file", "/etc/key.pem", "ssl_key_file is set without ssl_cert_file"),
        ("schema_registry_url", "registry:8081", "setting schema_registry_url (from environment): is not http://host"),
        ("schema_registry_url", "http://a:8081,b:8081", "is not http://host or https://host, or several"),
        ("schema_registry_url", "http:/a", "is not http://host"),
        ("retention_days", "logins=0", "'logins=0' is not TOPIC=DAYS with 1 to 3650 days"),
        ("retention_days", "logins=" + "9" * 5000, "is not TOPIC=DAYS with 1 to 3650 days"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str, sentence: str) -> None:
    """At start, with where it came from and what is wrong."""
    assert sentence in refusal(**{name: value})


def test_all_wrong_settings_are_named_at_once() -> None:
    """Nobody should have to start a process three times."""
    said = refusal(partitions="0", lateness="-1")

    assert "partitions" in said
    assert "lateness" in said


@pytest.mark.parametrize(
    "url",
    [
        "https://bob:hunter2@registry.example.org",
        "http://a.example.org:8081,http://bob:hunter2@b.example.org:8081",
        "http://bob:hun/hunter2@registry.example.org",
        "http://bob:hun,hunter2@registry.example.org",
        "bob:hunter2@registry:8081",
        "http:/bob:hunter2@registry",
        "http://bob:hunter2@[x",
    ],
)
def test_a_secret_is_in_no_refusal(url: str) -> None:
    """Neither one of the wrong form nor one that was put into a URL, in any of several and in one that is none."""
    said = refusal(schema_registry_url=url, partitions="0")

    assert "hunter2" not in said
    assert "schema_registry_password" in said


def test_several_registries_are_taken() -> None:
    """The client asks one after the other; paths and spaces may stand there."""
    urls = "http://a.example.org:8081/apis/ccompat/v7, https://[2001:db8::1]:8081/"

    assert load_settings(environment={"LOGINWATCH_SCHEMA_REGISTRY_URL": urls}).schema_registry_url == urls


def shown(name: str, value: str) -> str:
    """What is said of a setting from the environment."""
    said = load_with_origins(environment={f"LOGINWATCH_{name.upper()}": value})[1]
    return next(item.value for item in said if item.name == name)


@pytest.mark.parametrize("name", ["alerts_webhooks", "enforcement_webhooks", "enforcement_doveadm_urls"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("https://hooks.example.org", "https://hooks.example.org"),
        ("https://hooks.example.org:8443/", "https://hooks.example.org:8443"),
        ("https://[2001:db8::1]:8443/hunter2", "https://[2001:db8::1]:8443/(hidden)"),
        ("https://hooks.example.org/services/hunter2", "https://hooks.example.org/(hidden)"),
        ("https://hooks.example.org?key=hunter2", "https://hooks.example.org/(hidden)"),
        ("https://hooks.example.org#hunter2", "https://hooks.example.org/(hidden)"),
        ("https://bob:hunter2@hooks.example.org/", "https://hooks.example.org"),
        ("https://bob@work:hunter2@hooks.example.org", "https://hooks.example.org"),
        ("https://bob:hun/hunter2@hooks.example.org", "(hidden)"),
        ("https://bob:12/hunter2@hooks.example.org", "(hidden)"),
        ("hooks.example.org/services/hunter2", "(hidden)"),
        ("https://a.example.org/?keys=1,hunter2", "https://a.example.org/(hidden),(hidden)"),
        (
            "https://a.example.org/hunter2, https://b.example.org",
            "https://a.example.org/(hidden),https://b.example.org",
        ),
    ],
)
def test_of_a_webhook_only_the_machine_is_shown(name: str, value: str, text: str) -> None:
    """Path and query are often its password; also where the URL is a wrong one, as then one looks at the settings."""
    assert shown(name, value) == text


@pytest.mark.parametrize("name", ["canary_gateway_url", "panel_url", "panel_oidc_issuer"])
def test_of_another_url_all_but_name_and_password_is_shown(name: str) -> None:
    """Its path is no secret, and operators compare it."""
    environment = {"LOGINWATCH_PANEL_URL": "https://p.example.org/", "LOGINWATCH_PANEL_OIDC_CLIENT_ID": "panel"}

    for given, text in (("", ""), ("bob:hunter2@", "(hidden)@"), ("bob:hun/ter2@", "(hidden)@")):
        values = {**environment, f"LOGINWATCH_{name.upper()}": f"https://{given}host.example.org/realms/x"}
        said = {item.name: item.value for item in load_with_origins(environment=values)[1]}
        assert said[name] == f"https://{text}host.example.org/realms/x"


def test_lists_that_are_no_urls_are_shown_whole() -> None:
    """Files and networks, as they were given."""
    assert shown("geo_databases", "/srv/geo/a.mmdb, b.mmdb") == "/srv/geo/a.mmdb,b.mmdb"


def test_the_default_domain_is_canonical() -> None:
    """It becomes part of account names."""
    assert load_settings(environment={"LOGINWATCH_DEFAULT_DOMAIN": " BÜCHER.example. "}).default_domain == (
        "xn--bcher-kva.example"
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, no TOML, no UTF-8; a secrets directory that is not there."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("partitions: 4")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"app = '\xff'")

    for path in (tmp_path / "missing.toml", wrong, binary, tmp_path):
        with pytest.raises(ConfigurationError, match=str(path)):
            load_settings(environment={}, config_file=str(path))
    with pytest.raises(ConfigurationError, match="secrets directory"):
        load_settings(environment={"LOGINWATCH_SECRETS_DIR": str(tmp_path / "missing")})
