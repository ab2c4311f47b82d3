"""Domains and groups: the hierarchy as a tree, where a domain belongs, and all of it as CSV, out and in."""

import csv
from collections.abc import Iterator
from io import StringIO

from starlette.responses import Response

from streams.core.accounts import canonical_domain, canonical_group
from streams.core.refusal import Refused
from streams.panel.forms import Form
from streams.panel.pages.csv_text import FORMULA, Cell, csv_download
from streams.panel.pages.exports import note_export
from streams.panel.problems import DecisionError, Problem
from streams.panel.refusals import refused
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.web import Pages, Visit

PATH = "/domains"
WRONG = 422
LARGEST_FILE = 2 * 1024 * 1024
MOST_LINES = 20_000
MOST_SHOWN = 10
"""Lines of a file that are complained about at once."""
OPEN_BELOW = 60
"""Domains up to which the whole tree is shown unfolded."""
HEADINGS = ("domain", "group")

Pairs = list[tuple[str, str | None]]

pages = Pages()


@pages.get(PATH, right=Right.READ)
def show(visit: Visit) -> Response:
    """The tree in the reader's scope."""
    return _page(visit, Form.filled(visit.words, domain=visit.asked.get("domain"), group=visit.asked.get("group")))


@pages.post(PATH, right=Right.CHANGE_DOMAINS)
def move(visit: Visit) -> Response:
    """Put a domain under a group, or under none."""
    form = visit.form
    domain = form.parsed("domain", canonical_domain)
    group = form.parsed("group", _group, required=False)
    if form.ok and domain is not None:
        try:
            visit.decide.set_group(domain, group)
        except Refused as refusal:
            form.refused("group", refusal)
        except Problem as problem:
            form.wrong("" if isinstance(problem, DecisionError) else "domain", problem.sentence)
    if not form.ok:
        return _page(visit, form, WRONG)
    if group is None:
        said = visit.gettext("%(domain)s belongs to no group.", domain=domain)
    else:
        said = visit.gettext("%(domain)s belongs to the group %(group)s.", domain=domain, group=group)
    return visit.go(PATH, said)


@pages.get("/domains.csv", right=Right.EXPORT)
def export(visit: Visit) -> Response:
    """All domains with their groups, in the form that the import takes."""
    note_export(visit, "domains")
    return csv_download("domains.csv", HEADINGS, _rows(visit))


@pages.get(f"{PATH}/import", right=Right.CHANGE_DOMAINS)
def ask_import(visit: Visit) -> Response:
    """The form that takes a file."""
    return visit.page("pages/domains_import.html", form=Form(visit.words), wrong=[])


@pages.post(f"{PATH}/import", right=Right.CHANGE_DOMAINS, largest=LARGEST_FILE)
def take(visit: Visit) -> Response:
    """Put many domains under groups: all of the file, or, when a line cannot be used, none."""
    form = visit.form
    text = form.typed("file") or form.typed("text")
    pairs, wrong = read_lines(visit, text)
    if not pairs and not wrong:
        form.wrong("file", visit.gettext("There is no line with a domain in it."))
    if form.ok and not wrong:
        changed = _changed(visit, pairs)
        try:
            visit.decide.set_groups(changed)
        except Refused as refusal:
            form.refused("", refusal)
        except Problem as problem:
            form.wrong("", problem.sentence)
        if form.ok:
            said = visit.words.ngettext("%(number)s domain was moved", "%(number)s domains were moved", len(changed))
            rest = visit.words.ngettext(
                "%(number)s was as it is", "%(number)s were as they are", len(pairs) - len(changed)
            )
            return visit.go(PATH, f"{said}, {rest}.")
    return visit.page("pages/domains_import.html", WRONG, form=form, wrong=wrong[:MOST_SHOWN])


def read_lines(visit: Visit, text: str) -> tuple[Pairs, list[str]]:
    """
    The domains and groups in a CSV, each domain once (its last line holds), and what is wrong, a sentence per line.

    Commas or semicolons, since spreadsheets write what their country does; a heading may stand first.
    """
    _, ngettext = visit.gettext, visit.words.ngettext
    first = text.partition("\n")[0]
    found: dict[str, str | None] = {}
    wrong = []
    for number, row in enumerate(
        csv.reader(StringIO(text, newline=""), delimiter=";" if ";" in first else ","), start=1
    ):
        cells = [_plain(value) for value in row]
        if number > MOST_LINES:
            wrong.append(
                ngettext("At most %(number)s line can be taken.", "At most %(number)s lines can be taken.", MOST_LINES)
            )
            break
        if not any(cells) or (number == 1 and cells[0].lower() == HEADINGS[0]):
            continue
        try:
            found[canonical_domain(cells[0])] = _group(cells[1]) if len(cells) > 1 and cells[1] else None
        except Refused as refusal:
            wrong.append(_("Line %(number)s: %(sentence)s", number=number, sentence=refused(visit.words, refusal)))
    return list(found.items()), wrong


def _plain(text: str) -> str:
    """A cell without the apostrophe that an export puts before a formula, and without a byte order mark."""
    plain = text.strip().removeprefix("\ufeff")
    return plain[1:] if plain[:1] == "'" and plain[1:].startswith(FORMULA) else plain


def _changed(visit: Visit, pairs: Pairs) -> Pairs:
    with visit.panel.store.reading() as connection:
        groups = visit.panel.book.book(connection).groups
    return [(domain, group) for domain, group in pairs if groups.get(domain) != group]


def _rows(visit: Visit) -> Iterator[list[Cell]]:
    with visit.panel.store.reading() as connection:
        rows = rules.domains(connection, visit.reader.visible)
    for row in rows:
        yield [row.domain, row.group]


def _page(visit: Visit, form: Form, status: int = 200) -> Response:
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        tree = rules.tree(connection, visible)
        groups = rules.groups(connection, visible)
        domains = rules.domains(connection, visible)
    return visit.page(
        "pages/domains.html",
        status,
        form=form,
        tree=tree,
        groups=groups,
        domains=[row.domain for row in domains],
        unfolded=len(domains) <= OPEN_BELOW,
        may=visit.may(Right.CHANGE_DOMAINS),
    )


def _group(text: str) -> str:
    return canonical_group(text.removeprefix("group:"))
