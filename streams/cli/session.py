"""
What every command starts from: the settings in force, where to print, and Kafka when it is needed.

Decision: everything slow (pydantic, Kafka, Avro) is imported here, when a command first asks for it, so that
`loginwatch --help` and the shell's completion answer at once.
"""

# ruff: noqa: PLC0415 - see above

import getpass
import logging
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from streams.cli.output import Output
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.cli.store import Store
    from streams.settings import Origin, Settings


class Session:
    """One run of the command line."""

    def __init__(self, *, flags: Mapping[str, str], config_file: str | None, json: bool) -> None:
        self._flags = flags
        self._config_file = config_file
        self.out = Output(json)

    @cached_property
    def _loaded(self) -> "tuple[Settings, list[Origin]]":
        from streams.cli.logs import configure_logging
        from streams.settings import load_with_origins

        loaded = load_with_origins(flags=self._flags, config_file=self._config_file)
        configure_logging(loaded[0], least=logging.WARNING)
        return loaded

    @property
    def settings(self) -> "Settings":
        """The settings in force. Raises ConfigurationError."""
        return self._loaded[0]

    @property
    def origins(self) -> "list[Origin]":
        """Every setting with its value and where it came from. Raises ConfigurationError."""
        return self._loaded[1]

    @cached_property
    def store(self) -> "Store":
        """Kafka as the commands use it; nothing is connected before the first question."""
        from streams.cli.store import Store

        return Store(self.settings)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is lost; ends the command with code 1 unless the answer is yes. UsageError if nobody can be asked."""
        if not yes and sys.stdin is None:
            raise UsageError(f"{question} Nobody can answer, for standard input is closed: say --yes if you mean it")
        if not yes:
            typer.confirm(question, abort=True, err=True)


def of(context: typer.Context) -> Session:
    """The session that the root command has made."""
    session = context.find_object(Session)
    assert session is not None
    return session


def actor() -> str:
    """Who is at the keyboard, as records name it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry in the password file
        return "unknown"
