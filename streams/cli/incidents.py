"""`loginwatch incidents`: what was found, with the evidence."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from streams.cli import policies, pseudonyms, session
from streams.cli.evidence import NETWORK_COLUMNS, messages, network_row, place, show_senders
from streams.cli.moments import ago, now_ms
from streams.cli.output import iso
from streams.cli.session import Session
from streams.core.accounts import canonical_account
from streams.errors import NotFoundError

TOPIC = "incidents"
COLUMNS = ("Id", "Opened", "Account", "Summary", "Networks", "Block ordered until", "Revision")
AccountOption = Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Only those of this account.")]
Incident = dict[str, Any]


def register(root: typer.Typer) -> None:
    """Add the family."""
    family = typer.Typer(no_args_is_help=True, help="Incidents: accounts that exceeded their policy, and why.")
    for name, command in (("list", list_), ("show", show), ("follow", follow), ("export", export)):
        family.command(name)(command)
    root.add_typer(family, name="incidents", rich_help_panel="Accounts and incidents")


def list_(
    context: typer.Context,
    account: AccountOption = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Revised since: a duration (24h, 7d) or a date, UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """
    List incidents, newest first, each in its last revision.

    What an incident ordered may have been lifted since: `loginwatch account show` says whether an account is blocked.
    """
    run = session.of(context)
    since_ms = ago("--since", since, now_ms())
    name = _canonical(run, account)
    found = latest(row for row in run.store.rows(TOPIC, since_ms=since_ms, account=name) if _is_wanted(run, name, row))
    newest = sorted(found, key=lambda incident: (-incident["opened"], incident["id"]))[:limit]
    run.out.table(COLUMNS, [_row(incident) for incident in newest], newest, "No incidents.")


def show(context: typer.Context, id_: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one incident with all its evidence."""
    run = session.of(context)
    incident = _one(run, id_)
    run.out.facts(_facts(incident), incident)
    if not run.out.json:
        _show_networks(run, incident)
        show_senders(run, incident)
        policies.table(run, incident["policy"], incident)


def follow(context: typer.Context, account: AccountOption = None) -> None:
    """Print every new revision of an incident as it comes, until Ctrl-C."""
    run = session.of(context)
    name = _canonical(run, account)
    with run.store.tail(TOPIC) as tail:
        run.out.note("Waiting for incidents; Ctrl-C ends.")
        while True:
            for record in tail.read():
                incident = run.store.decode(record)
                if incident is not None and _is_wanted(run, name, incident):
                    run.out.line(line(incident), incident)


def export(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID")],
    secret: Annotated[
        str, typer.Option(help="The same secret gives the same pseudonyms. Default: a random one each time.")
    ] = "",
    pseudonymised: Annotated[
        bool, typer.Option("--pseudonymised/--plain", help="Replace accounts, addresses, networks, names and owners.")
    ] = True,
) -> None:
    """Write an incident in its last revision as JSON, for sharing: with pseudonyms unless --plain."""
    run = session.of(context)
    incident = _one(run, id_)
    run.out.json = True
    run.out.done("", pseudonyms.of(incident, secret) if pseudonymised else incident)


def _is_wanted(run: Session, name: str | None, incident: Incident) -> bool:
    """Those of one account if it is named, else all but the canary's, which are hundreds a day."""
    account = incident["account"]
    return account == name if name else not run.settings.is_canary(account)


def _one(run: Session, id_: str) -> Incident:
    found = [incident for incident in latest(run.store.rows(TOPIC)) if incident["id"] == id_.strip().lower()]
    if not found:
        raise NotFoundError(f"there is no incident {id_}, or no longer; see `loginwatch incidents list`")
    return found[0]


def latest(revisions: Iterable[Incident]) -> list[Incident]:
    """Of every incident its highest revision."""
    found: dict[str, Incident] = {}
    for incident in revisions:
        known = found.get(incident["id"])
        if known is None or incident["revision"] >= known["revision"]:
            found[incident["id"]] = incident
    return list(found.values())


def line(incident: Incident) -> str:
    """One revision on one line."""
    until = incident["blocked_until"]
    consequence = f", block ordered until {iso(until)}" if until is not None else ""
    observed = ", observed only" if incident["mode"] == "observe" else ""
    head = f"{iso(incident['revised'])} {incident['id']}/{incident['revision']} {incident['account']}"
    return f"{head}: {incident['summary']}{consequence}{observed}"


def _canonical(run: Session, account: str | None) -> str | None:
    return None if account is None else canonical_account(account, run.settings.default_domain)


def _row(incident: Incident) -> tuple[Any, ...]:
    return (
        incident["id"],
        iso(incident["opened"]),
        incident["account"],
        incident["summary"],
        incident["networks_ever"],
        "(observed only)" if incident["mode"] == "observe" else iso(incident["blocked_until"]) or "none",
        incident["revision"],
    )


def _facts(incident: Incident) -> Iterator[tuple[str, Any]]:
    yield "incident", incident["id"]
    yield "revision", f"{incident['revision']}, of {iso(incident['revised'])}"
    yield "account", incident["account"]
    yield "opened", iso(incident["opened"])
    yield "rule", f"{incident['rule']}: {incident['count']} > {incident['limit']} in {incident['window']} minutes"
    yield "summary", incident["summary"]
    yield "mode", incident["mode"]
    yield "block ordered until", iso(incident["blocked_until"]) or "none"
    yield "messages in 24 hours", messages(incident)
    yield "networks ever", incident["networks_ever"]
    yield "countries", ", ".join(f"{row['country'] or 'unknown'} {row['logins']}" for row in incident["countries"])
    yield "logins from ignored countries", incident["ignored_logins"]


def _show_networks(run: Session, incident: Incident) -> None:
    run.out.table(NETWORK_COLUMNS, list(map(network_row, incident["networks"])), [], "No networks.")
    left_out = [
        (row["network"], place(row), row["logins"], row["safe_network"], row["scope"], row["description"])
        for row in incident["left_out"]
    ]
    if left_out:
        run.out.table(("Left out", "Place", "Logins", "Safe network", "Scope", "Why"), left_out, [], "")
