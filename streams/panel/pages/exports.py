"""Exports are kept in the audit: whoever takes a list away is known afterwards."""

from streams.panel.forms import Form
from streams.panel.problems import Problem
from streams.panel.store import audit
from streams.panel.web import Visit


def refuse_wrong_filters(form: Form) -> None:
    """Raises Problem with the first sentence about a filter: a download has no page that could show it beside its field."""
    if not form.ok:
        raise Problem(next(iter(form.errors.values())))


def note_export(visit: Visit, what: str) -> None:
    """Keep that the reader exported `what` with the filters in the address."""
    with visit.panel.store.writing() as connection:
        audit.note(
            connection,
            time_ms=visit.now_ms,
            actor=visit.reader.name,
            action="export",
            subject=what,
            address=visit.address,
            detail={"query": visit.request.url.query[:500]},
        )
