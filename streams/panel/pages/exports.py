"""
Lists as CSV, for pages and the API: their columns, and that whoever takes a list away is known afterwards.
"""

from collections.abc import Iterator

from starlette.responses import StreamingResponse

from streams.panel.asking import Asking
from streams.panel.forms import Form
from streams.panel.pages.csv_text import Cell, csv_download, moment
from streams.panel.pages.sentences import why
from streams.panel.problems import Problem
from streams.panel.store import audit, blocks, incidents, rules
from streams.panel.words import N_

AT_ONCE = 500
INCIDENTS = (
    N_("Incident"),
    N_("Account"),
    N_("Opened"),
    N_("Reason"),
    N_("Rule"),
    N_("Found"),
    N_("Allowed"),
    N_("Window in minutes"),
    N_("Messages in 24 hours"),
    N_("Countries"),
    N_("Networks"),
    N_("Likelihood of a takeover"),
    N_("Status"),
    N_("Blocked until"),
    N_("Verdict"),
    N_("Reviewed by"),
    N_("Reviewed at"),
)
BLOCKS = (
    N_("Account"),
    N_("Since"),
    N_("Ordered until"),
    N_("Ends"),
    N_("Reason"),
    N_("Incident"),
    N_("By"),
    N_("Lifted by"),
    N_("Why lifted"),
    N_("Networks that stay open"),
)
SAFE_NETWORKS = (N_("Scope"), N_("Network"), N_("Description"), N_("By"), N_("Since"), N_("Until"))
DOMAINS = ("domain", "group")
"""Not translated: the import takes the file again."""


def refuse_wrong_filters(form: Form) -> None:
    """Raises Problem with the first sentence about a filter: a download has no page that could show it beside its field."""
    if not form.ok:
        raise Problem(next(iter(form.errors.values())))


def incidents_csv(asking: Asking, wanted: incidents.Wanted) -> StreamingResponse:
    """The incidents that somebody wants."""
    return _download(asking, "incidents", INCIDENTS, _incidents(asking, wanted))


def blocks_csv(asking: Asking, wanted: blocks.Wanted) -> StreamingResponse:
    """The blocks that somebody wants."""
    return _download(asking, "blocks", BLOCKS, _blocks(asking, wanted))


def safe_networks_csv(asking: Asking, wanted: rules.SafeWanted) -> StreamingResponse:
    """The safe networks that somebody wants."""
    return _download(asking, "safe-networks", SAFE_NETWORKS, _safe_networks(asking, wanted))


def domains_csv(asking: Asking) -> StreamingResponse:
    """All domains with their groups, in the form that the import takes."""
    return _download(asking, "domains", DOMAINS, _domains(asking))


def _download(asking: Asking, what: str, columns: tuple[str, ...], rows: Iterator[list[Cell]]) -> StreamingResponse:
    """Keep that the reader exported `what`, with the filters in the address, and send it."""
    with asking.panel.store.writing() as connection:
        audit.note(
            connection,
            time_ms=asking.now_ms,
            actor=asking.reader.name,
            action="export",
            subject=what,
            address=asking.address,
            detail={"query": asking.query[:500]},
        )
    named = columns if columns is DOMAINS else tuple(asking.words.gettext(column) for column in columns)
    return csv_download(f"{what}.csv", named, rows)


def _incidents(asking: Asking, wanted: incidents.Wanted) -> Iterator[list[Cell]]:
    with asking.panel.store.reading() as connection:
        for row in incidents.every(connection, asking.reader.visible, wanted, now_ms=asking.now_ms):
            yield [
                row.id,
                row.account,
                moment(row.opened_ms),
                why(asking.words, row.rule, row.count, row.limit, row.window),
                row.rule,
                row.count,
                row.limit,
                row.window,
                row.messages_24h,
                row.distinct_countries,
                row.networks_ever,
                row.score,
                row.status(asking.now_ms),
                moment(row.blocked_until_ms),
                row.verdict,
                row.reviewer,
                moment(row.reviewed_ms),
            ]


def _blocks(asking: Asking, wanted: blocks.Wanted) -> Iterator[list[Cell]]:
    with asking.panel.store.reading() as connection:
        for row in blocks.every(connection, asking.reader.visible, wanted, now_ms=asking.now_ms):
            yield [
                row.account,
                moment(row.from_ms),
                moment(row.until_ms),
                moment(row.ends_ms),
                row.reason,
                row.incident,
                row.actor,
                row.lifted_by,
                row.lifted_reason,
                " ".join(row.except_networks),
            ]


def _safe_networks(asking: Asking, wanted: rules.SafeWanted) -> Iterator[list[Cell]]:
    cursor = None
    while True:
        with asking.panel.store.reading() as connection:
            page = rules.safe_networks(connection, asking.reader.visible, wanted, cursor=cursor, size=AT_ONCE)
        for row in page.rows:
            yield [row.scope, row.network, row.description, row.actor, moment(row.time_ms), moment(row.expires_ms)]
        if page.next is None:
            return
        cursor = page.next


def _domains(asking: Asking) -> Iterator[list[Cell]]:
    with asking.panel.store.reading() as connection:
        rows = rules.domains(connection, asking.reader.visible)
    for row in rows:
        yield [row.domain, row.group]
