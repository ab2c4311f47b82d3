"""The command line as the tests call it: in this process, with settings from an environment of its own."""

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import structlog
from typer.testing import CliRunner

from streams.bus.embedded import EmbeddedBroker
from streams.cli.app import app
from streams.cli.store import Store


class Answer:
    """What one command said and how it ended."""

    def __init__(self, result: Any) -> None:
        self.code: int = result.exit_code
        self.out: str = result.stdout
        self.err: str = result.stderr
        self.exception: BaseException | None = result.exception

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return orjson.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [orjson.loads(line) for line in self.out.splitlines()]


Loginwatch = Callable[..., Answer]


@pytest.fixture
def loginwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loginwatch]:
    """Run `loginwatch` with these arguments; `env` are settings, `stdin` what it reads. No setting comes from outside."""
    for name in [name for name in os.environ if name.startswith("LOGINWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str, env: dict[str, str] | None = None, stdin: bytes | str | None = None) -> Answer:
        given = {f"LOGINWATCH_{name.upper()}": value for name, value in (env or {}).items()}
        result = CliRunner().invoke(app, list(arguments), env=given, input=stdin, prog_name="loginwatch")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result)

    yield run
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def on_kafka(loginwatch: Loginwatch, embedded: EmbeddedBroker) -> Loginwatch:
    """As `loginwatch`, with the embedded broker as its Kafka."""
    settings = {
        "bootstrap_servers": embedded.bootstrap_servers,
        "partitions": str(embedded.settings.partitions),
    }

    def run(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Answer:
        return loginwatch(*arguments, env=settings | (env or {}), stdin=stdin)

    return run


@pytest.fixture
def store(embedded: EmbeddedBroker) -> Store:
    """The embedded broker's topics, to look behind the commands."""
    return Store(embedded.settings)
