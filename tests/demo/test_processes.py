"""The demo's child processes: their settings, and that none of them survives."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.demo.processes import ChildError, Children, environment, last_words
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

    started = []

    def fail() -> None:
        with Children(tmp_path) as children:
            started.append(children.start("gateway", settings))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()

    assert started[0].process.returncode is not None


def test_a_free_port_is_found_when_the_preferred_one_is_taken(tmp_path: Path) -> None:
    """The usual address if nobody has it, else any other on the loopback interface."""
    with socket.socket() as taken, Children(tmp_path) as children:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        preferred = f"127.0.0.1:{taken.getsockname()[1]}"
        other = children.listen(preferred)
        taken.close()

        assert other != preferred
        assert other.startswith("127.0.0.1:")
        assert children.listen(preferred) == preferred


def test_two_demos_that_start_together_share_no_port(tmp_path: Path) -> None:
    """The second one must not take a port that the first one's process has yet to take; afterwards it is free again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        preferred = f"127.0.0.1:{probe.getsockname()[1]}"

    with Children(tmp_path) as first, Children(tmp_path) as second:
        assert first.listen(preferred) == preferred
        assert second.listen(preferred) != preferred
        first.stop()
        assert second.listen(preferred) == preferred
