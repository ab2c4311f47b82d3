"""Notifications for the tests of the mailer: a taken-over account seen in Germany and Brazil."""

from typing import Any

OPENED = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 UTC
MINUTE_MS = 60_000
IDENTITY = "0d9f6c1e-1111-5111-8111-000000000001"
INCIDENT = "0d9f6c1e-2222-5222-8222-000000000002"


def network(cidr: str, **fields: Any) -> dict[str, Any]:
    values = {
        "network": cidr,
        "country": "DE",
        "first": OPENED - 40 * MINUTE_MS,
        "last": OPENED - 5 * MINUTE_MS,
        "address": cidr.split("/", maxsplit=1)[0],
        "service": "imap",
        "logins": 12,
        "days": 9,
        "city": "Berlin",
        "latitude": 52.5,
        "longitude": 13.4,
        "owner": "Example Telecom",
    }
    return {**values, **fields}


def left_out(cidr: str, **fields: Any) -> dict[str, Any]:
    values = {
        "network": cidr,
        "country": "DE",
        "first": OPENED - 30 * MINUTE_MS,
        "last": OPENED - 3 * MINUTE_MS,
        "logins": 4,
        "safe_network": "192.0.2.0/24",
        "scope": "domain:example.org",
        "description": "Head office",
    }
    return {**values, **fields}


def sender(address: str, **fields: Any) -> dict[str, Any]:
    values = {
        "sender": address,
        "relation": "foreign",
        "messages": 17,
        "first": OPENED - 30 * MINUTE_MS,
        "last": OPENED - MINUTE_MS,
    }
    return {**values, **fields}


def policy(**fields: Any) -> dict[str, Any]:
    values = {
        "time_window": 60,
        "allowed_ips": 2,
        "allowed_countries": 0,
        "ignored_countries": [],
        "block_time": 30,
        "notify": ["soc@example.org"],
        "notify_sender": False,
        "match_username": False,
        "match_domain": False,
        "familiar_days": 0,
        "ipv4_prefix": 32,
        "ipv6_prefix": 64,
        "mode": "enforce",
        "origins": {"time_window": "everyone", "allowed_ips": "domain:example.org"},
    }
    return {**values, **fields}


def incident(**fields: Any) -> dict[str, Any]:
    values = {
        "id": INCIDENT,
        "revision": 1,
        "account": "user@example.org",
        "opened": OPENED,
        "rule": "ips",
        "count": 3,
        "limit": 2,
        "window": 60,
        "blocked_until": OPENED + 30 * MINUTE_MS,
        "mode": "enforce",
        "networks": [
            network("192.0.2.10/32"),
            network(
                "203.0.113.5/32",
                country="BR",
                city="São Paulo",
                owner="Rede <Exemplo>",
                service="smtp",
                logins=1,
                days=1,
                first=OPENED,
                last=OPENED,
            ),
            network(
                "2001:db8:1:2::/64",
                address="2001:db8:1:2::99",
                country=None,
                city=None,
                owner=None,
                first=OPENED - 20 * MINUTE_MS,
            ),
        ],
        "countries": [
            {"country": "BR", "logins": 1},
            {"country": "DE", "logins": 12},
            {"country": None, "logins": 12},
        ],
        "messages_24h": 512,
        "foreign_messages_24h": 0,
        "foreign_senders": [],
        "summary": "3 networks in 60 minutes, 2 allowed",
        "policy": policy(),
        "revised": OPENED + 1500,
        "distinct_countries": 2,
        "ignored_logins": 0,
        "networks_ever": 3,
        "left_out": [left_out("192.0.2.200/32")],
    }
    return {**values, **fields}


def notification(**fields: Any) -> dict[str, Any]:
    values = {
        "id": IDENTITY,
        "incident": INCIDENT,
        "account": "user@example.org",
        "recipients": ["soc@example.org"],
        "kind": "blocked",
        "time": OPENED + 1500,
        "details": incident(),
    }
    return {**values, **fields}
