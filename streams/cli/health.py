"""
`loginwatch health`: ask the processes of this machine how they are.

Decision: asked over HTTP where the settings say that each listens, as a load balancer would ask. Container health checks
and `loginwatch check` use it.
"""

# ruff: noqa: PLC0415 - the HTTP client is not needed for --help

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli import session
from streams.errors import LoginwatchError, UsageError

if TYPE_CHECKING:
    from httpx import Response

    from streams.settings import Settings

LISTENS = {
    "worker": "worker_health_listen",
    "gateway": "gateway_listen",
    "postfix": "postfix_health_listen",
    "mailer": "mailer_health_listen",
    "enforcement": "enforcement_health_listen",
    "logs": "logs_health_listen",
    "alerts": "alerts_health_listen",
    "canary": "canary_health_listen",
    "panel": "panel_listen",
}
"""Where each process answers /health, by the name of its setting."""
TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Health:
    """What a process answered: `ready`, `not ready` with its reasons, or `no answer`."""

    process: str
    address: str
    state: Literal["ready", "not ready", "no answer"]
    reasons: tuple[str, ...] = ()
    """Why it is not ready, or what an operator should know although it is."""


class NotReadyError(LoginwatchError):
    """A process that was asked is not ready, or none answered."""

    exit_code = 1


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("health", rich_help_panel="Set-up")(health)


def health(
    context: typer.Context,
    processes: Annotated[
        list[str] | None,
        typer.Argument(metavar=f"[{'|'.join(LISTENS)}]...", help="Which to ask. Default: all that have an address."),
    ] = None,
    any_: Annotated[
        bool, typer.Option("--any", help="Be content if those that answer are ready, and at least one answers.")
    ] = False,
) -> None:
    """Ask the processes of this machine whether they are ready. Ends with code 1 if one is not."""
    run = session.of(context)
    if unknown := [name for name in processes or [] if name not in LISTENS]:
        raise UsageError(f"{unknown[0]!r} is no process: choose from {', '.join(LISTENS)}")
    found = [ask(run.settings, name) for name in processes or LISTENS]
    rows = [(each.process, each.address, each.state, " ".join(each.reasons)) for each in found]
    records = [asdict(each) for each in found]
    run.out.table(("Process", "Address", "Is", "Because"), rows, records, "")
    judged = [each for each in found if each.state != "no answer"] if any_ else found
    if not judged or any(each.state != "ready" for each in judged):
        raise typer.Exit(NotReadyError.exit_code)


def ask(settings: "Settings", process: str) -> Health:
    """How one process of this machine is. Raises ConfigurationError when its setting is no address."""
    import httpx

    from streams.bus.health import parse_listen, reachable

    name = LISTENS[process]
    host, port = parse_listen(getattr(settings, name), name)
    tls = {"gateway": settings.gateway_tls_cert_file, "panel": settings.panel_tls_cert_file}
    scheme = "https" if tls.get(process) else "http"
    address = f"{scheme}://{reachable(host)}:{port}"
    try:
        # not verified: the certificate names the door's public name, and this is our own machine
        answer = httpx.get(f"{address}/health/ready", timeout=TIMEOUT_S, verify=False, trust_env=False)  # noqa: S501
    except httpx.HTTPError as error:
        return Health(process, address, "no answer", (str(error) or type(error).__name__,))
    reasons = _reasons(answer)
    if reasons is None:
        stranger = (
            f"it answers HTTP {answer.status_code}, but not as loginwatch does: does something else listen there?"
        )
        return Health(process, address, "no answer", (stranger,))
    if answer.is_success:
        return Health(process, address, "ready", reasons)
    return Health(process, address, "not ready", reasons or (f"it answered {answer.status_code}",))


def _reasons(answer: "Response") -> tuple[str, ...] | None:
    """What a process of ours says of itself; None for an answer that no process of ours gives."""
    try:
        said = answer.json()
    except ValueError:
        return None
    if answer.is_server_error and said == {"error": "see the log"}:  # its page failed
        return ()
    if not isinstance(said, dict) or "ready" not in said or not isinstance(said.get("reasons"), list):
        return None
    return tuple(map(str, said["reasons"]))
