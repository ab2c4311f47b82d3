"""`loginwatch panel`: the pages that people work with, and what its operator does on the command line."""

# ruff: noqa: PLC0415 - the web framework and the database are slow to import

from typing import Annotated

import typer

from streams.cli import session
from streams.cli.session import actor

PANEL = "Processes"


def register(root: typer.Typer) -> None:
    """Add the process and its commands."""
    family = typer.Typer(help="Serve the panel; or make owners, and rebuild its read model.")
    family.callback(invoke_without_command=True)(serve)
    family.command("create-owner")(create_owner)
    family.command("sign-in-link")(sign_in_link)
    family.command("reset-second-factor")(reset_second_factor)
    family.command("rebuild")(rebuild)
    root.add_typer(family, name="panel", rich_help_panel=PANEL)


def serve(context: typer.Context) -> None:
    """Serve the panel: pages, API, metrics and health."""
    if context.invoked_subcommand is not None:
        return
    run = session.of(context)
    from streams.cli.logs import configure_logging
    from streams.panel.serve import serve as serve_panel

    configure_logging(run.settings)
    raise typer.Exit(serve_panel(run.settings))


def create_owner(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the owner signs in with: a mail address.")],
) -> None:
    """Print a link with which an owner sets a password: a new one, or one who has lost theirs."""
    run = session.of(context)
    from streams.panel.people import owners
    from streams.panel.store import Store

    with Store(run.settings.panel_database.get_secret_value()) as store:
        link = owners.create_owner(store, run.settings, name, actor=actor())
    hours = run.settings.panel_invitation_hours
    run.out.done(f"Open this link within {hours} hours; it works once: {link}", {"name": name, "link": link})


def sign_in_link(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which owner, where there are several.")] = None,
) -> None:
    """Print a link that signs an owner in once, within 15 minutes."""
    run = session.of(context)
    from streams.panel.people import owners
    from streams.panel.store import Store

    with Store(run.settings.panel_database.get_secret_value()) as store:
        link = owners.sign_in_link(store, run.settings, name, actor=actor())
    run.out.done(link, {"name": name, "link": link})


def reset_second_factor(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the person signs in with.")],
) -> None:
    """Let somebody who has lost app and recovery codes sign in by password alone; their sessions end."""
    run = session.of(context)
    from streams.panel.people import owners
    from streams.panel.store import Store

    with Store(run.settings.panel_database.get_secret_value()) as store:
        found = owners.reset_second_factor(store, name, actor=actor())
    run.out.done(f"{found} signs in without a second factor now.", {"name": found})


def rebuild(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget what was read from the topics and read it again; people and the audit stay. A running panel notices."""
    run = session.of(context)
    from streams.panel.store import Store

    run.confirm("Empty the panel's read model? Pages are incomplete until the topics are read again.", yes=yes)
    with Store(run.settings.panel_database.get_secret_value()) as store:
        store.wipe_read_model()
    run.out.done("The read model is empty; a running panel reads the topics again.", {"rebuilt": True})
