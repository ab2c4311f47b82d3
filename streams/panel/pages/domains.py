"""Domains and groups: the hierarchy as a tree, where a domain belongs, and all of it as CSV, out and in."""

from starlette.responses import Response

from streams.core.accounts import canonical_domain
from streams.core.refusal import Refused
from streams.panel.forms import Form
from streams.panel.pages.domain_lines import changed, group_of_text, read_lines
from streams.panel.pages.exports import domains_csv
from streams.panel.problems import DecisionError, Problem
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.web import Pages, Visit

PATH = "/domains"
WRONG = 422
LARGEST_FILE = 2 * 1024 * 1024
MOST_SHOWN = 10
"""Lines of a file that are complained about at once."""
OPEN_BELOW = 60
"""Domains up to which the whole tree is shown unfolded."""

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
    group = form.parsed("group", group_of_text, required=False)
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
    return domains_csv(visit)


@pages.get(f"{PATH}/import", right=Right.CHANGE_DOMAINS)
def ask_import(visit: Visit) -> Response:
    """The form that takes a file."""
    return visit.page("pages/domains_import.html", form=Form(visit.words), wrong=[])


@pages.post(f"{PATH}/import", right=Right.CHANGE_DOMAINS, largest=LARGEST_FILE)
def take(visit: Visit) -> Response:
    """Put many domains under groups: all of the file, or, when a line cannot be used, none."""
    form = visit.form
    text = form.typed("file") or form.typed("text")
    pairs, wrong = read_lines(visit.words, text)
    if not pairs and not wrong:
        form.wrong("file", visit.gettext("There is no line with a domain in it."))
    if form.ok and not wrong:
        moved = changed(visit.panel, pairs)
        try:
            visit.decide.set_groups(moved)
        except Refused as refusal:
            form.refused("", refusal)
        except Problem as problem:
            form.wrong("", problem.sentence)
        if form.ok:
            said = visit.words.ngettext("%(number)s domain was moved", "%(number)s domains were moved", len(moved))
            rest = visit.words.ngettext(
                "%(number)s was as it is", "%(number)s were as they are", len(pairs) - len(moved)
            )
            return visit.go(PATH, f"{said}, {rest}.")
    return visit.page("pages/domains_import.html", WRONG, form=form, wrong=wrong[:MOST_SHOWN])


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
