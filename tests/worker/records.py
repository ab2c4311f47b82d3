"""Records for the deployed worker, as bytes for its topics."""

from time import time
from typing import Any

from streams.records.codec import Codec

CODEC = Codec()
POLICY = {
    "scope": "everyone",
    "time_window": 30,
    "allowed_ips": 3,
    "block_time": 60,
    "notify": ["soc@example.org"],
    "actor": "test",
}
UNSET = (
    "allowed_countries",
    "ignored_countries",
    "notify_sender",
    "match_username",
    "match_domain",
    "familiar_days",
    "ipv4_prefix",
    "ipv6_prefix",
    "mode",
)


def now_ms() -> int:
    return int(time() * 1000)


def policy(**changes: Any) -> tuple[str, bytes, bytes]:
    """What holds for everyone: more than three networks within 30 minutes are an incident, and a block for an hour."""
    value = {**dict.fromkeys(UNSET), **POLICY, "time": now_ms(), **changes}
    return "policies", b"everyone", CODEC.encode("Policy", value)


def login(account: str, ip: str, **changes: Any) -> tuple[str, bytes, bytes]:
    """One successful login over IMAP, now."""
    value: dict[str, Any] = dict.fromkeys(("id", "session", "server", "client", "failure"))
    value |= {"time": now_ms(), "account": account, "ip": ip, "success": True, "service": "imap", **changes}
    return "logins", account.encode(), CODEC.encode("Login", value)
