"""
`loginwatch check`: is everything reachable and configured, and if not, what is to be done?

Decision: every question is asked, also after one has failed, and none changes anything. What is merely worth knowing (no
geo database, no policy yet) is a remark and does not make the answer "no".
"""

# ruff: noqa: PLC0415 - each question imports what it needs

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from streams.cli import health, session
from streams.cli.session import Session
from streams.core.refusal import Refused
from streams.errors import LoginwatchError

if TYPE_CHECKING:
    from streams.cli.store import Tables
    from streams.settings import Settings

BROKER_WAIT_S = 5.0
MOST_NAMED = 3
Process = Literal["worker", "gateway", "postfix", "mailer", "logs", "enforcement", "alerts", "canary", "panel"]
EVERY: tuple[Process, ...] = get_args(Process)


@dataclass(frozen=True)
class Finding:
    """The answer to one question: `ok`, a `remark`, or what is `wrong`; a sentence with what to do."""

    subject: str
    state: Literal["ok", "remark", "wrong"]
    sentence: str


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("check", rich_help_panel="Set-up")(check)


def check(
    context: typer.Context,
    processes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=f"[{'|'.join(EVERY)}]...",
            help="Only what these need. Default: all.",
        ),
    ] = None,
) -> None:
    """Check settings, Kafka, topics, geo databases, registry, gateway and mail server. Ends with code 1 if one is wrong."""
    run = session.of(context)
    if unknown := [name for name in processes or [] if name not in EVERY]:
        raise typer.BadParameter(f"{unknown[0]!r} is no process: choose from {', '.join(EVERY)}")
    findings = list(examine(run, processes or list(EVERY)))
    rows = [(finding.subject, finding.state, finding.sentence) for finding in findings]
    run.out.table(("What", "Is", "Because"), rows, [asdict(finding) for finding in findings], "")
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def examine(run: Session, processes: list[str]) -> Iterator[Finding]:
    """All findings, in the order in which they are best mended."""
    settings = run.settings
    yield Finding("settings", "ok", "can be read; `loginwatch settings` shows them")
    reachable = _asked("kafka", lambda: _kafka(settings))
    yield from reachable
    if all(finding.state == "ok" for finding in reachable):
        yield from _asked("topics", lambda: _topics(settings))
        yield from _asked("policies", lambda: _policies(run))
    yield from _asked("registry", lambda: _registry(run))
    if "worker" in processes:
        yield from _asked("geo", lambda: _geo(settings))
    if "gateway" in processes:
        yield from _asked("gateway", lambda: _gateway(settings))
    if "postfix" in processes:
        yield from _asked("postfix", lambda: _postfix(settings))
    if "mailer" in processes:
        yield from _asked("mail", lambda: _mail(settings))
    if "logs" in processes:
        yield from _asked("logs", lambda: _logs(settings))
    if "enforcement" in processes:
        yield from _asked("enforcement", lambda: _enforcement(settings))
    if "canary" in processes:
        yield from _asked("canary", lambda: _canary(run, knows_policies=all(each.state == "ok" for each in reachable)))
    for process in processes:
        if process == "canary" and not settings.canary_account:
            continue
        yield from _asked("running", lambda process=process: _running(settings, process))  # type: ignore[misc]


def _asked(subject: str, question: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of one question; an error that loginwatch knows is a finding too."""
    findings: list[Finding] = []
    try:
        findings.extend(question())
    except (LoginwatchError, Refused) as error:
        findings.append(Finding(subject, "wrong", str(error)))
    except TimeoutError:
        findings.append(Finding(subject, "wrong", "no answer in time: is a broker down or overloaded?"))
    return findings


def _running(settings: "Settings", process: str) -> Iterator[Finding]:
    found = health.ask(settings, process)
    reasons = "; ".join(found.reasons)
    if found.state == "ready":
        yield Finding("running", "ok", f"{process} is ready at {found.address}" + (f"; {reasons}" if reasons else ""))
    elif found.state == "not ready":
        yield Finding("running", "wrong", f"{process} at {found.address} is not ready: {reasons}")
    else:
        where = f"{found.address} ({health.LISTENS[process]})"
        yield Finding(
            "running", "remark", f"no {process} answers at {where}: it runs elsewhere, or not at all ({reasons})"
        )


def _kafka(settings: "Settings") -> Iterator[Finding]:
    from streams.bus.admin import wait_for_broker

    brokers = wait_for_broker(settings, BROKER_WAIT_S)
    yield Finding("kafka", "ok", f"{brokers} broker(s) at {settings.bootstrap_servers}")


def _topics(settings: "Settings") -> Iterator[Finding]:
    from streams.bus.admin import check_topics
    from streams.topology import all_topics

    problems = check_topics(settings)
    for problem in problems:
        yield Finding("topics", "wrong", problem)
    if not problems:
        yield Finding("topics", "ok", f"all {len(all_topics(settings))}, {settings.partitions} partitions by account")


def _policies(run: Session) -> Iterator[Finding]:
    tables = run.store.tables()
    for refused in tables.refused:
        yield Finding("policies", "wrong", f"not obeyed, write it anew: {refused}")
    detecting = [scope for scope, policy in tables.book.policies.items() if policy.time_window]
    counted = f"{len(tables.policies)} scope(s) set something, {len(detecting)} a time window"
    untold = [scope for scope in _untold(tables) if not run.settings.is_canary(scope.removeprefix("account:"))]
    if untold:
        named = ", ".join(untold[:MOST_NAMED]) + (
            f" and {len(untold) - MOST_NAMED} more" if untold[MOST_NAMED:] else ""
        )
        advice = f"loginwatch policy set {untold[0]} --notify soc@example.org"
        yield Finding(
            "policies", "remark", f"{counted}; nobody is told of incidents where {named} enforce(s): `{advice}`"
        )
    elif detecting:
        yield Finding("policies", "ok", counted)
    else:
        advice = "loginwatch policy set everyone --time-window 60 --allowed-ips 3 --notify soc@example.org"
        yield Finding(
            "policies", "remark", f"no scope sets a time window, so nothing is detected: for instance `{advice}`"
        )


def _untold(tables: "Tables") -> Iterator[str]:
    """The scopes with a policy whose incidents are enforced, and mailed to nobody."""
    from streams.core.policy import EffectivePolicy
    from streams.panel.store.policies import above

    policies = tables.book.policies
    for scope in policies:
        levels = [(level, policies[level]) for level in (scope, *above(tables.book, scope)) if level in policies]
        policy = EffectivePolicy.from_levels(levels)
        detects = policy.time_window and (policy.allowed_ips or policy.allowed_countries)
        if detects and policy.enforces and not policy.can_mail:
            yield scope


def _registry(run: Session) -> Iterator[Finding]:
    url = run.settings.schema_registry_url
    if not url:
        yield Finding("registry", "ok", "not used (schema_registry_url is empty)")
        return
    from streams.records.registry import from_settings
    from streams.records.subjects import check_subjects

    registry = from_settings(run.settings, patience_s=0)
    assert registry is not None
    problems = check_subjects(registry)
    for problem in problems:
        yield Finding("registry", "wrong", problem)
    if not problems:
        yield Finding("registry", "ok", f"answers at {url} and knows all our schemas")


def _geo(settings: "Settings") -> Iterator[Finding]:
    from streams.geo import open_places

    if not settings.geo_databases:
        yield Finding(
            "geo",
            "remark",
            "no database, so countries are not counted: set geo_databases to an MMDB file with countries",
        )
        return
    places = open_places(settings)
    try:
        yield Finding("geo", "ok", f"{', '.join(settings.geo_databases)} can be read")
    finally:
        places.close()


def _gateway(settings: "Settings") -> Iterator[Finding]:
    if settings.gateway_allow_anonymous:
        yield Finding(
            "gateway",
            "remark",
            f"serves without a secret at {settings.gateway_listen}: nobody else may reach that address",
        )
    elif not settings.gateway_api_key.get_secret_value():
        yield Finding(
            "gateway",
            "wrong",
            "has no secret: set gateway_api_key, best as a file in the secrets directory, and the same"
            " in Dovecot's auth_policy_server_api_header",
        )
    else:
        yield Finding("gateway", "ok", f"has a secret, listens at {settings.gateway_listen}")


def _postfix(settings: "Settings") -> Iterator[Finding]:
    from streams.connectors.policy_protocol import parse_denial
    from streams.core.addresses import format_address, parse_address

    parse_denial(settings.postfix_deny_action)
    places = " and ".join(place for place in (settings.postfix_listen, settings.postfix_socket) if place)
    host = settings.postfix_listen.rpartition(":")[0].strip("[]")
    try:
        local = host in ("", "localhost") or ip_address(format_address(parse_address(host))).is_loopback
    except Refused:
        local = False
    if not places:
        yield Finding("postfix", "wrong", "nothing to listen on: set postfix_listen, postfix_socket or both")
    elif local:
        yield Finding("postfix", "ok", f"refuses with {settings.postfix_deny_action!r}, listens at {places}")
    else:
        yield Finding("postfix", "remark", f"listens at {places} and knows no secret: only mail servers may reach it")


def _mail(settings: "Settings") -> Iterator[Finding]:
    import asyncio

    from streams.connectors.mail_delivery import Outcome, SmtpServer

    if not settings.mail_from:
        yield Finding("mail", "wrong", "no sender: set mail_from, for instance loginwatch@example.org")

    async def probe() -> str | None:
        server = SmtpServer(settings)
        try:
            delivery = await server.probe()
        finally:
            await server.close()
        return None if delivery.outcome is Outcome.SENT else delivery.reply

    where = f"{settings.smtp_host} port {settings.smtp_port}"
    trouble = asyncio.run(probe())
    if trouble is None:
        yield Finding("mail", "ok", f"{where} takes mails (smtp_tls {settings.smtp_tls})")
    else:
        advice = "check smtp_host, smtp_port, smtp_tls, smtp_username and smtp_password"
        yield Finding("mail", "wrong", f"{where} takes no mails: {trouble}; {advice}")


def _logs(settings: "Settings") -> Iterator[Finding]:
    from streams.connectors.log_frames import zone_of

    zone_of(settings.log_timezone)
    names = [name for name in settings.log_files if name != "-"]
    directory = Path(settings.log_position_file).absolute().parent
    if not settings.log_files:
        yield Finding("logs", "remark", "log_files is empty, so no mail logs are read")
    elif unreadable := [name for name in names if not os.access(name, os.R_OK)]:
        yield Finding("logs", "wrong", f"cannot read {', '.join(unreadable)}: check log_files and their permissions")
    elif names and not os.access(directory, os.W_OK):
        yield Finding("logs", "wrong", f"cannot write to {directory}: make it, or set log_position_file")
    else:
        yield Finding("logs", "ok", f"{', '.join(settings.log_files)} can be read")


def _enforcement(settings: "Settings") -> Iterator[Finding]:
    import asyncio

    from streams.connectors.doveadm_backend import DoveadmBackend
    from streams.connectors.enforcement import receivers
    from streams.connectors.receivers import new_session
    from streams.metrics import Metrics

    if not settings.enforcement_doveadm_urls and not settings.enforcement_webhooks:
        advice = "set enforcement_doveadm_urls to close the open sessions of blocked accounts"
        yield Finding("enforcement", "ok", f"not used; {advice}")
        return
    backends, hooks = receivers(settings)

    async def probe() -> list[str]:
        async with new_session(settings) as client:
            nodes = [DoveadmBackend(one, client, settings, Metrics("enforcement")) for one in backends]
            replies = await asyncio.gather(*(node.probe() for node in nodes))
        return [reply.sentence if reply else "" for reply in replies]

    for one, trouble in zip(backends, asyncio.run(probe()), strict=True):
        if trouble:
            yield Finding("enforcement", "wrong", f"Dovecot {one.name}: {trouble}")
        else:
            yield Finding("enforcement", "ok", f"Dovecot {one.name} answers and takes the key")
    if hooks:
        yield Finding("enforcement", "ok", f"{len(hooks)} webhook(s), signed")


def _canary(run: Session, *, knows_policies: bool) -> Iterator[Finding]:
    from streams.connectors.canary_door import url_of
    from streams.connectors.canary_rules import shortfalls

    account = run.settings.canary_account
    if not account:
        yield Finding("canary", "ok", "not used; set canary_account to see every few minutes that all of it works")
        return
    url = url_of(run.settings)
    policy = run.store.tables().book.effective(account).to_record() if knows_policies else None
    lacking = shortfalls(policy, run.settings.canary_timeout) if policy else []
    if lacking:
        advice = "run `loginwatch canary prepare`"
        yield Finding(
            "canary", "wrong", f"the policy of {account} is not one for a canary: {'; '.join(lacking)}; {advice}"
        )
    else:
        yield Finding("canary", "ok", f"{account} logs in at {url}")
