"""Policies, safe networks, domains: what the rules are, and changes to them."""

from typing import Annotated, Any

from fastapi import Path, Query

from streams.core.accounts import canonical_domain
from streams.panel.api.answers import At, DomainSent, Listed, Moment, PolicyAnswer, PolicySent, Rows, SafeSent, Text
from streams.panel.api.calls import Caller, Calls
from streams.panel.api.filters import SafeNetworksWanted
from streams.panel.decisions import WHATEVER
from streams.panel.problems import NotFound
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.store.cursors import PAGE
from streams.panel.store.rules import DomainRow, PolicyRow, SafeRow
from streams.panel.store.safe_networks import Coverage

calls = Calls("rules")
CONFLICT: dict[int, dict[str, Any]] = {409: {"description": "Somebody has changed it since it was seen"}}
Seen = Annotated[
    Moment | None,
    Query(description="`time_ms` of the policy that was seen; a newer one is left. Without: whatever is there"),
]
Scope = Annotated[Text, Path(description="everyone, group:a/b, domain:example.org or account:user@example.org")]


@calls.get("/safe-networks", right=Right.READ)
def safe_networks(
    call: Caller,
    wanted: SafeNetworksWanted,
    *,
    cursor: At = None,
    size: Rows = PAGE,
) -> Listed[SafeRow]:
    """The safe networks in the token's scopes, the latest first; expired ones too."""
    with call.panel.store.reading() as connection:
        page = rules.safe_networks(connection, call.reader.visible, wanted, cursor=cursor or None, size=size)
    return Listed.of(page)


@calls.get("/safe-networks/coverage", right=Right.READ)
def coverage(call: Caller, scope: Annotated[Text, Query()], network: Annotated[Text, Query()]) -> Coverage:
    """What a safe network would cover of the networks seen in incidents: ask before it is added."""
    canonical = call.scope(scope)
    with call.panel.store.reading() as connection:
        return rules.coverage(connection, call.reader.visible, network, scope=canonical)


@calls.post("/safe-networks", right=Right.MARK_SAFE)
def add_safe(call: Caller, sent: SafeSent) -> None:
    """Trust a network for a scope. Scopes beyond an account need the right to change rules."""
    call.decide.add_safe(sent.scope, sent.network, sent.description, sent.expires_ms)


@calls.delete("/safe-networks", right=Right.MARK_SAFE)
def remove_safe(call: Caller, scope: Annotated[Text, Query()], network: Annotated[Text, Query()]) -> None:
    """Trust a network no longer."""
    call.decide.remove_safe(scope, network)


@calls.get("/policies", right=Right.READ)
def policies(call: Caller, *, cursor: At = None, size: Rows = PAGE) -> Listed[PolicyAnswer]:
    """Every scope that sets something itself: everyone, groups, domains, accounts."""
    with call.panel.store.reading() as connection:
        page = rules.listed_policies(connection, call.reader.visible, cursor=cursor or None, size=size)
    return Listed.of(page.each(_answer))


@calls.get("/policies/{scope:path}", right=Right.READ)
def policy(call: Caller, scope: Scope) -> PolicyAnswer:
    """What one scope itself sets."""
    canonical = call.scope(scope)
    with call.panel.store.reading() as connection:
        row = rules.policy(connection, call.reader.visible, canonical)
    if row is None:
        raise NotFound("Nothing is set there: every field inherits.")
    return _answer(row)


@calls.put("/policies/{scope:path}", right=Right.CHANGE_RULES, responses=CONFLICT)
def set_policy(call: Caller, scope: Scope, sent: PolicySent) -> None:
    """Let a scope demand these fields and no others."""
    call.decide.set_policy(scope, sent.fields.model_dump(), sent.seen_ms)


@calls.delete("/policies/{scope:path}", right=Right.CHANGE_RULES, responses=CONFLICT)
def inherit(call: Caller, scope: Scope, *, seen_ms: Seen = None) -> None:
    """Superior level settings: let every field of a scope inherit."""
    call.decide.inherit(scope, WHATEVER if seen_ms is None else seen_ms)


@calls.post("/policies/{scope:path}/reset", right=Right.CHANGE_RULES, responses=CONFLICT)
def reset_policy(call: Caller, scope: Scope, *, seen_ms: Seen = None) -> None:
    """Switch everything off in a scope, whatever is set above it."""
    call.decide.reset_policy(scope, WHATEVER if seen_ms is None else seen_ms)


@calls.get("/domains", right=Right.READ)
def domains(call: Caller, *, text: Text = "", cursor: At = None, size: Rows = PAGE) -> Listed[DomainRow]:
    """Domains with their groups and how many incidents they have, by name; `text` is a part of it."""
    with call.panel.store.reading() as connection:
        page = rules.listed_domains(connection, call.reader.visible, text=text, cursor=cursor or None, size=size)
    return Listed.of(page)


@calls.put("/domains/{domain}", right=Right.CHANGE_DOMAINS)
def set_group(call: Caller, domain: Annotated[Text, Path()], sent: DomainSent) -> None:
    """Put a domain under a group, or under none."""
    call.decide.set_group(canonical_domain(domain), sent.group)


def _answer(row: PolicyRow) -> PolicyAnswer:
    return PolicyAnswer(scope=row.scope, fields=row.policy.to_record(), actor=row.actor, time_ms=row.time_ms)
