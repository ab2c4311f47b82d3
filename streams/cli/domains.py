"""`loginwatch domain`: which group a domain belongs to."""

from typing import Annotated

import typer

from streams.cli import session
from streams.core.accounts import canonical_domain, canonical_group
from streams.errors import UsageError

TOPIC = "domains"


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Domains and the groups whose policies they inherit.")
    family.command("set")(set_)
    family.command("list")(list_)
    root.add_typer(family, name="domain", rich_help_panel="Rules")


def set_(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN")],
    group: Annotated[
        str | None, typer.Option(metavar="PATH", help="Its group; levels with slashes: reseller-a/customer-7.")
    ] = None,
    no_group: Annotated[bool, typer.Option("--no-group", help="Take the domain out of its group.")] = False,
) -> None:
    """Put a domain into a group, or take it out of its group."""
    run = session.of(context)
    if no_group == bool(group):
        raise UsageError("say either --group PATH or --no-group")
    canonical = canonical_domain(domain)
    path = None if not group else canonical_group(group.removeprefix("group:"))
    record = {"domain": canonical, "group": path}
    keys = run.store.tables().keys_of(TOPIC, canonical)
    run.store.replace(TOPIC, canonical, None if path is None else record, keys)
    run.out.done(f"{canonical} belongs to {'no group' if path is None else f'group:{path}'}.", record)


def list_(
    context: typer.Context,
    group: Annotated[str | None, typer.Option(metavar="PATH", help="Only domains in this group or below it.")] = None,
) -> None:
    """List domains that belong to a group."""
    run = session.of(context)
    above = None if group is None else canonical_group(group.removeprefix("group:"))
    found = run.store.tables().domains
    records = [
        row for _, row in sorted(found.items()) if above is None or f"{row['group'] or ''}/".startswith(f"{above}/")
    ]
    rows = [(row["domain"], row["group"]) for row in records]
    run.out.table(("Domain", "Group"), rows, records, "No domain belongs to a group.")
