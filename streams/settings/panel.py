"""The panel: the pages that people work with, and their API."""

from typing import Literal, Self

from pydantic import SecretStr, model_validator

from streams.settings.declare import Group, key_needs_certificate, setting

PanelRole = Literal["", "owner", "administrator", "help_desk", "reader"]


class PanelSettings(Group):
    """The panel: the pages that people work with, and their API."""

    panel_listen: str = setting("127.0.0.1:8080", "Where the panel listens; it serves /metrics and /health there too.")
    panel_database: SecretStr = setting(
        SecretStr("loginwatch-panel.sqlite"),
        "The panel's database: a file for SQLite, or postgresql://user:password@host/name.",
    )
    panel_url: str = setting(
        "", "Address of the panel as browsers see it, for links and single sign-on; empty = http://<panel_listen>."
    )
    panel_hosts: tuple[str, ...] = setting(
        (),
        "Further names (with :port if it is not the usual one) that browsers may call the panel by; those of panel_url and "
        "panel_listen are always taken, any other is refused.",
    )
    panel_trusted_proxies: tuple[str, ...] = setting(
        (), "Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    panel_tls_cert_file: str = setting("", "Certificate (PEM) to serve HTTPS; empty = HTTP.")
    panel_tls_key_file: str = setting("", "Key (PEM) of that certificate.")
    panel_secure_cookies: Literal["auto", "always", "never"] = setting(
        "auto", "Whether cookies are for HTTPS only; auto = where the visitor came by HTTPS."
    )
    panel_session_idle: int = setting(
        30, "A session ends after this time without a page being opened.", unit="minutes", ge=1, le=1440
    )
    panel_session_hours: int = setting(12, "A session ends after this time in any case.", unit="hours", ge=1, le=720)
    panel_second_factor: Literal["optional", "required"] = setting(
        "optional", "Whether whoever signs in by password has to set up a second factor."
    )
    panel_secret_keys: SecretStr = setting(
        SecretStr(""),
        "Keys that the secrets of second factors are encrypted with in the database, with commas: the first encrypts, all "
        "decrypt. Each is 32 bytes in URL-safe base64; empty = stored as they are.",
    )
    panel_streams: int = setting(
        400, "Live streams of news that may be open at once; more are refused for the time being.", ge=1, le=900
    )
    panel_streams_each: int = setting(
        4,
        "The same for one session: pages looked at in one browser, which has six connections for all of them over HTTP/1.1.",
        ge=1,
        le=100,
    )
    panel_invitation_hours: int = setting(
        72, "How long links of invitations and of new passwords work.", unit="hours", ge=1, le=720
    )
    panel_attribution: str = setting(
        "", "A line at the foot of each page, where the licence of the geo database demands one.", max_length=300
    )
    panel_drain_timeout: int = setting(10, "Longest wait for open requests at stop.", unit="seconds", ge=1, le=300)
    panel_oidc_issuer: str = setting("", "OpenID Connect provider for single sign-on (issuer URL); empty = none.")
    panel_oidc_client_id: str = setting("", "Client id of the panel at the provider.")
    panel_oidc_client_secret: SecretStr = setting(SecretStr(""), "Client secret of the panel at the provider.")
    panel_oidc_label: str = setting("Single sign-on", "What the button on the sign-in page says.", max_length=60)
    panel_oidc_ca_file: str = setting("", "CA certificates for the provider (PEM); empty = those of the system.")
    panel_oidc_role_claim: str = setting(
        "", "Claim whose value (or one of whose values) is looked up in panel_oidc_roles at each sign-in; empty = none."
    )
    panel_oidc_roles: tuple[str, ...] = setting(
        (),
        "What values of that claim mean, the first that fits: value=role, or value=role@scope+scope, for instance "
        "mail-admins=administrator@everything or shop=help_desk@domain:example.org.",
    )
    panel_oidc_default_role: PanelRole = setting(
        "", "Role of people who come by single sign-on and are not known here; empty = they are not let in."
    )
    panel_oidc_default_scopes: tuple[str, ...] = setting(
        (), "Scopes of such people: everything, group:a/b or domain:example.org."
    )

    @model_validator(mode="after")
    def _a_panel_key_needs_its_certificate(self) -> Self:
        return key_needs_certificate(self, "panel_tls")

    @model_validator(mode="after")
    def _an_issuer_needs_a_client(self) -> Self:
        if self.panel_oidc_issuer and not self.panel_oidc_client_id:
            raise ValueError(
                "panel_oidc_issuer is set without panel_oidc_client_id: register the panel at the provider"
            )
        if self.panel_oidc_issuer and not self.panel_url:
            raise ValueError("panel_oidc_issuer is set without panel_url: the provider has to send people back there")
        return self
