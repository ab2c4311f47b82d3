"""From what a reader asks for to a search over incidents."""

from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, or_, select

from streams.core.addresses import Network, parse_network
from streams.core.refusal import Refused
from streams.errors import UsageError
from streams.panel.store.cursors import Columns
from streams.panel.store.ranges import accounts_at, has_one
from streams.panel.store.search import FEW, Search
from streams.panel.store.tables import ACCOUNT, DOMAIN, INCIDENT, SUMMARY
from streams.panel.store.visible import Visible, below
from streams.panel.store.writes import among, matching

STATUSES = ("unreviewed", "open", "blocked", "observed", "reviewed")
SORTS = ("newest", "likeliest")
RULES = ("ips", "countries")
VERDICTS = ("compromised", "third_party", "travelling", "mobile", "other")
NOT_REVIEWED = ""
MOST_ACCOUNTS = 1_000
"""Accounts that a text may match before the walk looks at each name instead."""
MOST_SENTENCES = 200
"""Sentences that it may match."""
MOST_SEEN = 4_000
"""Networks that a network may contain before the walk looks at each account's own."""

Sort = Literal["newest", "likeliest"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which incidents, and in which order. None = any.

    `status` is one of `STATUSES` or `reviewed:<verdict>`. `since_ms` and `until_ms` (exclusive) bound `opened_ms`. `text` is
    a part of an account or of the summary, in any case, or an address or network: then of accounts that had incidents
    from there. `group` means with all below it. `newest` first, or those that are likeliest taken over.
    """

    domain: str | None = None
    group: str | None = None
    account: str | None = None
    status: str | None = None
    rule: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    text: str | None = None
    sort: Sort = "newest"


def search_of(connection: Connection, visible: Visible, wanted: Wanted, now_ms: int) -> Search:
    """The search for what is wanted within what is visible. Raises UsageError for an unknown status, rule or sort."""
    if wanted.sort not in SORTS or wanted.rule not in (None, *RULES):
        raise UsageError(f"Incidents are sorted by {' or '.join(SORTS)}, and rules are {' and '.join(RULES)}")
    # of the other order only one index begins with another column: what waits for a review, the likeliest first, is what
    # the home page shows, and those reviewed already are the likeliest of all
    search = Search(INCIDENT, leading=wanted.sort != "newest")
    _whose(connection, search, visible, wanted)
    _status(connection, search, wanted, now_ms)
    if wanted.rule is not None:
        search.lead(lambda c: c.rule == wanted.rule)
        search.count(connection, lambda c: c.rule == wanted.rule)
    _when(connection, search, wanted)
    if wanted.text and wanted.text.strip():
        _text(connection, search, wanted.text.strip().lower())
    return search


def _observed(c: Columns) -> ColumnElement[bool]:
    return cast(
        "ColumnElement[bool]", c.mode == literal_column("'observe'")
    )  # a partial index is only used for a value that stands in the query


def _whose(connection: Connection, search: Search, visible: Visible, wanted: Wanted) -> None:
    """Accounts and domains. The counts by domain say how many incidents are left, without looking at them."""
    domains: list[ColumnElement[bool]] = []
    if wanted.account is not None:
        search.lead(lambda c: c.account == wanted.account)
        search.count(connection, lambda c: c.account == wanted.account)
    if wanted.domain is not None:
        search.lead(lambda c: c.domain == wanted.domain)
        domains.append(DOMAIN.c.domain == wanted.domain)
    if wanted.group is not None:
        in_group = below(DOMAIN.c.group, wanted.group)
        search.filters.append(lambda c: c.domain.in_(select(DOMAIN.c.domain).where(in_group)))
        domains.append(in_group)
    if not visible.everything:
        search.filters.append(lambda c: visible.domain(c.domain))
        domains.append(visible.domain(DOMAIN.c.domain))
    if domains:
        total = select(func.coalesce(func.sum(DOMAIN.c.incidents), 0)).where(*domains)
        some = select(DOMAIN.c.domain).where(*domains)
        search.offer(lambda c: c.domain.in_(some), connection.execute(total).scalar_one())


def _status(connection: Connection, search: Search, wanted: Wanted, now_ms: int) -> None:
    status = wanted.status
    if status is None:
        return
    kind, _, verdict = status.partition(":")
    if status == "unreviewed" or (kind == "reviewed" and verdict in VERDICTS):
        if wanted.sort == "likeliest":
            search.leading = False
        search.lead(lambda c: c.verdict == verdict)
        search.count(connection, lambda c: c.verdict == verdict)
    elif status == "reviewed":
        search.filters.append(lambda c: c.verdict > NOT_REVIEWED)
        search.count(connection, lambda c: c.verdict > NOT_REVIEWED)
    elif status in ("open", "blocked"):
        until = "lasts_until_ms" if status == "open" else "blocked_until_ms"
        search.filters.append(lambda c: c[until] > now_ms)
        search.count(connection, lambda c: c[until] > now_ms)
    elif status == "observed":
        search.lead(_observed)
        search.count(connection, _observed)
    else:
        known = (*STATUSES, *(f"reviewed:{name}" for name in VERDICTS))
        raise UsageError(f"There is no status {status[:40]!r}: use one of {', '.join(known)}")


def _when(connection: Connection, search: Search, wanted: Wanted) -> None:
    """Bounds of the time: ends of the walk by time, else a filter that may leave few."""
    since, until = wanted.since_ms, wanted.until_ms
    if since is None and until is None:
        return

    def within(c: Columns) -> ColumnElement[bool]:
        bounds = []
        if since is not None:
            bounds.append(c.opened_ms >= since)
        if until is not None:
            bounds.append(c.opened_ms < until)
        return and_(*bounds)

    (search.along if wanted.sort == "newest" else search.filters).append(within)
    search.count(connection, within)


def _text(connection: Connection, search: Search, text: str) -> None:
    network = _network(text)
    if network is not None:
        _seen_at(connection, search, network)
        return
    search.filters.append(
        lambda c: or_(c.account.contains(text, autoescape=True), c.summary.contains(text, autoescape=True))
    )
    said = select(SUMMARY.c.summary).where(SUMMARY.c.summary.contains(text, autoescape=True))
    sentences = connection.execute(said.limit(MOST_SENTENCES + 1)).scalars().all()
    if len(sentences) > MOST_SENTENCES:
        return
    told = among(connection, INCIDENT.c.summary, sentences)
    some = select(INCIDENT.c.id).where(told).limit(FEW + 1).subquery()
    number = connection.execute(select(func.count()).select_from(some)).scalar_one() if sentences else 0
    names = accounts_with(connection, text, ACCOUNT.c.incidents) if number <= FEW else None
    if names is not None:
        search.offer(
            lambda c: or_(among(connection, c.account, list(names)), among(connection, c.summary, sentences)),
            sum(names.values()) + number,
        )


def _seen_at(connection: Connection, search: Search, network: Network) -> None:
    """Accounts with such a network: few are named, of many each incident's own is looked at."""
    names = accounts_at(connection, network, MOST_SEEN)
    if names is None:
        search.filters.append(lambda c: has_one(network, c.domain, c.account))
        return
    of_these = select(ACCOUNT.c.account, ACCOUNT.c.incidents)
    number = sum(row.incidents for row in matching(connection, of_these, ACCOUNT.c.account, names))
    search.filters.append(lambda c: among(connection, c.account, sorted(names)))
    search.offer(lambda c: among(connection, c.account, sorted(names)), number)


def accounts_with(connection: Connection, text: str, number: ColumnElement[int]) -> dict[str, int] | None:
    """The accounts with this part, and how many incidents (or blocks) each has; None where they are many."""
    query = select(ACCOUNT.c.account, number).where(ACCOUNT.c.account.contains(text, autoescape=True))
    found = connection.execute(query.limit(MOST_ACCOUNTS + 1)).all()
    return None if len(found) > MOST_ACCOUNTS else {account: count for account, count in found}  # noqa: C416 - rows


def _network(text: str) -> Network | None:
    """The address or CIDR that a text is; None when it is neither."""
    try:
        return parse_network(text)
    except Refused:
        return None
