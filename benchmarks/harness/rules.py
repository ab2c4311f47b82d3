"""
The rules of the two jobs, as records of the topics `policies`, `safe-networks` and `domains`.

*common*: 5 addresses in 60 minutes, then a block of 60 minutes; IPv6 addresses count one by one, as they do for the
peers, countries do not. *full*: policies of every scope, safe networks, two countries, familiar networks, mails.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from streams.core.policy import FIELDS
from streams.records.codec import Codec
from streams.records.json_form import to_json
from streams.topology import BY_NAME

Rule = tuple[str, str, dict[str, Any]]
"""Topic, key, fields."""

LEVELS: dict[str, list[dict[str, Any]]] = {
    "common": [
        {"scope": "everyone", "time_window": 60, "allowed_ips": 5, "block_time": 60, "ipv4_prefix": 32, "ipv6_prefix": 128}
    ],
    "full": [
        {"scope": "everyone", "time_window": 60, "allowed_ips": 5, "allowed_countries": 2, "block_time": 60,
         "familiar_days": 7, "notify": ["soc@example.org"], "ignored_countries": ["LV"]},
        {"scope": "group:reseller-a", "allowed_ips": 6, "notify": ["help@reseller-a.example"]},
        {"scope": "group:reseller-a/customer-7", "block_time": 30, "notify_sender": True},
        {"scope": "domain:example.org", "allowed_ips": 8},
        {"scope": "domain:example.net", "mode": "observe", "ipv6_prefix": 56},
        {"scope": "account:olga.adler6@example.net", "mode": "enforce", "allowed_ips": 3},
    ],
}  # fmt: skip
SAFE = [("everyone", "198.18.96.0/20"), ("group:reseller-a", "198.18.128.0/23"), ("domain:example.org", "10.8.0.0/16")]
GROUPS = {"example.org": "reseller-a/customer-7", "example.net": "reseller-a"}
ACTOR = "benchmark"


def rules(job: str) -> Iterator[Rule]:
    """Everything that a job's accounts are judged by."""
    for level in LEVELS[job]:
        policy = {**dict.fromkeys(FIELDS), **level, "actor": ACTOR, "time": 0}
        yield "policies", level["scope"], policy
    if job != "full":
        return
    for scope, network in SAFE:
        safe = {
            "scope": scope,
            "network": network,
            "description": "a benchmark's",
            "actor": ACTOR,
            "time": 0,
            "expires": None,
        }
        yield "safe-networks", f"{scope} {network}", safe
    for domain, group in GROUPS.items():
        yield "domains", domain, {"domain": domain, "group": group}


def as_records(job: str) -> Iterator[tuple[str, bytes, bytes | None, int]]:
    """For the topics."""
    encode = Codec().encode
    for topic, key, value in rules(job):
        yield topic, key.encode(), encode(BY_NAME[topic].record, value), 0


def as_tombstones(jobs: Iterable[str]) -> Iterator[tuple[str, bytes, bytes | None, int]]:
    """What takes the rules of these jobs back."""
    for job in jobs:
        for topic, key, _ in rules(job):
            yield topic, key.encode(), None, 0


def as_lines(job: str) -> Iterator[dict[str, Any]]:
    """For a replay."""
    for topic, key, value in rules(job):
        yield {"topic": topic, "key": key, "timestamp": 0, "value": to_json(BY_NAME[topic].record, value)}
