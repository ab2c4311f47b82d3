"""
The tree of all commands and the options that all of them share.

Decision: `--json`, `--config` and `--set` may stand anywhere on the line, since people add them at its end. Every error
that loginwatch knows ends the command with one sentence and the error's exit code; only defects show a traceback.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streams.cli import (
    accounts,
    canary,
    check,
    domains,
    files,
    health,
    incidents,
    letters,
    panel,
    policies,
    processes,
    reference,
    safe,
    settings,
    simulate,
    topics,
)
from streams.cli.output import plain
from streams.cli.session import Session
from streams.core.refusal import Refused
from streams.errors import LoginwatchError, UsageError

REFUSED = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: whoever read our output has seen enough."""
CANNOT_WRITE = 74
"""EX_IOERR of sysexits.h."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
WITH_VALUE = ("--config", "--set")
FAMILIES = (
    processes,
    canary,
    panel,
    accounts,
    incidents,
    policies,
    safe,
    domains,
    files,
    simulate,
    topics,
    settings,
    check,
    health,
    letters,
    reference,
)
"""In the order of the help."""


class Root(TyperGroup):
    """The `loginwatch` command itself: shared options anywhere, errors as sentences."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring the shared options to the front, where the root command reads them; `--help` is answered here."""
        with _sentences():
            return super().parse_args(ctx, shared_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _sentences():
            return super().invoke(ctx)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what is raised into a sentence and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _close_quietly()
        raise typer.Exit(PIPE_CLOSED) from None
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        _close_quietly()
        _say(f"cannot write: {error.strerror}. Make room, or write elsewhere")
        raise typer.Exit(CANNOT_WRITE) from error
    except LoginwatchError as error:
        _say(error)
        raise typer.Exit(error.exit_code) from error
    except Refused as refusal:
        _say(refusal)
        raise typer.Exit(REFUSED) from refusal


def shared_first(args: list[str]) -> list[str]:
    """
    The arguments with the shared options first; nothing after `--` is touched.

    One that lacks its value comes without the command, which would pass for the value: the root command refuses it by name.

    >>> shared_first(["policy", "list", "--json", "--set", "app=a"])
    ['--json', '--set', 'app=a', 'policy', 'list']
    >>> shared_first(["policy", "list", "--json", "--set"])
    ['--json', '--set']
    """
    shared: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(args):
        argument = args[position]
        if argument == "--":
            rest.extend(args[position:])
            break
        if argument in WITH_VALUE and position + 1 == len(args):
            return [*shared, argument]
        taken = 2 if argument in WITH_VALUE else 1
        is_shared = taken == 2 or argument == "--json" or argument.startswith(tuple(f"{name}=" for name in WITH_VALUE))
        (shared if is_shared else rest).extend(args[position : position + taken])
        position += taken
    return shared + rest


def version() -> str:
    """The version of the installed distribution."""
    try:
        return metadata.version("loginwatch")
    except metadata.PackageNotFoundError:
        return "not installed (running from its sources)"


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"loginwatch {version()}")
        raise typer.Exit


def _root(
    context: typer.Context,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Settings file (TOML).", rich_help_panel="Shared options")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="One setting; can be repeated.", rich_help_panel="Shared options"
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Answer in JSON, for programs.", rich_help_panel="Shared options")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find compromised mail accounts in a stream of logins. Shared options may stand anywhere on the line."""
    context.obj = Session(flags=_flags(set_ or []), config_file=config, json=json)


def _flags(given: list[str]) -> dict[str, str]:
    flags = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r} lacks a value: write --set NAME=VALUE")
        flags[name.strip().lower()] = value
    return flags


def _say(error: BaseException | str) -> None:
    with suppress(OSError):  # a full disk takes no sentence either, and the exit code still tells
        typer.echo(f"loginwatch: {plain(error)}", err=True)


def _close_quietly() -> None:
    """Let Python's last flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_app() -> typer.Typer:
    """The whole command line."""
    made = typer.Typer(
        cls=Root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # its tracebacks show local variables, secrets among them
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_root)
    for family in FAMILIES:
        family.register(made)
    return made


app = make_app()
