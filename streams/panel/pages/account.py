"""
Recent login activity of one account, as the worker that owns it answers; and finding an account.

Decision: the worker is asked each time, since only it knows every network. When none answers within 2 s the page says so,
offers to ask again, and shows what the read model knows: blocks, incidents, and the networks of the latest incident.
"""

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from streams.core.accounts import canonical_account
from streams.core.policy import DEFAULT, FIELDS
from streams.core.refusal import Refused
from streams.panel.decisions import ANSWERED_WITHIN_S, Row
from streams.panel.pages.orders import account_of, account_path
from streams.panel.pages.policy_fields import BY_NAME, shown
from streams.panel.pages.sentences import scope_name, service_name, why
from streams.panel.pages.verdicts import VERDICTS
from streams.panel.people.deeds import deed_text
from streams.panel.problems import DecisionError
from streams.panel.rights import Right
from streams.panel.store import audit, blocks, incidents
from streams.panel.store.accounts import AccountRow, found_accounts
from streams.panel.store.incidents import IncidentRow
from streams.panel.web import Pages, Visit

HISTORY = 50
FOUND = 100
"""Accounts that a search lists."""
LONGEST_TEXT = 320

pages = Pages()


@pages.get("/accounts", right=Right.READ)
def find(visit: Visit) -> Response:
    """The account that was typed, or those whose name has it in it."""
    typed = visit.asked.get("q", "").strip()
    try:
        account = canonical_account(typed, visit.panel.settings.default_domain) if typed else ""
    except Refused:
        account = ""
    if account and ("@" in typed or visit.panel.settings.default_domain) and visit.covers(f"account:{account}"):
        return visit.go(account_path(account))
    found: tuple[AccountRow, ...] = ()
    more = False
    if typed:
        with visit.panel.store.reading() as connection:
            found, more = found_accounts(connection, visit.reader.visible, typed[:LONGEST_TEXT], most=FOUND)
    return visit.page("pages/accounts.html", typed=typed, found=found, more=more, account_path=account_path)


@pages.get("/accounts/{account:path}", right=Right.READ)
def show(visit: Visit) -> Response:
    """What is known of an account."""
    account = account_of(visit)
    view, trouble = _asked(visit, account)
    with visit.panel.store.reading() as connection:
        visible = visit.reader.visible
        rows = incidents.of_account(connection, visible, account, most=HISTORY)
        account_blocks = blocks.of_account(connection, visible, account, most=HISTORY)
        deeds = audit.of_account(connection, visible, account, most=HISTORY)
        known = None if view is not None else _known(connection, visit, rows)
        policy = _policy(visit, connection, account, view)
    return visit.page(
        "pages/account.html",
        account=account,
        path=account_path(account),
        view=view,
        trouble=trouble,
        waited=int(ANSWERED_WITHIN_S),
        known=known,
        networks=_latest_first((view or known or {}).get("networks", [])),
        blocked_until=_blocked_until(view, account_blocks, visit.now_ms),
        block=next((block for block in account_blocks if block.holds(visit.now_ms)), None),
        policy=policy,
        incidents=rows,
        blocks=account_blocks,
        deeds=deeds,
        verdicts=VERDICTS,
        why=why,
        scope_name=scope_name,
        service_name=service_name,
        deed_text=deed_text,
    )


def _asked(visit: Visit, account: str) -> tuple[Row | None, str]:
    """The worker's answer, or none and why the question could not even be asked."""
    try:
        return visit.decide.describe(account), ""
    except DecisionError as error:
        return None, error.sentence


def _known(connection: Connection, visit: Visit, rows: tuple[IncidentRow, ...]) -> Row | None:
    """The record of the latest incident: what the read model knows of an account's networks."""
    found = incidents.one(connection, visit.reader.visible, rows[0].id) if rows else None
    return None if found is None else found.record


def _blocked_until(view: Row | None, account_blocks: tuple[blocks.BlockRow, ...], now_ms: int) -> int | None:
    if view is not None:
        until: int | None = view["blocked_until"]
        return until
    return next((block.ends_ms for block in account_blocks if block.holds(now_ms)), None)


def _policy(visit: Visit, connection: Connection, account: str, view: Row | None) -> list[tuple[str, str, str]]:
    """Label, value and origin of each field that holds for the account."""
    record: Row = (
        view["policy"] if view is not None else visit.panel.book.book(connection).effective(account).to_record()
    )
    return [
        (
            visit.gettext(BY_NAME[name].label),
            shown(visit.words, name, record[name]),
            record["origins"].get(name, DEFAULT),
        )
        for name in FIELDS
        if name in record
    ]


def _latest_first(networks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(networks, key=lambda network: -int(network["last"]))
