"""The gateway: Dovecot's auth policy server."""

from typing import Self

from pydantic import SecretStr, model_validator

from streams.settings.declare import Group, key_needs_certificate, setting


class GatewaySettings(Group):
    """The gateway: Dovecot's auth policy server."""

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

    @model_validator(mode="after")
    def _a_gateway_key_needs_its_certificate(self) -> Self:
        return key_needs_certificate(self, "gateway_tls")
