"""From a record of a topic to the rows of the read model. Pure."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from streams.core.accounts import domain_of
from streams.core.addresses import parse_address, parse_network
from streams.core.policy import MINUTE_MS
from streams.panel.store.likelihood import likelihood
from streams.panel.store.packing import packed
from streams.panel.store.ranges import BITS, V4_BITS, number_bytes

Record = Mapping[str, Any]
Row = dict[str, Any]
LONGEST_PREFIX = 3
"""Digits; Python reads no number of thousands of them."""


class Whose(NamedTuple):
    """Which account, domain or group something is about; empty = not about one."""

    account: str = ""
    domain: str = ""
    group: str = ""


def placed(scope: str) -> Whose:
    """
    What a scope is about.

    >>> placed("account:a@example.org")
    Whose(account='a@example.org', domain='example.org', group='')
    """
    kind, _, name = scope.partition(":")
    if kind == "account":
        return Whose(name, domain_of(name))
    if kind == "domain":
        return Whose(domain=name)
    return Whose(group=name) if kind == "group" else Whose()


def incident_row(record: dict[str, Any]) -> Row:
    """The row of `incident` as far as its own record says; reviews and blocks are added where rows are written."""
    blocked_until = record["blocked_until"] or 0
    return {
        "id": record["id"],
        "revision": record["revision"],
        "account": record["account"],
        "domain": domain_of(record["account"]),
        "opened_ms": record["opened"],
        "revised_ms": record["revised"],
        "rule": record["rule"],
        "mode": record["mode"],
        "count": record["count"],
        "limit": record["limit"],
        "window": record["window"],
        "networks_ever": record["networks_ever"],
        "distinct_countries": record["distinct_countries"],
        "messages_24h": record["messages_24h"],
        "blocked_until_ms": blocked_until,
        "lasts_until_ms": max(blocked_until, record["revised"] + record["window"] * MINUTE_MS),
        "summary": record["summary"],
        "score": likelihood(record),
    }


def incident_record_row(record: dict[str, Any]) -> Row:
    """The row of `incident_record`."""
    return {"id": record["id"], "record": packed(record)}


def network_row(account: str, network: Record) -> Row:
    """The row of `network` for one of an incident's networks."""
    start, prefix = _start(network["network"])
    return {
        "start": start,
        "prefix": prefix,
        "account": account,
        "domain": domain_of(account),
        "address": network["address"],
        "country": network["country"],
        "city": network["city"],
        "owner": network["owner"],
        "last_ms": network["last"],
    }


@lru_cache(maxsize=65_536)
def _start(network: str) -> tuple[bytes, int]:
    """The first address and the prefix of a CIDR. Every revision of an incident repeats most of its networks."""
    address, _, length = network.partition("/")
    bits = V4_BITS if ":" not in address else BITS
    if not (length.isascii() and length.isdigit() and len(length) <= LONGEST_PREFIX and int(length) <= bits):
        parsed = parse_network(network)
        return number_bytes(parsed.number), parsed.prefix
    # as a worker writes it, in a tenth of the time
    spare = bits - int(length)
    return number_bytes(parse_address(address) >> spare << spare), BITS - spare


def block_row(record: Record) -> Row:
    """The row of `block` for a record that blocks; for one that opens, the row as it is when nothing else is known of it."""
    lifts = record["state"] == "open"
    return {
        "id": record["id"],
        "account": record["account"],
        "domain": domain_of(record["account"]),
        "from_ms": record["from"],
        "until_ms": record["until"],
        "ends_ms": record["until"],
        "reason": "" if lifts else record["reason"],
        "incident": record["incident"],
        "actor": "" if lifts else record["actor"],
        "lifted_by": record["actor"] if lifts else None,
        "lifted_reason": record["reason"] if lifts else None,
        "except_networks": orjson.dumps(record["except_networks"]).decode(),
    }


def review_row(record: Record, offset: int) -> Row:
    """The row of `review`."""
    return {
        "id": record["id"],
        "offset": offset,
        "incident": record["incident"],
        "account": record["account"],
        "domain": domain_of(record["account"]),
        "time_ms": record["time"],
        "verdict": record["verdict"],
        "note": record["note"],
        "actor": record["actor"],
    }


def policy_row(scope: str, record: Record) -> Row:
    """The row of `policy` of a canonical scope."""
    whose = placed(scope)
    return {
        "scope": scope,
        "domain": whose.domain,
        "group": whose.group,
        "record": orjson.dumps({**record, "scope": scope}).decode(),
        "actor": record["actor"],
        "time_ms": record["time"],
    }


def safe_network_row(scope: str, network: str, record: Record) -> Row:
    """The row of `safe_network` of a canonical scope and CIDR."""
    whose = placed(scope)
    return {
        "scope": scope,
        "network": network,
        "domain": whose.domain,
        "group": whose.group,
        "description": record["description"].strip(),
        "actor": record["actor"],
        "time_ms": record["time"],
        "expires_ms": record["expires"],
    }


def deed_id(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> str:
    """
    The id of a deed that a record is: of its place and its bytes, since a topic that was made anew has other records at
    the same offsets, and deeds outlive both.
    """
    digest = hashlib.blake2b(f"{topic}/{partition}/{offset}/".encode(), digest_size=16)
    digest.update(key or b"")
    digest.update(b"/")
    digest.update(value or b"")
    return digest.hexdigest()
