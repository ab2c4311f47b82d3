"""`loginwatch policy`: what a scope demands, and what follows for an account."""

from collections.abc import Collection
from typing import Annotated, Any

import typer

from streams.cli import session
from streams.cli.moments import now_ms
from streams.cli.output import iso
from streams.cli.session import Session, actor
from streams.core.accounts import canonical_account, parse_scope
from streams.core.policy import FIELDS, RESET, parse_policy
from streams.errors import NotFoundError, UsageError

TOPIC = "policies"
Scope = Annotated[
    str, typer.Argument(metavar="SCOPE", help="everyone, group:a/b, domain:example.org or account:user@example.org.")
]
EMPTY_SETS = 'An empty text ("") sets an empty list.'


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Policies: what a scope demands.")
    for name, command in (
        ("set", set_),
        ("show", show),
        ("list", list_),
        ("reset", reset),
        ("inherit", inherit),
        ("effective", effective),
    ):
        family.command(name)(command)
    root.add_typer(family, name="policy", rich_help_panel="Rules")


def set_(
    context: typer.Context,
    scope: Scope,
    time_window: Annotated[
        int | None, typer.Option(help="Minutes over which different networks are counted; 0 = off.")
    ] = None,
    allowed_ips: Annotated[
        int | None, typer.Option(help="Different networks allowed in the window; 0 = do not count.")
    ] = None,
    allowed_countries: Annotated[
        int | None, typer.Option(help="Different countries allowed; 0 = do not count.")
    ] = None,
    ignored_countries: Annotated[
        str | None, typer.Option(metavar="CODES", help=f'Countries neither counted nor listed: "FR, ro". {EMPTY_SETS}')
    ] = None,
    block_time: Annotated[int | None, typer.Option(help="Minutes to deny logins; 0 = only report.")] = None,
    notify: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help=f"E-mail address to tell; can be repeated. {EMPTY_SETS}")
    ] = None,
    notify_sender: Annotated[
        bool | None, typer.Option("--notify-sender/--no-notify-sender", help="Tell the account too.")
    ] = None,
    match_username: Annotated[
        bool | None, typer.Option("--match-username/--no-match-username", help="MAIL FROM must equal the login name.")
    ] = None,
    match_domain: Annotated[
        bool | None,
        typer.Option("--match-domain/--no-match-domain", help="MAIL FROM must have the login name's domain."),
    ] = None,
    familiar_days: Annotated[
        int | None, typer.Option(help="Networks used on this many days stay open in a block; 0 = none do.")
    ] = None,
    ipv4_prefix: Annotated[int | None, typer.Option(help="What counts as one IPv4 network, 8 to 32.")] = None,
    ipv6_prefix: Annotated[int | None, typer.Option(help="What counts as one IPv6 network, 16 to 128.")] = None,
    mode: Annotated[str | None, typer.Option(metavar="enforce|observe", help="Act, or only record incidents.")] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Let this field inherit again; can be repeated.")
    ] = None,
) -> None:
    """Change the named fields of a scope; all others stay as they are."""
    run = session.of(context)
    given = locals()
    changes = {name: given[name] for name in FIELDS if given[name] is not None}
    if notify is not None:
        changes["notify"] = [address for address in notify if address.strip()]
    change(run, scope, changes, [_field(name) for name in unset or []])


def change(run: Session, scope_text: str, changes: dict[str, Any], unset: list[str]) -> None:
    """Merge changes into the scope's record and write it. Raises Refused or UsageError before anything is written."""
    if both := [name for name in unset if name in changes]:
        raise UsageError(f"{both[0]} is both set and unset: name it once")
    if not changes and not unset:
        raise UsageError("nothing to change: name at least one field, for instance --allowed-ips 3")
    scope = parse_scope(scope_text, run.settings.default_domain)
    parse_policy({"scope": scope, **changes})  # a refusal should not wait for Kafka
    tables = run.store.tables()
    current = tables.policies.get(scope, {})
    merged = {name: current.get(name) for name in FIELDS} | changes | dict.fromkeys(unset)
    write(run, scope, merged, tables.keys_of(TOPIC, scope))


def write(run: Session, scope: str, values: dict[str, Any], keys: Collection[str] = ()) -> None:
    """
    Write a canonical scope's fields; if none is set, that it sets nothing any more.

    `keys` are those under which something is set of it now.
    """
    _, policy = parse_policy({"scope": scope, **values})
    fields = policy.to_record()
    record = {"scope": scope, **fields, "actor": actor(), "time": now_ms()}
    if any(value is not None for value in fields.values()):
        run.store.replace(TOPIC, scope, record, keys)
        shown = ", ".join(f"{name} {_shown(value)}" for name, value in fields.items() if value is not None)
        run.out.done(f"{scope} now sets: {shown}.", record)
    else:
        run.store.replace(TOPIC, scope, None, keys)
        run.out.done(f"{scope} sets nothing any more: every field inherits.", record)


def show(context: typer.Context, scope: Scope) -> None:
    """Show what a scope sets itself."""
    run = session.of(context)
    canonical = parse_scope(scope, run.settings.default_domain)
    record = run.store.tables().policies.get(canonical)
    if record is None:
        raise NotFoundError(f"{canonical} sets nothing; see `loginwatch policy list`")
    pairs = [(name, _shown(record[name]) if record[name] is not None else "(inherits)") for name in FIELDS]
    written = [("set by", record["actor"]), ("set at", iso(record["time"]))]
    run.out.facts([("scope", canonical), *pairs, *written], record)


def list_(context: typer.Context) -> None:
    """List all scopes that set anything."""
    run = session.of(context)
    tables = run.store.tables()
    records = [tables.policies[scope] for scope in sorted(tables.policies)]
    rows = [
        (
            record["scope"],
            ", ".join(f"{name}={_shown(record[name])}" for name in FIELDS if record[name] is not None),
            record["actor"],
            iso(record["time"]),
        )
        for record in records
    ]
    run.out.table(("Scope", "Sets", "By", "At"), rows, records, "No scope sets anything: detection is off.")
    for sentence in tables.refused:
        run.out.note(f"not obeyed: {sentence}")


def reset(context: typer.Context, scope: Scope) -> None:
    """Switch everything off in a scope, whatever is set above it (prefixes and mode still inherit)."""
    run = session.of(context)
    _write_all(run, scope, RESET.to_record())


def inherit(context: typer.Context, scope: Scope) -> None:
    """Let every field of a scope inherit from the scopes above it."""
    run = session.of(context)
    _write_all(run, scope, {})


def effective(context: typer.Context, account: Annotated[str, typer.Argument(metavar="ACCOUNT")]) -> None:
    """Show what holds for an account, and for each field the scope that it comes from."""
    run = session.of(context)
    canonical = canonical_account(account, run.settings.default_domain)
    record = run.store.tables().book.effective(canonical).to_record()
    table(run, record, {"account": canonical, **record})


def table(run: Session, policy: dict[str, Any], record: Any) -> None:
    """An effective policy, a row per field."""
    rows = [(name, _shown(policy[name]), policy["origins"].get(name, "")) for name in FIELDS]
    if run.out.json:
        run.out.facts([], record)
    else:
        run.out.table(("Field", "Value", "From"), rows, [], "")


def _write_all(run: Session, scope_text: str, values: dict[str, Any]) -> None:
    scope = parse_scope(scope_text, run.settings.default_domain)
    write(run, scope, values, run.store.tables().keys_of(TOPIC, scope))


def _field(text: str) -> str:
    name = text.strip().lower().replace("-", "_")
    if name not in FIELDS:
        raise UsageError(f"--unset {text!r}: there is no such field; the fields are {', '.join(FIELDS)}")
    return name


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(value) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
