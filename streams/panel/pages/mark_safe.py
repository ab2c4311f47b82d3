"""
Marking a network as safe: around an address of an account, or any network by hand.

Decision: both are one form with the same checks; what the network would cover in view stands beside it before it is
saved, so that nobody trusts half a provider unknowingly.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from streams.core.accounts import EVERYONE, parse_scope
from streams.core.addresses import format_address, parse_address, parse_network
from streams.core.book import LONGEST_DESCRIPTION
from streams.core.refusal import Refused
from streams.panel.decisions import Row
from streams.panel.forms import Form
from streams.panel.pages.days import day_end_ms
from streams.panel.pages.orders import account_of, account_path
from streams.panel.pages.ranges import chosen, covered, ranges
from streams.panel.pages.sentences import scope_name
from streams.panel.paths import local_path
from streams.panel.problems import DecisionError, NotFound
from streams.panel.rights import Right
from streams.panel.store import rules
from streams.panel.web import Pages, Visit

WRONG = 422
SHOWN = 8
"""Covered networks that are listed by name; the numbers count all."""
BY_HAND = "/safe-networks/add"

pages = Pages()


@pages.get("/accounts/{account:path}/safe", right=Right.MARK_SAFE)
def ask(visit: Visit) -> Response:
    """The dialog "Mark as safe" for an address of an account."""
    account = account_of(visit)
    address = _address(visit, visit.asked.get("address", ""))
    form = Form.filled(visit.words, prefix=ranges(address)[0].prefix, scope=f"account:{account}")
    return _page(visit, account, address, form, visit.asked.get("back", ""))


@pages.post("/accounts/{account:path}/safe", right=Right.MARK_SAFE)
def mark(visit: Visit) -> Response:
    """Mark it, or show what it would cover."""
    account = account_of(visit)
    form, back = visit.form, visit.form.typed("back")
    address = _address(visit, form.typed("address"))
    if form.typed("do") == "preview":
        return _page(visit, account, address, form, back)
    prefix = form.number("prefix", 0, 128, required=True)
    scope = form.choice("scope", [scope for scope, _ in _scopes(visit, account)])
    network = ""
    if prefix is not None:
        try:
            network = str(chosen(address, prefix))
        except Refused:
            form.wrong("prefix", visit.gettext("Choose one of those offered."))
    if saved := _saved(visit, scope, network, _after(back, account_path(account))):
        return saved
    return _page(visit, account, address, form, back, WRONG)


@pages.get(BY_HAND, right=Right.MARK_SAFE)
def ask_by_hand(visit: Visit) -> Response:
    """The form for any network and scope."""
    form = Form.filled(visit.words, scope=visit.asked.get("scope", ""), network=visit.asked.get("network", ""))
    return _page_by_hand(visit, form)


@pages.post(BY_HAND, right=Right.MARK_SAFE)
def mark_by_hand(visit: Visit) -> Response:
    """Mark it, or show what it would cover."""
    form = visit.form
    if form.typed("do") == "preview":
        return _page_by_hand(visit, form)
    default = visit.panel.settings.default_domain
    scope = form.parsed("scope", lambda text: parse_scope(text, default)) or ""
    if scope and not _may_mark(visit, scope):
        form.wrong("scope", visit.gettext("This scope is not yours to change."))
    network = form.parsed("network", lambda text: str(parse_network(text))) or ""
    if saved := _saved(visit, scope, network, "/safe-networks"):
        return saved
    return _page_by_hand(visit, form, WRONG)


def _saved(visit: Visit, scope: str, network: str, after: str) -> Response | None:
    """Write the safe network if all of the form can be used; None leaves the sentences in the form."""
    form = visit.form
    description = form.text("description", required=True, longest=LONGEST_DESCRIPTION)
    expires_ms = day_end_ms(form, visit.words, "expires")
    if expires_ms is not None and expires_ms <= visit.now_ms:
        form.wrong("expires", visit.gettext("This day is over already."))
    if not form.ok:
        return None
    try:
        visit.decide.add_safe(scope, network, description, expires_ms)
    except Refused as refusal:
        form.refused("description", refusal)
        return None
    except DecisionError as error:
        form.wrong("", error.sentence)
        return None
    name = scope_name(visit.words, scope)
    said = visit.gettext("%(network)s is safe for %(scope)s.", network=network, scope=name)
    return visit.go(after, said)


def _page(visit: Visit, account: str, address: str, form: Form, back: str, status: int = 200) -> Response:
    offered = ranges(address)
    typed = form.typed("prefix")
    network = next((choice.network for choice in offered if str(choice.prefix) == typed), offered[0].network)
    return visit.page(
        "pages/mark_safe.html",
        status,
        account=account,
        path=account_path(account),
        address=address,
        form=form,
        back=_after(back, account_path(account)),
        ranges=offered,
        scopes=[(scope, scope_name(visit.words, scope)) for scope, _ in _scopes(visit, account)],
        network=network,
        coverage=_coverage(visit, network, form.typed("scope") or f"account:{account}"),
        # nobody whose form has a mistake waits for the worker again
        listed=covered(parse_network(network), [] if form.errors else _listed(visit, account)),
        soonest=_tomorrow(visit.now_ms),
    )


def _page_by_hand(visit: Visit, form: Form, status: int = 200) -> Response:
    network = form.typed("network").strip()
    coverage = None
    if network and "network" not in form.errors:
        try:
            coverage = _coverage(visit, str(parse_network(network)), form.typed("scope").strip() or EVERYONE)
        except Refused as refusal:
            form.refused("network", refusal)
    return visit.page(
        "pages/safe_add.html", status, form=form, coverage=coverage, path=BY_HAND, soonest=_tomorrow(visit.now_ms)
    )


def _coverage(visit: Visit, network: str, scope: str) -> rules.Coverage | None:
    """What it would cover of the incidents in view; None for a scope that is none, or not the reader's."""
    try:
        canonical = parse_scope(scope, visit.panel.settings.default_domain)
    except Refused:
        return None
    if not visit.covers(canonical):
        return None
    with visit.panel.store.reading() as connection:
        return rules.coverage(connection, visit.reader.visible, network, scope=canonical, most=SHOWN)


def _listed(visit: Visit, account: str) -> list[dict[str, Any]]:
    """The account's networks as its worker lists them; none when it does not answer."""
    try:
        view: Row | None = visit.decide.describe(account)
    except DecisionError:
        view = None
    return [] if view is None else list(view["networks"])


def _scopes(visit: Visit, account: str) -> list[tuple[str, str]]:
    """The account's scopes that the reader may change, nearest first, each with its kind."""
    with visit.panel.store.reading() as connection:
        scopes = list(visit.panel.book.book(connection).scopes(account))
    return [(scope, scope.partition(":")[0]) for scope in scopes if _may_mark(visit, scope)]


def _may_mark(visit: Visit, scope: str) -> bool:
    return visit.may(Right.MARK_SAFE if scope.startswith("account:") else Right.CHANGE_RULES, scope)


def _address(visit: Visit, text: str) -> str:
    try:
        return format_address(parse_address(text.strip()))
    except Refused as refusal:
        raise NotFound(visit.gettext("This page needs the address that is to be marked as safe.")) from refusal


def _after(back: str, otherwise: str) -> str:
    path = local_path(back)
    return path if back and path != "/" else otherwise


def _tomorrow(now_ms: int) -> str:
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(days=1):%Y-%m-%d}"
