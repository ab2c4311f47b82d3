"""
Deployed settings: each is declared once here, with type, default, unit and help.

Decision: one flat list for all processes, so that one file or one environment serves a whole fleet. Precedence, first
wins: `--set name=value` on the command line, environment `LOGINWATCH_NAME`, a file `LOGINWATCH_NAME` in the secrets
directory (`LOGINWATCH_SECRETS_DIR`), the TOML file (`--config` or `LOGINWATCH_CONFIG`), the default. Policies, which
change while running, are no settings: they live on a topic.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from streams.core.accounts import canonical_domain
from streams.errors import ConfigurationError

ENVIRONMENT_PREFIX = "LOGINWATCH_"
ENVIRONMENT_ONLY = {"LOGINWATCH_CONFIG", "LOGINWATCH_SECRETS_DIR", "LOGINWATCH_CRASH_AT"}


def setting(default: Any, help_text: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare one setting: its default, what it does, and the unit of its value."""
    return Field(default=default, description=help_text, json_schema_extra={"unit": unit} if unit else None, **limits)


class Settings(BaseModel):
    """All settings of all processes. Unknown names are refused, so that a typing error is found at start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # --- Kafka
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
        65_536, "Larger records from outside go to dead-letters.", unit="bytes", ge=1024, le=1_000_000
    )

    # --- schema registry
    schema_registry_url: str = setting("", "Confluent-compatible schema registry; empty = single-object encoding.")
    schema_registry_username: str = setting("", "User name for the registry.")
    schema_registry_password: SecretStr = setting(SecretStr(""), "Password for the registry.")

    # --- detection
    default_domain: str = setting("", "Domain for login names without one; empty = such names are refused.")
    lateness: int = setting(
        10, "Logins this far behind the account's newest are still judged.", unit="minutes", ge=0, le=1440
    )
    geo_databases: tuple[str, ...] = setting(
        (), "MMDB files with country, city and coordinates; several = asked in order. None = no country rule."
    )
    geo_owner_databases: tuple[str, ...] = setting((), "MMDB files with the owner (ASN) of a network.")

    # --- worker
    worker_id: str = setting(
        "", "Name of this worker within its group (static membership), unique per worker; empty = the host's name."
    )
    worker_session_timeout: int = setting(
        30, "After this time of silence Kafka gives a worker's accounts to another.", unit="seconds", ge=6, le=300
    )
    worker_poll_records: int = setting(
        10_000, "Most logins in one batch: more is faster, less is quicker to answer.", ge=1, le=100_000
    )
    worker_stall_timeout: int = setting(
        60, "The watchdog ends a worker whose processing or commits stand still for this long.", unit="seconds", ge=5
    )
    worker_health_listen: str = setting("127.0.0.1:9101", "Where the worker serves /metrics and /health.")

    # --- gateway (Dovecot's auth policy server)
    gateway_listen: str = setting(
        "127.0.0.1:9102", "Where the gateway listens for Dovecot, and serves /metrics and /health."
    )
    gateway_api_key: SecretStr = setting(
        SecretStr(""), "Secret that Dovecot sends in auth_policy_server_api_header (X-API-Key) or as basic password."
    )
    gateway_allow_anonymous: bool = setting(
        False, "Serve requests without a secret. Only for a listener that nobody else can reach."
    )
    gateway_tls_cert_file: str = setting("", "Certificate (PEM) to serve HTTPS; empty = HTTP.")
    gateway_tls_key_file: str = setting("", "Key (PEM) of that certificate.")
    gateway_max_request_bytes: int = setting(16_384, "Larger requests are answered 413.", unit="bytes", ge=1024)
    gateway_max_connections: int = setting(
        4096, "Connections held open at once (Dovecot: one per login in progress); more are closed.", ge=8, le=1_000_000
    )
    gateway_buffer: int = setting(
        100_000, "Reports kept while Kafka is away; more are dropped, counted and shown.", unit="reports", ge=100
    )
    gateway_deny_message: str = setting(
        "Account locked because of suspicious logins. Please contact your help desk.",
        "What a user of a blocked account is told by the mail server.",
        max_length=200,
    )
    gateway_list_entries: int = setting(
        100_000,
        "Most entries on the black and white lists that weakforced's clients write; a further one is refused.",
        unit="entries",
        ge=0,
        le=1_000_000,
    )
    gateway_list_message: str = setting(
        "Login denied. Please contact your help desk.",
        "What a user is told who is on a black list of the gateway.",
        max_length=200,
    )
    gateway_drain_timeout: int = setting(
        10, "Longest wait for open requests and reports at stop.", unit="seconds", ge=1
    )

    # --- postfix (Postfix's policy service)
    postfix_listen: str = setting(
        "127.0.0.1:9105",
        "Where the policy service listens for Postfix; empty = only on postfix_socket. It knows no secret: whoever reaches it"
        " can ask, and report messages.",
    )
    postfix_socket: str = setting(
        "", "Path of a unix socket to listen on too, for instance in Postfix's queue directory."
    )
    postfix_socket_mode: str = setting(
        "0660",
        "Rights of that socket; Postfix's user must be able to write to it.",
        unit="octal",
        pattern=r"^0?[0-7]{3}$",
    )
    postfix_health_listen: str = setting("127.0.0.1:9104", "Where the policy service serves /metrics and /health.")
    postfix_deny_action: str = setting(
        "REJECT 5.7.1 Account locked because of suspicious logins. Please contact your help desk.",
        "Action for a blocked account: REJECT, DEFER, DEFER_IF_PERMIT or a code (521 also ends the connection), and a sentence"
        " that its user is shown.",
        max_length=500,
    )
    postfix_count_at: Literal["end-of-data", "data"] = setting(
        "end-of-data",
        "When a message is counted: at the request of smtpd_end_of_data_restrictions (with its real size), or, where only"
        " smtpd_data_restrictions asks, at that one.",
    )
    postfix_report_logins: bool = setting(
        False,
        "Report SASL logins, once per connection. Only where nothing else does: Dovecot reports its own to the gateway.",
    )
    postfix_max_request_bytes: int = setting(
        16_384, "Longer requests are not judged; their message passes, counted.", unit="bytes", ge=2048, le=1_000_000
    )
    postfix_max_connections: int = setting(
        4096, "Connections held open at once (Postfix: one per smtpd and clause); more are closed.", ge=8, le=1_000_000
    )
    postfix_buffer: int = setting(
        100_000,
        "Messages and logins kept while Kafka is away; more are dropped, counted and shown.",
        unit="records",
        ge=100,
    )
    postfix_drain_timeout: int = setting(
        10, "Longest wait for begun requests and reports at stop.", unit="seconds", ge=1
    )

    # --- mailer
    mailer_health_listen: str = setting("127.0.0.1:9103", "Where the mailer serves /metrics and /health.")
    smtp_host: str = setting("127.0.0.1", "Mail server that takes the notifications.")
    smtp_port: int = setting(25, "Its port.", ge=1, le=65535)
    smtp_tls: Literal["none", "starttls", "tls"] = setting(
        "starttls", "none, STARTTLS (required, not optional), or TLS from the start. none = only to the same machine."
    )
    smtp_ca_file: str = setting("", "CA certificates for the mail server (PEM); empty = those of the system.")
    smtp_allow_plaintext: bool = setting(
        False, "Allow smtp_tls = none to another machine. Everybody between can read and change it."
    )
    smtp_timeout: int = setting(60, "Longest wait for one answer of the mail server.", unit="seconds", ge=1, le=600)
    smtp_username: str = setting("", "User name at the mail server; empty = no authentication.")
    smtp_password: SecretStr = setting(SecretStr(""), "Password at the mail server.")
    mail_from: str = setting(
        "", "Sender of the notifications, for instance loginwatch@example.org. Required by the mailer."
    )
    mail_language: Literal["en", "de"] = setting("en", "Language of the notifications.")
    mail_help: str = setting("", "A sentence or address for the reader of a notification: whom to ask.", max_length=500)
    mail_rate: int = setting(
        30,
        "Most mails to one recipient in an hour; more wait and are sent later, and what piles up beyond that goes to dead-letters.",
        unit="mails per hour",
        ge=1,
    )
    mail_retry_hours: int = setting(
        24,
        "A mail that the server will not take is tried for this long, then goes to dead-letters.",
        unit="hours",
        ge=1,
        le=120,
    )
    mail_pending: int = setting(
        2000,
        "Most mails in hand; with more the mailer stops reading until some are sent.",
        unit="mails",
        ge=4,
        le=100_000,
    )

    # --- enforcement (sessions of blocked accounts are closed, webhooks are called)
    enforcement_health_listen: str = setting("127.0.0.1:9106", "Where enforcement serves /metrics and /health.")
    enforcement_doveadm_urls: tuple[str, ...] = setting(
        (),
        "The doveadm HTTP listener of every Dovecot that holds sessions, for instance https://mail1.example.org:8443; each is"
        " followed on its own, so one that is down delays no other.",
    )
    enforcement_doveadm_key: SecretStr = setting(SecretStr(""), "The doveadm_api_key of these Dovecots.")
    enforcement_auth_cache_flush: bool = setting(
        True, "Also empty Dovecot's auth cache for a blocked account, where that Dovecot can (not 2.4.0 to 2.4.2)."
    )
    enforcement_webhooks: tuple[str, ...] = setting(
        (),
        "URLs that are told every block and its end. One that is new, or changed, is first told the blocks in force.",
    )
    enforcement_webhook_secret: SecretStr = setting(
        SecretStr(""),
        "Secret with which webhooks are signed: X-Loginwatch-Signature, HMAC-SHA256 of the body in base64.",
    )
    enforcement_ca_file: str = setting(
        "", "CA certificates for backends and webhooks (PEM); empty = those of the system."
    )
    enforcement_allow_plaintext: bool = setting(
        False, "Allow http:// to another machine. Everybody between can read the key and the blocks."
    )
    enforcement_timeout: int = setting(
        10, "Longest wait for one answer of a backend or webhook.", unit="seconds", ge=1, le=120
    )
    enforcement_retry_hours: int = setting(
        24,
        "What a receiver will not take is tried until it is this old, then goes to dead-letters.",
        unit="hours",
        ge=1,
        le=120,
    )
    enforcement_pending: int = setting(
        2000,
        "Most orders in hand for one receiver; with more, no more is read for it until some are done.",
        ge=8,
        le=100_000,
    )

    # --- log reader
    log_files: tuple[str, ...] = setting(
        (),
        "Mail logs to follow (Dovecot's, Postfix's, or both in one); - is standard input, also journalctl -o json -f.",
    )
    log_position_file: str = setting(
        "/var/lib/loginwatch/logs.json", "Where the log reader keeps how far it has read; one file for each reader."
    )
    log_from_beginning: bool = setting(
        False, "Read a log that is in no position file yet from its beginning instead of its end."
    )
    log_timezone: str = setting(
        "", "Zone of log times that have none, for instance Europe/Berlin; empty = this machine's."
    )
    log_programs: tuple[str, ...] = setting(
        ("dovecot", "postfix"), "Beginnings of the syslog tags whose lines are read (instance_name, syslog_name)."
    )
    log_failed_logins: bool = setting(True, "Also send failed logins that name somebody; they are never counted.")
    logs_health_listen: str = setting("127.0.0.1:9107", "Where the log reader serves /metrics and /health.")

    # --- every process
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severity that is logged.")
    log_format: Literal["console", "json"] = setting("console", "Lines for people, or JSON for programs.")

    @model_validator(mode="after")
    def _sasl_needs_a_name(self) -> Self:
        if self.security_protocol.startswith("SASL") and not self.sasl_username:
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_username and sasl_password")
        return self

    @model_validator(mode="after")
    def _a_key_needs_its_certificate(self) -> Self:
        for name in ("ssl", "gateway_tls"):
            if getattr(self, f"{name}_key_file") and not getattr(self, f"{name}_cert_file"):
                raise ValueError(
                    f"{name}_key_file is set without {name}_cert_file: without a certificate it is not used"
                )
        return self

    @field_validator("default_domain")
    @classmethod
    def _a_domain(cls, text: str) -> str:
        return canonical_domain(text) if text.strip() else ""

    @field_validator("schema_registry_url")
    @classmethod
    def _no_secret_in_a_url(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError(
                "holds a name or password, which would be seen in logs:"
                " use schema_registry_username and schema_registry_password"
            )
        return url


@dataclass(frozen=True)
class Origin:
    """A setting's value as text (secrets hidden) and where it came from."""

    name: str
    value: str
    origin: str


def load_settings(
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: str | None = None,
) -> Settings:
    """
    The settings in force.

    Raises ConfigurationError with the name, where it was set and what is wrong with it.
    """
    return load_with_origins(flags=flags, environment=environment, config_file=config_file)[0]


def load_with_origins(
    *,
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: str | None = None,
) -> tuple[Settings, list[Origin]]:
    """The settings in force, and for each where its value came from."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, source in _sources(flags or {}, environment, config_file):
        for name, value in source.items():
            values[name] = value
            origins[name] = origin
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error, origins)) from error
    shown = [
        Origin(name, _shown(getattr(settings, name)), origins.get(name, "default")) for name in Settings.model_fields
    ]
    return settings, shown


def _sources(
    flags: Mapping[str, str], environment: Mapping[str, str], config_file: str | None
) -> list[tuple[str, dict[str, Any]]]:
    """Every source, weakest first: what comes later overrides."""
    path = config_file or environment.get("LOGINWATCH_CONFIG")
    secrets = environment.get("LOGINWATCH_SECRETS_DIR")
    sources: list[tuple[str, dict[str, Any]]] = []
    if path:
        sources.append((f"file {path}", _from_toml(Path(path))))
    if secrets:
        sources.append((f"secrets {secrets}", _from_secrets(Path(secrets))))
    sources.append(("environment", _from_environment(environment)))
    sources.append(("command line", {name: _split(name, value) for name, value in flags.items()}))
    return sources


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {error}") from error


def _from_secrets(directory: Path) -> dict[str, Any]:
    """One file per setting, named like the environment variable (as Docker and systemd hand out secrets)."""
    try:
        files = [file for file in directory.iterdir() if file.name.upper().startswith(ENVIRONMENT_PREFIX)]
        texts = {file.name.upper(): file.read_text(encoding="utf-8").rstrip("\r\n") for file in files if file.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the secrets directory {directory}: {error}") from error
    return _from_environment(texts)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in ENVIRONMENT_ONLY:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            found[name] = _split(name, value)
    return found


def _split(name: str, value: str) -> Any:
    """Lists are given as text with commas."""
    field: FieldInfo | None = Settings.model_fields.get(name)
    if field is not None and isinstance(field.default, tuple):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    sentences = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            sentences.append(
                f"there is no setting {name!r} (from {origins.get(name, 'unknown')}): see `loginwatch settings`"
            )
        elif name:
            sentences.append(f"setting {name} (from {origins.get(name, 'default')}): {_reason(problem['msg'])}")
        else:
            sentences.append(_reason(problem["msg"]))
    return "; ".join(sentences)


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
