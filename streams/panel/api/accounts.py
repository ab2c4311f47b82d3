"""Accounts: what a worker holds of one, and orders about it."""

from typing import Annotated, Any

from fastapi import Path

from streams.panel.api.answers import BlockOrder, Order, Text
from streams.panel.api.calls import Caller, Calls
from streams.panel.problems import DecisionError
from streams.panel.rights import Right
from streams.records.json_form import to_json

calls = Calls("accounts")
Account = Annotated[Text, Path(description="user@example.org")]
ORDERED = 202


@calls.get("/accounts/{account:path}/policy", right=Right.READ)
def effective(call: Caller, account: Account) -> dict[str, Any]:
    """The policy that holds for an account, with the scope that each field comes from."""
    name = call.account(account)
    with call.panel.store.reading() as connection:
        return call.panel.book.book(connection).effective(name).to_record()


@calls.get("/accounts/{account:path}", right=Right.READ)
def describe(call: Caller, account: Account) -> dict[str, Any]:
    """What a worker knows of an account now: an AccountView record."""
    view = call.decide.describe(account)
    if view is None:
        raise DecisionError("No worker has answered in time; ask again.")
    return to_json("AccountView", view)


@calls.post("/accounts/{account:path}/block", right=Right.ORDER, status_code=ORDERED)
def block(call: Caller, account: Account, sent: BlockOrder) -> None:
    """Order that an account be denied all logins."""
    call.decide.block(account, sent.minutes, sent.reason)


@calls.post("/accounts/{account:path}/unblock", right=Right.ORDER, status_code=ORDERED)
def unblock(call: Caller, account: Account, sent: Order) -> None:
    """Order that an account be let in again."""
    call.decide.unblock(account, sent.reason)


@calls.post("/accounts/{account:path}/reset", right=Right.ORDER, status_code=ORDERED)
def reset(call: Caller, account: Account, sent: Order) -> None:
    """Order that an account's activity be deleted and counted anew."""
    call.decide.reset(account, sent.reason)
