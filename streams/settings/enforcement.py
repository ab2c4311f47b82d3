"""Enforcement: sessions of blocked accounts are closed, webhooks are called."""

from pydantic import SecretStr

from streams.settings.declare import Group, setting


class EnforcementSettings(Group):
    """Enforcement: sessions of blocked accounts are closed, webhooks are called."""

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
