"""`loginwatch worker`, `gateway`, `postfix`, `mailer`, `enforcement`, `alerts`, `demo`: one subcommand per process. Each runs until SIGTERM or Ctrl-C."""

# ruff: noqa: PLC0415 - Faust, aiohttp and the rest are slow to import, and each process needs only its own

import os
from typing import Annotated

import typer

from streams.cli import mail_logs, session
from streams.cli.session import Session
from streams.errors import UsageError

PANEL = "Processes"


def register(root: typer.Typer) -> None:
    """Add the commands."""
    for command in (worker, gateway, postfix, mailer, enforcement, alerts, demo):
        root.command(command.__name__, rich_help_panel=PANEL)(command)
    mail_logs.register(root)


def worker(
    context: typer.Context,
    compile_: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Only compile the hot path into the installation, for all of its users, so that no start must.",
        ),
    ] = False,
) -> None:
    """Judge logins: run as many as there are cores, up to one per partition."""
    if compile_:
        _compile(context)
        return
    run = _process(context)
    from streams.worker import garbage

    garbage.collect_rarely()
    from streams.worker.main import serve

    raise typer.Exit(serve(run.settings))


def gateway(context: typer.Context) -> None:
    """Answer Dovecot's auth policy requests and take its reports."""
    run = _process(context)
    from streams.connectors.gateway import serve

    raise typer.Exit(serve(run.settings))


def postfix(context: typer.Context) -> None:
    """Refuse blocked accounts and forbidden senders in Postfix, and count messages."""
    run = _process(context)
    from streams.connectors.postfix import serve

    raise typer.Exit(serve(run.settings))


def mailer(context: typer.Context) -> None:
    """Send notifications as mails."""
    run = _process(context)
    from streams.connectors.mailer import serve

    raise typer.Exit(serve(run.settings))


def enforcement(context: typer.Context) -> None:
    """Close the open sessions of blocked accounts, and call webhooks."""
    run = _process(context)
    from streams.connectors.enforcement import serve

    raise typer.Exit(serve(run.settings))


def alerts(context: typer.Context) -> None:
    """Export incidents, reviews and blocks for a SOC: OCSF events on a topic, to syslog, webhooks or a file."""
    run = _process(context)
    from streams.connectors.alerts import serve

    raise typer.Exit(serve(run.settings))


def demo(
    context: typer.Context,
    for_: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=1, help="End after this time instead of at Ctrl-C.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same people and thieves.")] = 1,
    accounts: Annotated[int, typer.Option(min=10, max=10_000, help="How many people.")] = 300,
) -> None:
    """Run all of it in this terminal, with simulated people and thieves; needs nothing else."""
    run = _process(context)
    from streams.demo import run_demo

    raise typer.Exit(run_demo(run.settings, seconds=for_, seed=seed, accounts=accounts))


def _compile(context: typer.Context) -> None:
    """Raises UsageError where the installation cannot be written."""
    from streams.engine.compiled import folder

    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder.of_installation().parent))
    from streams.worker import ahead  # looks where to keep it

    if ahead.problem():
        raise UsageError(
            f"nothing can be kept in {ahead.place()}: {ahead.problem()}. Run this as whoever installed loginwatch."
            " Without it the first worker of every user compiles, about 20 s of one core"
        )
    ahead.compile_all()
    if ahead.place() == folder.of_installation():
        folder.forget_others()
    session.of(context).out.done(
        f"compiled for this kind of processor, in {ahead.place()}", {"place": str(ahead.place())}
    )


def _process(context: typer.Context) -> Session:
    """The session of a long-running process, with its logs set up. Raises ConfigurationError."""
    from streams.cli.logs import configure_logging

    run = session.of(context)
    configure_logging(run.settings)
    return run
