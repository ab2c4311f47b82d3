"""The canary: an account that is nobody's, logged in and blocked again and again to see that all of it works."""

from pydantic import field_validator

from streams.core.accounts import canonical_account
from streams.core.addresses import parse_network
from streams.settings.declare import Group, setting

DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
"""Networks that nobody has: RFC 5737, RFC 3849."""


class CanarySettings(Group):
    """The canary: an account that is nobody's, logged in and blocked again and again to see that all of it works."""

    canary_account: str = setting(
        "",
        "Account that `loginwatch canary` logs in and has blocked, user@example.org; empty = no canary. Never a real one: its"
        " activity is deleted after every round. Set it for every process: alerts, enforcement and the panel pass it over.",
    )
    canary_health_listen: str = setting("127.0.0.1:9109", "Where the canary serves /metrics and /health.")
    canary_gateway_url: str = setting(
        "",
        "The gateway that the canary logs in at, for instance https://gateway.example.org:9102/; empty = the one at"
        " gateway_listen. It is sent gateway_api_key; with http:// everybody between can read that, as from a Dovecot.",
    )
    canary_ca_file: str = setting("", "CA certificates for that gateway (PEM); empty = those of the system.")
    canary_interval: int = setting(
        300, "From the start of one round to that of the next.", unit="seconds", ge=5, le=86_400
    )
    canary_timeout: int = setting(
        20, "Longest wait for each of answer, block, refusal and reopening of a round.", unit="seconds", ge=1, le=60
    )
    canary_networks: tuple[str, ...] = setting(
        DOCUMENTATION, "Networks that the canary seems to come from. They must not be safe or on a list of the gateway."
    )

    @field_validator("canary_account")
    @classmethod
    def _an_account(cls, text: str) -> str:
        if text.strip() and "@" not in text:
            raise ValueError(f"{text[:80]!r} lacks its domain: write it in full, for instance canary@example.org")
        return canonical_account(text) if text.strip() else ""

    @field_validator("canary_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(parse_network(text)) for text in texts)

    def is_canary(self, account: str | bytes | None) -> bool:
        """Whether this canonical account, or the key of its records, is the canary's."""
        name = self.canary_account
        return bool(name) and account in (name, name.encode())
