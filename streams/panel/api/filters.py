"""The filters of lists, which a list and its download have alike."""

from typing import Annotated, Literal

from fastapi import Depends

from streams.core.accounts import canonical_account, canonical_domain, canonical_group
from streams.panel.api.answers import Moment, Text
from streams.panel.api.calls import Caller
from streams.panel.store import blocks, incidents
from streams.panel.store.rules import SafeWanted

Status = Literal[
    "unreviewed",
    "open",
    "blocked",
    "observed",
    "reviewed",
    "reviewed:compromised",
    "reviewed:third_party",
    "reviewed:travelling",
    "reviewed:mobile",
    "reviewed:other",
]


def _incidents(
    call: Caller,
    *,
    domain: Text | None = None,
    group: Text | None = None,
    account: Text | None = None,
    status: Status | None = None,
    rule: Literal["ips", "countries"] | None = None,
    since_ms: Moment | None = None,
    until_ms: Moment | None = None,
    text: Text | None = None,
    sort: Literal["newest", "likeliest"] = "newest",
) -> incidents.Wanted:
    return incidents.Wanted(
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


def _blocks(
    *, in_force: bool = True, domain: Text | None = None, group: Text | None = None, text: Text | None = None
) -> blocks.Wanted:
    return blocks.Wanted(
        in_force=in_force,
        domain=None if domain is None else canonical_domain(domain),
        group=None if group is None else canonical_group(group),
        text=text,
    )


def _safe_networks(call: Caller, *, scope: Text | None = None, text: Text | None = None) -> SafeWanted:
    return SafeWanted(None if scope is None else call.scope(scope), text)


IncidentsWanted = Annotated[incidents.Wanted, Depends(_incidents)]
BlocksWanted = Annotated[blocks.Wanted, Depends(_blocks)]
SafeNetworksWanted = Annotated[SafeWanted, Depends(_safe_networks)]
