"""The demo's child processes: their settings, and that none of them survives."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.demo.processes import ChildError, Children, environment, free_listen, last_words
from streams.settings import Settings, load_settings
from tests.eventually import eventually


def test_a_child_gets_exactly_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the surrounding environment sets, the child loads the settings that it was given."""
    monkeypatch.setenv("LOGINWATCH_APP", "another")
    monkeypatch.setenv("LOGINWATCH_CONFIG", "/nowhere.toml")
    settings = Settings(
        partitions=3,
        gateway_api_key=SecretStr("geheim"),
        geo_databases=("a.mmdb", "b.mmdb"),
        gateway_allow_anonymous=True,
        mail_from="loginwatch@example.org",
    )

    assert load_settings(environment=environment(settings)) == settings


def test_a_child_that_ends_is_noticed_and_its_log_kept(tmp_path: Path) -> None:
    """A command that fails at once is an error that names the process; its last words are shown."""
    with Children(tmp_path) as children:
        child = children.start("no-such-command", Settings())
        eventually(lambda: child.process.poll() is not None, 60)
        with pytest.raises(ChildError, match=r"the no-such-command ended with exit code 2"):
            children.check()

    assert any("no-such-command" in line for line in last_words(tmp_path))


def test_children_end_even_after_an_exception(tmp_path: Path) -> None:
    """Leaving the block ends them, whatever the reason."""
    settings = Settings(bootstrap_servers="127.0.0.1:1", gateway_listen="127.0.0.1:0", gateway_allow_anonymous=True)

    def fail() -> None:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError), Children(tmp_path) as children:
        child = children.start("gateway", settings)
        fail()

    assert child.process.returncode is not None


def test_a_free_port_is_found_when_the_preferred_one_is_taken() -> None:
    """The usual address if nobody has it, else any other on the loopback interface."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        preferred = f"127.0.0.1:{taken.getsockname()[1]}"
        other = free_listen(preferred)

    assert other != preferred
    assert other.startswith("127.0.0.1:")
    assert free_listen(preferred) == preferred
