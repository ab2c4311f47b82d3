"""Records for the tests of pages: a takeover, a journey, and the rules around them, as they stand on their topics."""

from typing import Any

from streams.core.policy import EffectivePolicy
from tests.panel.store.feeding import Told

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_790_000_000_000
"""2026-09-21 14:13:20 GMT."""
THIEF = "ann@example.org"
TRAVELLER = "bob@example.org"
FOREIGNER = "eve@elsewhere.example"
Record = dict[str, Any]


def network(
    cidr: str,
    country: str | None,
    city: str | None,
    first_ms: int,
    last_ms: int,
    *,
    logins: int = 1,
    days: int = 1,
    service: str = "imap",
    owner: str | None = "Example Telecom",
    place: tuple[float, float] | None = None,
) -> Record:
    """A network of an incident."""
    return {
        "network": cidr,
        "country": country,
        "first": first_ms,
        "last": last_ms,
        "address": cidr.partition("/")[0],
        "service": service,
        "logins": logins,
        "days": days,
        "city": city,
        "latitude": None if place is None else place[0],
        "longitude": None if place is None else place[1],
        "owner": owner,
    }


def incident(number: str, account: str, opened_ms: int, networks: list[Record], **changed: Any) -> Record:
    """An Incident record; what is not named is ordinary."""
    limit = changed.get("limit", 3)
    count = changed.get("count", limit + 1)
    policy = EffectivePolicy(
        time_window=60,
        allowed_ips=limit,
        block_time=1440,
        notify=("postmaster@example.org",),
        origins=(("time_window", "everyone"), ("allowed_ips", "domain:example.org"), ("block_time", "everyone")),
    ).to_record()
    policy["origins"] = {name: "default" for name in policy if name != "origins"} | policy["origins"]
    known = {item["country"] for item in networks} - {None}
    by_country = [
        {"country": code, "logins": sum(item["logins"] for item in networks if item["country"] == code)}
        for code in sorted({item["country"] for item in networks}, key=str)
    ]
    return {
        "id": f"00000000-0000-5000-8000-{number:0>12}",
        "revision": 1,
        "account": account,
        "opened": opened_ms,
        "rule": "ips",
        "count": count,
        "limit": limit,
        "window": 60,
        "blocked_until": None,
        "mode": "enforce",
        "networks": networks,
        "countries": by_country,
        "messages_24h": 0,
        "foreign_messages_24h": 0,
        "foreign_senders": [],
        "summary": f"{count} networks > {limit} allowed within 60 minutes",
        "policy": policy,
        "revised": opened_ms,
        "distinct_countries": len(known),
        "ignored_logins": 0,
        "networks_ever": len(networks),
        "left_out": [],
        **changed,
    }


def taken_over(opened_ms: int = NOW_MS - HOUR_MS, account: str = THIEF, number: str = "1", **changed: Any) -> Record:
    """An account that a thief uses from four countries, while its owner is at home."""
    minute = MINUTE_MS
    networks = [
        network(
            "192.0.2.10/32",
            "DE",
            "Berlin",
            opened_ms - 60 * DAY_MS,
            opened_ms - 4 * minute,
            logins=410,
            days=41,
            place=(52.5, 13.4),
        ),
        network(
            "198.51.100.23/32",
            "BR",
            "São Paulo",
            opened_ms - 21 * minute,
            opened_ms + 18 * minute,
            logins=64,
            service="smtp",
            owner="Example Hosting",
            place=(-23.5, -46.6),
        ),
        network(
            "203.0.113.5/32",
            "VN",
            "Hanoi",
            opened_ms - 9 * minute,
            opened_ms + 12 * minute,
            logins=31,
            service="smtp",
            owner="Example Hosting",
            place=(21.0, 105.8),
        ),
        network(
            "2001:db8:77:1::/64",
            "US",
            "Ashburn",
            opened_ms,
            opened_ms + 20 * minute,
            logins=90,
            service="smtp",
            owner="Example Cloud",
            place=(39.0, -77.5),
        ),
        network(
            "203.0.113.99/32",
            "NG",
            "Lagos",
            opened_ms + 5 * minute,
            opened_ms + 5 * minute,
            owner=None,
            place=(6.5, 3.4),
        ),
        network("100.64.3.3/32", None, None, opened_ms + 7 * minute, opened_ms + 7 * minute, owner=None),
    ]
    senders = [
        {
            "sender": "billing@bank.example",
            "relation": "foreign",
            "messages": 412,
            "first": opened_ms - 20 * minute,
            "last": opened_ms + 18 * minute,
        },
        {
            "sender": "postmaster@example.org",
            "relation": "domain",
            "messages": 7,
            "first": opened_ms,
            "last": opened_ms + 9 * minute,
        },
    ]
    given = {
        "count": 6,
        "messages_24h": 614,
        "foreign_messages_24h": 419,
        "foreign_senders": senders,
        "blocked_until": opened_ms + 24 * HOUR_MS,
        "revision": 3,
        "revised": opened_ms + 20 * minute,
        "left_out": [
            {
                "network": "100.64.7.7/32",
                "country": "DE",
                "first": opened_ms - 50 * minute,
                "last": opened_ms - 30 * minute,
                "logins": 4,
                "safe_network": "100.64.7.0/24",
                "scope": "domain:example.org",
                "description": "head office",
            }
        ],
        "ignored_logins": 5,
    }
    return incident(number, account, opened_ms, networks, **{**given, **changed})


def travelling(
    opened_ms: int = NOW_MS - 3 * HOUR_MS, account: str = TRAVELLER, number: str = "2", **changed: Any
) -> Record:
    """An account whose owner is on the way: home falls silent, then a train, an airport, a hotel."""
    minute = MINUTE_MS
    networks = [
        network(
            "192.0.2.44/32",
            "DE",
            "Frankfurt",
            opened_ms - 90 * DAY_MS,
            opened_ms - 55 * minute,
            logins=980,
            days=70,
            place=(50.1, 8.7),
        ),
        network(
            "192.0.2.201/32",
            "DE",
            "Mannheim",
            opened_ms - 48 * minute,
            opened_ms - 40 * minute,
            logins=4,
            owner="Example Rail",
            place=(49.5, 8.5),
        ),
        network(
            "198.51.100.140/32",
            "FR",
            "Paris",
            opened_ms - 22 * minute,
            opened_ms - 15 * minute,
            logins=3,
            owner="Example Airport",
            place=(48.9, 2.4),
        ),
        network(
            "198.51.100.7/32",
            "FR",
            "Paris",
            opened_ms,
            opened_ms + 30 * minute,
            logins=9,
            owner="Hotel Example",
            place=(48.9, 2.4),
        ),
    ]
    return incident(number, account, opened_ms, networks, **{"messages_24h": 12, **changed})


def block(found: Record, **changed: Any) -> Record:
    """The block that an incident causes."""
    return {
        "id": f"b{found['id'][1:]}",
        "account": found["account"],
        "state": "blocked",
        "from": found["opened"],
        "until": found["blocked_until"],
        "reason": found["summary"],
        "incident": found["id"],
        "actor": "loginwatch",
        "except_networks": ["192.0.2.10/32"],
        **changed,
    }


def review(found: Record, verdict: str = "travelling", note: str = "asked by telephone", number: int = 1) -> Record:
    """What somebody found about an incident."""
    return {
        "id": f"review-{found['id']}-{number}",
        "incident": found["id"],
        "account": found["account"],
        "time": found["revised"] + 10 * MINUTE_MS + number,
        "verdict": verdict,
        "note": note,
        "actor": "help@example.org",
    }


def policy(scope: str, **fields: Any) -> Told:
    """A Policy record on its topic."""
    names = EffectivePolicy().to_record()
    values = {name: fields.get(name) for name in names if name != "origins"}
    return "policies", scope, {"scope": scope, **values, "actor": "chief@example.org", "time": NOW_MS - DAY_MS}


def safe(scope: str, cidr: str, description: str = "head office", expires: int | None = None) -> Told:
    """A SafeNetwork record on its topic."""
    record = {
        "scope": scope,
        "network": cidr,
        "description": description,
        "actor": "chief@example.org",
        "time": NOW_MS - DAY_MS,
        "expires": expires,
    }
    return "safe-networks", f"{scope} {cidr}", record


def domain(name: str, group: str | None) -> Told:
    """A Domain record on its topic."""
    return "domains", name, {"domain": name, "group": group}


def told(found: Record) -> list[Told]:
    """An incident and the block that it caused, on their topics."""
    made: list[Told] = [("incidents", found["account"], found)]
    if found["blocked_until"] is not None:
        made.append(("blocks", found["account"], block(found)))
    return made
