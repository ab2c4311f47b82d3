"""Safe networks: all in the reader's scope, with who, when, why and until when; removed at any time."""

from urllib.parse import urlencode

from starlette.responses import Response

from streams.core.accounts import parse_scope
from streams.core.addresses import parse_network
from streams.core.refusal import Refused
from streams.panel.forms import Form
from streams.panel.pages.exports import refuse_wrong_filters, safe_networks_csv
from streams.panel.pages.paging import page_asked_for
from streams.panel.pages.sentences import scope_name
from streams.panel.problems import NotFound
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.web import Pages, Visit

PATH = "/safe-networks"

pages = Pages()


@pages.get(PATH, right=Right.READ)
def listing(visit: Visit) -> Response:
    """The safe networks in the reader's scope, the latest first."""
    form, wanted = _asked(visit)
    with visit.panel.store.reading() as connection:
        page = page_asked_for(
            visit, lambda at: rules.safe_networks(connection, visit.reader.visible, wanted, cursor=at)
        )
    filters = {name: form.typed(name).strip() for name in ("text", "scope") if form.typed(name).strip()}
    return visit.page(
        "pages/safe_networks.html",
        form=form,
        page=page,
        filtered=bool(filters),
        may_remove={row.scope: _may_change(visit, row.scope) for row in page.rows},
        scope_name=scope_name,
        next=f"{PATH}?{urlencode({**filters, 'at': page.next})}" if page.next else "",
        previous=f"{PATH}?{urlencode({**filters, 'at': page.previous})}" if page.previous else "",
        export=f"/safe-networks.csv?{urlencode(filters)}" if visit.may(Right.EXPORT) else "",
    )


@pages.get(f"{PATH}/remove", right=Right.MARK_SAFE)
def ask(visit: Visit) -> Response:
    """Ask before a network is trusted no longer."""
    scope, network = _named(visit, visit.asked.get("scope", ""), visit.asked.get("network", ""))
    visible = visit.reader.visible
    with visit.panel.store.reading() as connection:
        row = rules.safe_network(connection, visible, scope, network)
        coverage = rules.coverage(connection, visible, network, scope=scope, most=8) if row else None
    if row is None:
        raise NotFound(visit.gettext("This network is not marked safe there."))
    return visit.page(
        "pages/safe_remove.html", row=row, coverage=coverage, path=PATH, name=scope_name(visit.words, scope)
    )


@pages.post(f"{PATH}/remove", right=Right.MARK_SAFE)
def remove(visit: Visit) -> Response:
    """Trust a network no longer."""
    scope, network = _named(visit, visit.form.typed("scope"), visit.form.typed("network"))
    visit.decide.remove_safe(scope, network)
    name = scope_name(visit.words, scope)
    said = visit.gettext("%(network)s is no longer safe for %(scope)s.", network=network, scope=name)
    return visit.go(PATH, said)


@pages.get("/safe-networks.csv", right=Right.EXPORT)
def export(visit: Visit) -> Response:
    """The safe networks as asked for, as CSV."""
    form, wanted = _asked(visit)
    refuse_wrong_filters(form)
    return safe_networks_csv(visit, wanted)


def _asked(visit: Visit) -> tuple[Form, rules.SafeWanted]:
    default = visit.panel.settings.default_domain
    form = Form(visit.words, {name: visit.asked.getlist(name)[:1] for name in ("text", "scope") if name in visit.asked})
    scope = form.parsed("scope", lambda text: parse_scope(text, default), required=False)
    return form, rules.SafeWanted(scope=scope, text=form.text("text", longest=320) or None)


def _named(visit: Visit, scope_text: str, network_text: str) -> tuple[str, str]:
    """The scope and network of a safe network that the reader may change. Raises NotFound or Forbidden."""
    try:
        scope = parse_scope(scope_text, visit.panel.settings.default_domain)
        network = str(parse_network(network_text))
    except Refused as refusal:
        raise NotFound(visit.gettext("This network is not marked safe there.")) from refusal
    visit.demand(scope, _right(scope))
    return scope, network


def _may_change(visit: Visit, scope: str) -> bool:
    return visit.may(_right(scope), scope)


def _right(scope: str) -> Right:
    return Right.MARK_SAFE if scope.startswith("account:") else Right.CHANGE_RULES
