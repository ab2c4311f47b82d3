"""
`loginwatch account`: what the worker holds of an account, and orders about it.

Decision: a question travels as a command and is answered on `account-views`, so it reaches the right worker without
anybody knowing which that is. After an order the same question is asked: it is read after the order, so its answer shows
what the order did.
"""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import typer

from streams.cli import policies, session
from streams.cli.evidence import NETWORK_COLUMNS, messages, network_row, show_senders
from streams.cli.moments import now_ms
from streams.cli.output import iso
from streams.cli.session import Session, actor
from streams.core.accounts import canonical_account
from streams.core.policy import LONGEST_MINUTES
from streams.errors import LoginwatchError, UsageError

COMMANDS = "account-commands"
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="user@example.org")]
Wait = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, max=600, help="How long to wait for the worker's answer.")
]
Reason = Annotated[str | None, typer.Option(help="Why, for whoever asks later.")]


class NoAnswerError(LoginwatchError):
    """No worker answered a question about an account."""

    exit_code = 69


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Accounts: what is known of one, and orders about it.")
    for command in (show, reset, block, unblock):
        family.command(command.__name__)(command)
    from streams.cli import care  # noqa: PLC0415 - it builds on this module

    family.command("export")(care.export)
    family.command("erase")(care.erase)
    root.add_typer(family, name="account", rich_help_panel="Accounts and incidents")


def show(context: typer.Context, account: Account, wait: Wait = 5) -> None:
    """Show an account's status, its networks and the policy that holds for it."""
    run = session.of(context)
    name = canonical_account(account, run.settings.default_domain)
    view = ask(run, name, wait)
    if view is None:
        raise NoAnswerError(
            f"no worker answered about {name} within {wait:g} s: is one running, and not far behind? See `loginwatch check`"
        )
    run.out.facts(_status(view), view)
    if not run.out.json:
        _show_networks(run, view)
        show_senders(run, view)
        policies.table(run, view["policy"], view)


def block(
    context: typer.Context,
    account: Account,
    minutes: Annotated[
        int | None,
        typer.Option(
            help=f"How long, 1 to {LONGEST_MINUTES}. Default: the policy's block_time, else {LONGEST_MINUTES}."
        ),
    ] = None,
    reason: Reason = None,
    wait: Wait = 5,
) -> None:
    """Deny an account all logins from now on. Replaces a running block, even by a shorter one."""
    if minutes is not None and not 1 <= minutes <= LONGEST_MINUTES:
        raise UsageError(f"--minutes {minutes} must be from 1 to {LONGEST_MINUTES} (30 days)")
    order(session.of(context), account, "block", wait, reason=reason, minutes=minutes)


def unblock(context: typer.Context, account: Account, reason: Reason = None, wait: Wait = 5) -> None:
    """Let an account in again. Its activity stays listed; logins up to now never count again."""
    order(session.of(context), account, "unblock", wait, reason=reason)


def reset(
    context: typer.Context,
    account: Account,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = 5,
) -> None:
    """Delete an account's activity, and lift its block."""
    run = session.of(context)
    name = canonical_account(account, run.settings.default_domain)
    run.confirm(f"Delete all activity of {name}? It cannot be brought back.", yes=yes)
    order(run, name, "reset", wait, reason=reason)


def order(
    run: Session, account: str, action: str, wait: float, *, reason: str | None = None, minutes: int | None = None
) -> None:
    """Give an order, wait for what a worker says of the account afterwards, and print that."""
    name = canonical_account(account, run.settings.default_domain)
    send(run, name, action, reason=reason, minutes=minutes)
    view = ask(run, name, wait) if wait > 0 else None
    if view is None:
        run.out.done(
            f"The order to {action} {name} is recorded; no worker has confirmed it yet, it is carried out when one runs.",
            {"account": name, "action": action, "confirmed": False},
        )
    elif view["blocked_until"] is None:
        run.out.done(f"{name} is not blocked.", {"account": name, "action": action, "confirmed": True, "view": view})
    else:
        sentence = f"{name} is blocked until {iso(view['blocked_until'])}."
        run.out.done(sentence, {"account": name, "action": action, "confirmed": True, "view": view})


def send(
    run: Session,
    account: str,
    action: str,
    *,
    reason: str | None = None,
    minutes: int | None = None,
    forget: bool = False,
) -> None:
    """Write one AccountCommand under the canonical account."""
    run.store.write(COMMANDS, account, _command(account, action, reason, minutes) | {"forget": forget})


def _command(account: str, action: str, reason: str | None = None, minutes: int | None = None) -> dict[str, Any]:
    return {
        "time": now_ms(),
        "id": str(uuid4()),
        "account": account,
        "action": action,
        "actor": actor(),
        "reason": reason,
        "minutes": minutes,
        "forget": False,
    }


def ask(run: Session, account: str, wait: float) -> dict[str, Any] | None:
    """What a worker holds of an account, as an AccountView; None if none answered in time."""
    with run.store.answers() as answers:
        question = _command(account, "describe")
        return answers.ask(question["id"], lambda: run.store.write(COMMANDS, account, question), wait)


def _status(view: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    until = view["blocked_until"]
    yield "account", view["account"]
    yield "as of", iso(view["time"])
    if until is None:
        yield "status", "open"
    else:
        cause = f"incident {view['block_incident']}" if view["block_incident"] else "by hand"
        yield "status", f"blocked until {iso(until)} ({cause})"
    yield "open incident", view["incident"] or "none"
    if view["cutoff"] is not None:
        yield "counts logins after", iso(view["cutoff"])
    yield "messages in 24 hours", messages(view)
    yield "logins from ignored countries", view["ignored_logins"]


def _show_networks(run: Session, view: dict[str, Any]) -> None:
    rows = [(*network_row(network), _counted(network)) for network in view["networks"]]
    run.out.table((*NETWORK_COLUMNS, "Counted"), rows, [], "No logins are known of this account.")


def _counted(network: dict[str, Any]) -> str:
    if network["safe_network"]:
        return f"safe: {network['safe_network']} of {network['safe_scope']} ({network['safe_description']})"
    return "yes" if network["counted"] else "no"
