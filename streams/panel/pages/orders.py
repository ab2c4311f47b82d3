"""
Orders about an account: block, unblock, reset activity. Each asks first, on a page of its own that a script may show as
a dialog.

Decision: after an order the worker is asked about the account. It reads the question after the order, so its answer says
what the order did; without an answer the order stands on its topic, and that is said.
"""

from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from streams.core.accounts import canonical_account
from streams.core.policy import LONGEST_MINUTES
from streams.core.refusal import Refused
from streams.panel.decisions import LONGEST_REASON, Row
from streams.panel.forms import Form
from streams.panel.paths import local_path, segment
from streams.panel.problems import DecisionError, NotFound
from streams.panel.rights import Right
from streams.panel.templating import gmt_text, minutes_text
from streams.panel.web import Pages, Visit
from streams.panel.words import N_

WRONG = 422
SHOWN_WITHIN_S = 1.0
"""How long the read model may take to hear of what a worker has confirmed, before the next page is shown anyway."""

pages = Pages()


@dataclass(frozen=True)
class Order:
    """One order: its word in addresses and records, and its texts (English, translated where they are shown)."""

    name: str
    title: str
    text: str
    button: str
    danger: bool


BLOCK = Order(
    "block",
    N_("Block the account"),
    N_("All logins are denied from now on. A block that is running is replaced, also by a shorter one."),
    N_("Block"),
    danger=True,
)
UNBLOCK = Order(
    "unblock",
    N_("Unblock the account"),
    N_(
        "Logins are allowed again at once. The activity stays listed, and logins up to now never count again. Make sure that "
        "the password is a new one, if a stranger knew it."
    ),
    N_("Unblock"),
    danger=False,
)
RESET = Order(
    "reset",
    N_("Reset activity"),
    N_(
        "All records of this account's logins are deleted, its counters start again at this moment, and a running block is "
        "lifted. The records cannot be brought back; incidents and reviews stay."
    ),
    N_("Delete and restart"),
    danger=True,
)


def account_of(visit: Visit) -> str:
    """The canonical account in the path, within the reader's scope. Raises NotFound."""
    try:
        account = canonical_account(visit.path["account"], visit.panel.settings.default_domain)
    except Refused as refusal:
        raise NotFound(visit.gettext("There is nothing here, or it is not in your scope.")) from refusal
    visit.demand(f"account:{account}")
    return account


def account_path(account: str) -> str:
    """The address of an account's page."""
    return f"/accounts/{segment(account)}"


def _ask(order: Order, visit: Visit) -> Response:
    account = account_of(visit)
    return _page(visit, order, account, Form(visit.words), visit.asked.get("back", ""))


def _carry_out(order: Order, visit: Visit) -> Response:
    account = account_of(visit)
    form, back = visit.form, visit.form.typed("back")
    reason = form.text("reason", longest=LONGEST_REASON)
    minutes = form.number("minutes", 1, LONGEST_MINUTES) if order is BLOCK else None
    if form.ok:
        seen = visit.panel.store.changes.of(("blocks",))
        try:
            _give(visit, order, account, minutes, reason)
            return visit.go(_back(account, back), _confirmed(visit, order, account, seen))
        except Refused as refusal:
            form.refused("reason", refusal)
        except DecisionError as error:
            form.wrong("", error.sentence)
    return _page(visit, order, account, form, back, WRONG)


def _give(visit: Visit, order: Order, account: str, minutes: int | None, reason: str) -> None:
    if order is BLOCK:
        visit.decide.block(account, minutes, reason)
    elif order is UNBLOCK:
        visit.decide.unblock(account, reason)
    else:
        visit.decide.reset(account, reason)


def _confirmed(visit: Visit, order: Order, account: str, seen: int) -> str:
    """What became of an order, in a sentence."""
    try:
        view = visit.decide.describe(account)
    except DecisionError:
        view = None
    if view is None:
        text = N_(
            "The order about %(account)s is recorded. No worker has confirmed it yet; it is carried out when one runs."
        )
        return visit.gettext(text, account=account)
    visit.panel.store.changes.wait(seen, SHOWN_WITHIN_S, ("blocks",))
    return _outcome(visit, order, account, view)


def _outcome(visit: Visit, order: Order, account: str, view: Row) -> str:
    if view["blocked_until"] is not None:
        until = gmt_text(view["blocked_until"])
        return visit.gettext("%(account)s is blocked until %(until)s.", account=account, until=until)
    if order is RESET:
        return visit.gettext("The activity of %(account)s is deleted; counting starts again.", account=account)
    return visit.gettext("%(account)s is not blocked.", account=account)


def _page(visit: Visit, order: Order, account: str, form: Form, back: str, status: int = 200) -> Response:
    block_time = 0
    if order is BLOCK:
        with visit.panel.store.reading() as connection:
            block_time = visit.panel.book.book(connection).effective(account).block_time
    return visit.page(
        "pages/order.html",
        status,
        order=order,
        account=account,
        path=account_path(account),
        form=form,
        back=_back(account, back),
        usual=_usual(visit, block_time),
    )


def _usual(visit: Visit, block_time: int) -> str:
    """How long a block lasts that names no minutes, in a sentence."""
    if not block_time:  # the policy only reports
        longest = minutes_text(visit.words, LONGEST_MINUTES)
        return visit.gettext("Empty: %(longest)s, since the policy names no time.", longest=longest)
    return visit.gettext("Empty: %(usual)s, as the policy says.", usual=minutes_text(visit.words, block_time))


def _back(account: str, text: str) -> str:
    path = local_path(text)
    return path if text and path != "/" else account_path(account)


for _order in (BLOCK, UNBLOCK, RESET):
    pages.get(f"/accounts/{{account:path}}/{_order.name}", right=Right.ORDER)(partial(_ask, _order))
    pages.post(f"/accounts/{{account:path}}/{_order.name}", right=Right.ORDER)(partial(_carry_out, _order))
