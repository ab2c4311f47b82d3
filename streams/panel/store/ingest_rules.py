"""Policies, safe networks and domains as they are read: how they stand, and a deed for each change."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, delete, select

from streams.core.policy import FIELDS
from streams.panel.store import rows
from streams.panel.store.reading import LONGEST_ACTOR, Item
from streams.panel.store.spellings import note_spellings
from streams.panel.store.tables import DOMAIN, POLICY, SAFE_NETWORK
from streams.panel.store.writes import batched, matching, upsert
from streams.topology import DOMAINS, POLICIES, SAFE_NETWORKS, TABLES

Row = dict[str, Any]
Told = Mapping[str, Any] | None
"""What a deed tells of a rule before or after it; None = nothing is set."""


def write_rules(connection: Connection, by_topic: Mapping[str, Sequence[Item]]) -> list[Row]:
    """Write the rules of a batch, and return the deeds that they are."""
    for table in TABLES:
        note_spellings(connection, table.name, by_topic.get(table.name, ()))
    return [
        *_policies(connection, by_topic.get(POLICIES.name, ())),
        *_safe_networks(connection, by_topic.get(SAFE_NETWORKS.name, ())),
        *_domains(connection, by_topic.get(DOMAINS.name, ())),
    ]


def _policies(connection: Connection, items: Sequence[Item]) -> list[Row]:
    scopes = {item.key for item in items}
    told = {
        row.scope: _policy_told(orjson.loads(row.record))
        for row in matching(connection, select(POLICY.c.scope, POLICY.c.record), POLICY.c.scope, scopes)
    }
    final: dict[str, Row | None] = {}
    deeds = []
    for item in items:
        scope, value = item.key, item.value
        after = None if value is None else _policy_told(value)
        action = "policy.inherit" if value is None else "policy.set"
        deeds.append(deed_row(item, action, scope, before=told.get(scope), after=after))
        told[scope] = after
        final[scope] = None if value is None else rows.policy_row(scope, value)
    gone = [scope for scope, row in final.items() if row is None]
    for some in batched(gone, 500):
        connection.execute(delete(POLICY).where(POLICY.c.scope.in_(some)))
    upsert(connection, POLICY, [row for row in final.values() if row is not None])
    return deeds


def _safe_networks(connection: Connection, items: Sequence[Item]) -> list[Row]:
    c = SAFE_NETWORK.c
    scopes = {item.key.rpartition(" ")[0] for item in items}
    told: dict[str, Told] = {
        f"{row.scope} {row.network}": {"description": row.description, "expires": row.expires_ms}
        for row in matching(connection, select(c.scope, c.network, c.description, c.expires_ms), c.scope, scopes)
    }
    final: dict[str, Row | None] = {}
    deeds = []
    for item in items:
        scope, _, network = item.key.rpartition(" ")
        value = item.value
        after = None if value is None else {"description": value["description"].strip(), "expires": value["expires"]}
        action = "safe.remove" if value is None else "safe.add"
        deeds.append(deed_row(item, action, scope, subject=network, before=told.get(item.key), after=after))
        told[item.key] = after
        final[item.key] = None if value is None else rows.safe_network_row(scope, network, value)
    for key, row in final.items():
        if row is None:
            scope, _, network = key.rpartition(" ")
            connection.execute(delete(SAFE_NETWORK).where(c.scope == scope, c.network == network))
    upsert(connection, SAFE_NETWORK, [row for row in final.values() if row is not None])
    return deeds


def _domains(connection: Connection, items: Sequence[Item]) -> list[Row]:
    c = DOMAIN.c
    names = {item.key for item in items}
    known = {row.domain: row for row in matching(connection, select(DOMAIN), c.domain, names)}
    told: dict[str, Told] = {name: {"group": row.group or None} for name, row in known.items() if row.declared}
    deeds = []
    for item in items:
        after = None if item.value is None else {"group": item.value["group"] or None}
        action = "domain.remove" if item.value is None else "domain.set"
        deeds.append(deed_row(item, action, f"domain:{item.key}", before=told.get(item.key), after=after))
        told[item.key] = after
    final = [
        {
            "domain": name,
            "group": (after or {}).get("group") or "",
            "declared": after is not None,
            "incidents": 0,
            "unreviewed": 0,
        }
        for name, after in told.items()
        if name in names
    ]
    upsert(connection, DOMAIN, final, keep=("incidents", "unreviewed"))
    return deeds


def deed_row(
    item: Item,
    action: str,
    scope: str,
    *,
    subject: str = "",
    reason: str = "",
    before: Told = None,
    after: Told = None,
) -> Row:
    """The row of `deed` for a record."""
    whose, value = rows.placed(scope), item.value or {}
    return {
        "id": item.deed,
        "time_ms": value.get("time", item.time_ms),
        # in an index, and PostgreSQL has none of texts without end
        "actor": (value.get("actor") or item.actor)[:LONGEST_ACTOR],
        "action": action,
        "scope": scope,
        "account": whose.account,
        "domain": whose.domain,
        "group": whose.group,
        "subject": subject,
        "reason": reason,
        "before": None if before is None else orjson.dumps(before).decode(),
        "after": None if after is None else orjson.dumps(after).decode(),
        "address": "",
    }


def _policy_told(record: Mapping[str, Any]) -> Told:
    return {name: record[name] for name in FIELDS if record[name] is not None}
