"""Incidents and blocks, and what was done: calls that read the lists, and the review."""

from typing import Annotated, Literal

from fastapi import Path, Query

from streams.core.accounts import canonical_account, canonical_domain, canonical_group
from streams.panel.api.answers import IncidentAnswer, Listed, Moment, ReviewSent, Size, Text
from streams.panel.api.calls import Caller, Calls
from streams.panel.problems import NotFound
from streams.panel.rights import Right
from streams.panel.store import audit, blocks, incidents
from streams.panel.store.audit import Deed
from streams.panel.store.blocks import BlockRow
from streams.panel.store.cursors import PAGE
from streams.panel.store.incidents import IncidentRow

calls = Calls("incidents")
Cursor = Annotated[Text | None, Query(description="`next` or `previous` of a page")]
Rows = Annotated[Size, Query()]
Status = Annotated[
    Text | None,
    Query(description="unreviewed, blocked, observed, reviewed, or reviewed:VERDICT"),
]


@calls.get("/incidents", right=Right.READ)
def listed(
    call: Caller,
    *,
    domain: Text | None = None,
    group: Text | None = None,
    account: Text | None = None,
    status: Status = None,
    rule: Literal["ips", "countries"] | None = None,
    since_ms: Moment | None = None,
    until_ms: Moment | None = None,
    text: Text | None = None,
    sort: Literal["newest", "likeliest"] = "newest",
    cursor: Cursor = None,
    size: Rows = PAGE,
) -> Listed[IncidentRow]:
    """The incidents in the token's scopes."""
    wanted = incidents.Wanted(
        domain=None if domain is None else canonical_domain(domain),
        group=None if group is None else canonical_group(group),
        account=None if account is None else canonical_account(account, call.panel.settings.default_domain),
        status=status,
        rule=rule,
        since_ms=since_ms,
        until_ms=until_ms,
        text=text,
        sort=sort,
    )
    with call.panel.store.reading() as connection:
        page = incidents.listed(
            connection, call.reader.visible, wanted, now_ms=call.now_ms, cursor=cursor or None, size=size
        )
    return Listed.of(page)


@calls.get("/incidents/{incident}", right=Right.READ)
def one(call: Caller, incident: Annotated[Text, Path()]) -> IncidentAnswer:
    """One incident with all its evidence."""
    with call.panel.store.reading() as connection:
        found = incidents.one(connection, call.reader.visible, incident)
    if found is None:
        raise NotFound
    return IncidentAnswer(line=found.row, record=found.record, reviews=list(found.reviews), block=found.block)


@calls.post("/incidents/{incident}/review", right=Right.REVIEW)
def review(call: Caller, incident: Annotated[Text, Path()], sent: ReviewSent) -> None:
    """Say what an incident turned out to be."""
    call.decide.review(incident, sent.verdict, sent.note)


@calls.get("/blocks", right=Right.READ)
def listed_blocks(
    call: Caller,
    *,
    in_force: bool = True,
    domain: Text | None = None,
    group: Text | None = None,
    text: Text | None = None,
    cursor: Cursor = None,
    size: Rows = PAGE,
) -> Listed[BlockRow]:
    """The blocks that are in force, or all that are known."""
    wanted = blocks.Wanted(
        in_force=in_force,
        domain=None if domain is None else canonical_domain(domain),
        group=None if group is None else canonical_group(group),
        text=text,
    )
    with call.panel.store.reading() as connection:
        page = blocks.listed(
            connection, call.reader.visible, wanted, now_ms=call.now_ms, cursor=cursor or None, size=size
        )
    return Listed.of(page)


@calls.get("/audit", right=Right.AUDIT)
def listed_deeds(
    call: Caller,
    *,
    actor: Text | None = None,
    action: Text | None = None,
    account: Text | None = None,
    scope: Text | None = None,
    since_ms: Moment | None = None,
    until_ms: Moment | None = None,
    cursor: Cursor = None,
    size: Rows = PAGE,
) -> Listed[Deed]:
    """Who did what when."""
    wanted = audit.Wanted(actor, action, account, scope, since_ms, until_ms)
    with call.panel.store.reading() as connection:
        return Listed.of(audit.listed(connection, call.reader.visible, wanted, cursor=cursor or None, size=size))
