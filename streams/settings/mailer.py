"""The mailer, and the mail server that it speaks to."""

from typing import Literal

from pydantic import SecretStr

from streams.settings.declare import Group, setting


class MailerSettings(Group):
    """The mailer, and the mail server that it speaks to."""

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
