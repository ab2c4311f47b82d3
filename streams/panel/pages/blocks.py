"""Blocks: who is denied until when and why, and who was."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from streams.core.accounts import canonical_domain, canonical_group
from streams.panel.forms import Form
from streams.panel.pages.exports import blocks_csv, refuse_wrong_filters
from streams.panel.pages.orders import account_path
from streams.panel.pages.paging import page_asked_for
from streams.panel.rights import Right
from streams.panel.store import blocks, rules
from streams.panel.web import Pages, Visit

PATH = "/blocks"
FIELDS = ("text", "domain", "group", "past")
SUGGESTED = 200

pages = Pages()


@dataclass(frozen=True)
class Asked:
    """What the address asks for."""

    form: Form
    wanted: blocks.Wanted

    @property
    def filtered(self) -> bool:
        """Whether accounts are filtered."""
        return any(self.form.typed(name).strip() for name in ("text", "domain", "group"))

    def address(self, path: str, **changed: str) -> str:
        """The address of a page with the same filters."""
        given = {name: self.form.typed(name).strip() for name in FIELDS} | changed
        given = {name: value for name, value in given.items() if value}
        return f"{path}?{urlencode(given)}" if given else path


@pages.get(PATH, right=Right.READ)
def listing(visit: Visit) -> Response:
    """The blocks in the reader's scope."""
    asked = _asked(visit)
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        page = page_asked_for(
            visit, lambda at: blocks.listed(connection, visible, asked.wanted, now_ms=visit.now_ms, cursor=at)
        )
        domains = [row.domain for row in rules.domains(connection, visible, most=SUGGESTED)]
        groups = rules.groups(connection, visible)[:SUGGESTED]
    return visit.page(
        "pages/blocks.html",
        asked=asked,
        form=asked.form,
        page=page,
        domains=domains,
        groups=groups,
        account_path=account_path,
        here=asked.address(PATH),
        next=asked.address(PATH, at=page.next) if page.next else "",
        previous=asked.address(PATH, at=page.previous) if page.previous else "",
        export=asked.address("/blocks.csv") if visit.may(Right.EXPORT) else "",
    )


@pages.get("/blocks.csv", right=Right.EXPORT)
def export(visit: Visit) -> Response:
    """The blocks as asked for, as CSV."""
    asked = _asked(visit)
    refuse_wrong_filters(asked.form)
    return blocks_csv(visit, asked.wanted)


def _asked(visit: Visit) -> Asked:
    form = Form(visit.words, {name: visit.asked.getlist(name)[:1] for name in FIELDS if name in visit.asked})
    wanted = blocks.Wanted(
        in_force=form.typed("past") != "1",
        domain=form.parsed("domain", canonical_domain, required=False),
        group=form.parsed("group", lambda path: canonical_group(path.removeprefix("group:")), required=False),
        text=form.text("text", longest=320) or None,
    )
    return Asked(form, wanted)
