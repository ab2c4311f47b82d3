"""`loginwatch safe`: networks that are trusted for a scope."""

from typing import Annotated, Any

import typer

from streams.cli import session
from streams.cli.moments import ahead, now_ms
from streams.cli.output import iso
from streams.cli.session import actor
from streams.core.accounts import canonical_account, parse_scope
from streams.core.addresses import parse_network
from streams.core.book import parse_safe_network, safe_key
from streams.errors import NotFoundError, UsageError

TOPIC = "safe-networks"
Scope = Annotated[
    str, typer.Argument(metavar="SCOPE", help="everyone, group:a/b, domain:example.org or account:user@example.org.")
]
NetworkText = Annotated[str, typer.Argument(metavar="NETWORK", help="A CIDR or an address, for instance 192.0.2.0/24.")]


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Safe networks: logins from there are listed, not counted.")
    for name, command in (("add", add), ("list", list_), ("remove", remove)):
        family.command(name)(command)
    root.add_typer(family, name="safe", rich_help_panel="Rules")


def add(
    context: typer.Context,
    scope: Scope,
    network: NetworkText,
    description: Annotated[str, typer.Option(help="Why it is trusted; whoever finds it later will ask.")],
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Duration from now (30d, 12h) or date (2026-12-31), UTC.")
    ] = None,
) -> None:
    """Trust a network for a scope. Adding it again replaces its description and expiry."""
    run = session.of(context)
    now = now_ms()
    expires_ms = ahead("--expires", expires, now)
    if expires_ms is not None and expires_ms <= now:
        raise UsageError(f"--expires {expires!r} is over already ({iso(expires_ms)})")
    given = {"scope": scope, "network": network, "description": description, "expires": expires_ms}
    trusted = parse_safe_network(given, run.settings.default_domain)
    record = {
        "scope": trusted.scope,
        "network": str(trusted.network),
        "description": trusted.description,
        "actor": actor(),
        "time": now,
        "expires": expires_ms,
    }
    run.store.replace(TOPIC, trusted.key, record, run.store.tables().keys_of(TOPIC, trusted.key))
    until = f" until {iso(expires_ms)}" if expires_ms is not None else ""
    run.out.done(f"{trusted.network} is safe for {trusted.scope}{until}.", record)


def list_(
    context: typer.Context,
    scope: Annotated[str | None, typer.Option(help="Only those of this scope.")] = None,
    account: Annotated[str | None, typer.Option(help="Only those that this account inherits or has.")] = None,
) -> None:
    """List safe networks."""
    run = session.of(context)
    domain = run.settings.default_domain
    wanted = None if scope is None else {parse_scope(scope, domain)}
    name = None if account is None else canonical_account(account, domain)
    tables = run.store.tables()
    if name is not None:
        inherited = set(tables.book.scopes(name))
        wanted = inherited if wanted is None else wanted & inherited
    records = [row for _, row in sorted(tables.safe_networks.items()) if wanted is None or row["scope"] in wanted]
    now = now_ms()
    rows = [
        (row["scope"], row["network"], row["description"], row["actor"], iso(row["time"]), _expiry(row, now))
        for row in records
    ]
    columns = ("Scope", "Network", "Description", "By", "At", "Expires")
    run.out.table(columns, rows, records, "No network is marked safe.")


def remove(context: typer.Context, scope: Scope, network: NetworkText) -> None:
    """Trust a network no longer."""
    run = session.of(context)
    canonical = parse_scope(scope, run.settings.default_domain)
    key = safe_key(canonical, parse_network(network))
    tables = run.store.tables()
    record = tables.safe_networks.get(key)
    if record is None:
        raise NotFoundError(f"{network} is not marked safe for {canonical}; see `loginwatch safe list`")
    run.store.replace(TOPIC, key, None, tables.keys_of(TOPIC, key))
    run.out.done(f"{record['network']} is no longer safe for {canonical}.", record)


def _expiry(row: dict[str, Any], now: int) -> str:
    expires = row["expires"]
    if expires is None:
        return "never"
    return iso(expires) if expires > now else f"{iso(expires)} (over)"
