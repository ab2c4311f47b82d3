"""How things are, incidents and blocks, and what was done: calls that read the lists, and the review."""

from typing import Annotated

from fastapi import Path

from streams.panel.api.answers import (
    At,
    IncidentAnswer,
    Listed,
    Moment,
    Observation,
    OverviewAnswer,
    ReviewSent,
    Rows,
    Text,
)
from streams.panel.api.calls import Caller, Calls
from streams.panel.api.filters import BlocksWanted, IncidentsWanted
from streams.panel.pages.home import DAY_MS, HOUR_MS, LATEST
from streams.panel.pages.pipeline import signs
from streams.panel.pages.signals import signals
from streams.panel.problems import NotFound
from streams.panel.rights import Right
from streams.panel.store import activity, audit, blocks, incidents
from streams.panel.store.audit import Deed
from streams.panel.store.blocks import BlockRow
from streams.panel.store.cursors import PAGE
from streams.panel.store.incidents import IncidentRow

calls = Calls("incidents")


@calls.get("/overview", right=Right.READ)
def overview(call: Caller) -> OverviewAnswer:
    """How many incidents and blocks there are in the token's scopes, and whether the pipeline is well."""
    visible, now_ms = call.reader.visible, call.now_ms
    hour_ms = now_ms // HOUR_MS * HOUR_MS
    with call.panel.store.reading() as connection:
        counts = incidents.counts(connection, visible, now_ms=now_ms, today_ms=now_ms // DAY_MS * DAY_MS)
        latest = incidents.listed(connection, visible, incidents.Wanted(), now_ms=now_ms, size=LATEST)
        hours = activity.hourly(connection, visible, since_ms=hour_ms - DAY_MS, until_ms=hour_ms + HOUR_MS)
    return OverviewAnswer(counts=counts, hours=list(hours), pipeline=signs(call, hours, latest.rows))


@calls.get("/incidents", right=Right.READ)
def listed(call: Caller, wanted: IncidentsWanted, *, cursor: At = None, size: Rows = PAGE) -> Listed[IncidentRow]:
    """The incidents in the token's scopes."""
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
    return IncidentAnswer(
        line=found.row,
        record=found.record,
        reviews=list(found.reviews),
        block=found.block,
        observations=[
            Observation(verdict=signal.verdict, text=signal.sentence(call.words)) for signal in signals(found.record)
        ],
    )


@calls.post("/incidents/{incident}/review", right=Right.REVIEW)
def review(call: Caller, incident: Annotated[Text, Path()], sent: ReviewSent) -> None:
    """Say what an incident turned out to be."""
    call.decide.review(incident, sent.verdict, sent.note)


@calls.get("/blocks", right=Right.READ)
def listed_blocks(call: Caller, wanted: BlocksWanted, *, cursor: At = None, size: Rows = PAGE) -> Listed[BlockRow]:
    """The blocks that are in force, or all that are known."""
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
    cursor: At = None,
    size: Rows = PAGE,
) -> Listed[Deed]:
    """Who did what when."""
    wanted = audit.Wanted(actor, action, account, scope, since_ms, until_ms)
    with call.panel.store.reading() as connection:
        return Listed.of(audit.listed(connection, call.reader.visible, wanted, cursor=cursor or None, size=size))
