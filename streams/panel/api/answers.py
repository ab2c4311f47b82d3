"""
The shapes of what is sent and answered; times are milliseconds since the epoch, UTC, in fields that end in `_ms`.

Decision: rows are answered with the fields that the store's queries give them; there is no second naming.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from streams.core.policy import LONGEST_MINUTES
from streams.panel.decisions import LONGEST_NOTE, LONGEST_REASON
from streams.panel.pages.pipeline import Sign
from streams.panel.store.activity import Hour
from streams.panel.store.blocks import BlockRow
from streams.panel.store.cursors import LONGEST, Page
from streams.panel.store.incidents import Counts, IncidentRow, ReviewRow

Row = TypeVar("Row")
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""
Text = Annotated[str, StringConstraints(max_length=330, pattern=r"^[^\x00-\x1f]*$")]
Written = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Moment = Annotated[int, Field(ge=0, le=LATEST_MS)]
Size = Annotated[int, Field(ge=1, le=500, description="Rows of a page")]
At = Annotated[
    Annotated[str, StringConstraints(max_length=LONGEST, pattern=r"^[^\x00-\x1f]*$")] | None,
    Query(description="`next` or `previous` of a page"),
]
"""A cursor has the names of a row in it, so it is longer than any of them."""
Rows = Annotated[Size, Query()]
Small = Annotated[int, Field(ge=0, le=1_000_000)]
Verdict = Literal["compromised", "third_party", "travelling", "mobile", "other"]


class Sent(BaseModel):
    """A body; a field that nobody knows is refused, since it may be one misspelt."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ProblemAnswer(BaseModel):
    """Why a call did not do what was asked (RFC 9457). Conflicts say who changed it, and when; null: removed."""

    title: str
    status: int
    detail: str
    changed_by: str | None = None
    changed_ms: int | None = None


class Listed(BaseModel, Generic[Row]):
    """One page of a list. `next` and `previous` go into `cursor`; `partial`: the search was broken off, and goes on there."""

    items: list[Row]
    next: str | None = None
    previous: str | None = None
    partial: bool = False

    @classmethod
    def of(cls, page: Page[Row]) -> "Listed[Row]":
        """The page of a query."""
        return cls(items=list(page.rows), next=page.next, previous=page.previous, partial=page.partial)


class OverviewAnswer(BaseModel):
    """How many there are; incidents, blocks and logins of each hour of the last day; whether the pipeline is well."""

    counts: Counts
    hours: list[Hour]
    pipeline: list[Sign]


class Observation(BaseModel):
    """What in an incident speaks for which verdict."""

    verdict: str
    text: str


class IncidentAnswer(BaseModel):
    """
    An incident: its line of the list, the Incident record with all evidence, reviews (newest first), its block, and what
    in it speaks for which verdict.
    """

    line: IncidentRow
    record: dict[str, Any]
    reviews: list[ReviewRow]
    block: BlockRow | None
    observations: list[Observation]


class ReviewSent(Sent):
    """What an incident turned out to be."""

    verdict: Verdict
    note: Annotated[Written, Field(max_length=LONGEST_NOTE)] = ""


class Order(Sent):
    """Why something is ordered."""

    reason: Annotated[Written, Field(max_length=LONGEST_REASON)] = ""


class BlockOrder(Order):
    """How long to block; without minutes as long as the policy says."""

    minutes: Annotated[int, Field(ge=1, le=LONGEST_MINUTES)] | None = None


class SafeSent(Sent):
    """A network to be trusted."""

    scope: Text
    network: Text
    description: Annotated[Written, Field(min_length=1, max_length=500)]
    expires_ms: Moment | None = None


class PolicyFields(Sent):
    """What a scope demands; null or absent inherits."""

    time_window: Small | None = None
    allowed_ips: Small | None = None
    allowed_countries: Small | None = None
    ignored_countries: list[Text] | None = None
    block_time: Small | None = None
    notify: list[Text] | None = None
    notify_sender: bool | None = None
    match_username: bool | None = None
    match_domain: bool | None = None
    familiar_days: Small | None = None
    ipv4_prefix: Small | None = None
    ipv6_prefix: Small | None = None
    mode: Literal["enforce", "observe"] | None = None


class PolicySent(Sent):
    """A policy, and the `time_ms` of the one that was seen before (null: none); a newer one is not overwritten."""

    fields: PolicyFields
    seen_ms: Moment | None = None


class PolicyAnswer(BaseModel):
    """What one scope itself demands."""

    scope: str
    fields: dict[str, Any]
    actor: str
    time_ms: int


class DomainSent(Sent):
    """The group that a domain is put under; null takes it out of its group."""

    group: Text | None
