"""`loginwatch canary`: log an account that is nobody's in, again and again, and see that it is found and refused."""

# ruff: noqa: PLC0415 - Kafka and the HTTP client are slow to import, and not needed for --help

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import accounts, policies, session
from streams.cli.output import iso
from streams.cli.session import Session
from streams.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from streams.connectors.canary_round import Result


def register(root: typer.Typer) -> None:
    """Add the process and its command."""
    family = typer.Typer(help="Log a canary account in every few minutes, and measure until it is blocked and refused.")
    family.callback(invoke_without_command=True)(serve)
    family.command("prepare")(prepare)
    root.add_typer(family, name="canary", rich_help_panel="Processes")


def serve(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="One round; print how it went, and end with code 1 unless it went well.")
    ] = False,
) -> None:
    """Log the canary account (setting canary_account) in every few minutes; see that it is blocked and refused."""
    if context.invoked_subcommand is not None:
        return
    run = session.of(context)
    from streams.connectors import canary

    if once:
        _once(run)
    from streams.cli.logs import configure_logging

    configure_logging(run.settings)
    raise typer.Exit(canary.serve(run.settings))


def prepare(context: typer.Context, wait: accounts.Wait = 5) -> None:
    """Write the canary account's policy: found at the fourth network, blocked for 5 minutes, nobody is mailed."""
    run = session.of(context)
    from streams.connectors.canary_rules import DEMANDS, strangers

    account = run.settings.canary_account
    if not account:
        raise ConfigurationError("there is no canary: set canary_account to a name that is nobody's")
    view = accounts.ask(run, account, wait) if wait > 0 else None
    if view is None:
        run.out.note(
            f"No worker answered, so nobody knows whether {account} is a real account. Make sure that it is not."
        )
    elif stranger := strangers(view, run.settings.canary_networks):
        raise UsageError(
            f"{account} is used by somebody: {stranger}. Set canary_account to a name that is nobody's; if this one is,"
            f" `loginwatch account reset {account}` forgets its logins"
        )
    policies.write(run, f"account:{account}", DEMANDS.to_record())


def _once(run: Session) -> None:
    from streams.connectors.canary import Canary

    result = Canary(run.settings).once()
    run.out.facts(_facts(result), asdict(result))
    raise typer.Exit(0 if result.outcome == "ok" else 1)


def _facts(result: "Result") -> list[tuple[str, Any]]:
    seconds = (
        ("blocked after", result.blocked_s),
        ("refused after", result.refused_s),
        ("open again after", result.reopened_s),
    )
    return [
        ("account", result.account),
        ("began", iso(result.began)),
        ("outcome", result.outcome),
        *([("because", result.reason)] if result.reason else []),
        ("logins", result.logins),
        *((name, f"{value:.3f} s") for name, value in seconds if value is not None),
    ]
