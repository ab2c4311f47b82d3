"""The menu at the left: what there is for this reader, and where the reader is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.panel.rights import Right
from streams.panel.words import N_

if TYPE_CHECKING:
    from streams.panel.web import Visit

ENTRIES: Sequence[tuple[str, str, str, Right]] = (
    ("/", N_("Home"), "home", Right.READ),
    ("/incidents", N_("Security incidents"), "incidents", Right.READ),
    ("/blocks", N_("Blocks"), "blocks", Right.READ),
    ("/safe-networks", N_("Safe networks"), "safe", Right.READ),
    ("/policies", N_("Compromised accounts"), "policies", Right.READ),
    ("/domains", N_("Domains and groups"), "domains", Right.READ),
    ("/people", N_("People"), "people", Right.MANAGE_PEOPLE),
    ("/audit", N_("Audit"), "audit", Right.AUDIT),
)
"""Path, label, symbol (a name in `templates/symbols.html`), and the right without which the entry is not shown."""


@dataclass(frozen=True)
class Entry:
    """One entry of the menu."""

    path: str
    label: str
    symbol: str
    active: bool


def menu(visit: "Visit") -> list[Entry]:
    """The entries for a visit; none where nobody is signed in."""
    reader = visit.signed_in
    if reader is None:
        return []
    here = visit.request.url.path
    return [
        Entry(path, visit.words.gettext(label), symbol, _is_at(here, path))
        for path, label, symbol, right in ENTRIES
        if reader.may(right)
    ]


def _is_at(here: str, path: str) -> bool:
    return here == path or (path != "/" and here.startswith(f"{path}/"))
