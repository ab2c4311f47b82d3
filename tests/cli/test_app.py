"""The root command: options anywhere, errors as sentences, exit codes, quick help."""

import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import files, settings
from streams.cli.app import shared_first
from tests.cli.conftest import Loginwatch

COMMAND = (sys.executable, "-m", "streams.cli")


def in_shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """`loginwatch` as a shell starts it, which can close its standard streams."""
    return subprocess.run(["sh", "-c", f'"$0" -m streams.cli {line}', COMMAND[0]], capture_output=True, check=False)


def test_shared_options_may_stand_at_the_end(loginwatch: Loginwatch) -> None:
    """People add --json and --set after the command they have typed."""
    answer = loginwatch("settings", "--json", "--set", "app=other")

    assert {"name": "app", "value": "other", "origin": "command line", "unit": ""} in answer.json


def test_nothing_after_a_double_dash_is_an_option() -> None:
    """A file may be called --json."""
    assert shared_first(["replay", "--", "--json"]) == ["replay", "--", "--json"]


@pytest.mark.parametrize("option", ["--config", "--set"])
@pytest.mark.parametrize("command", [[], ["settings"], ["policy", "list", "--json"]])
def test_a_shared_option_without_its_value_is_refused(loginwatch: Loginwatch, option: str, command: list[str]) -> None:
    """By its name: at the end of the line it does not swallow the command, and it is known to every one."""
    answer = loginwatch(*command, option)

    assert answer.code == 2
    assert f"Option '{option}' requires an argument" in answer.err


def test_help_does_not_import_what_is_slow() -> None:
    """`loginwatch --help` and the completion answer at once: no Kafka, no Faust, no pydantic."""
    code = "import sys, streams.cli.app; print(*sorted({'confluent_kafka', 'faust', 'pydantic', 'aiohttp'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_every_family_is_in_the_help(loginwatch: Loginwatch) -> None:
    """The tree holds what an operator was promised, and hides what only the build needs."""
    answer = loginwatch("--help")

    for name in ("topics", "policy", "safe", "domain", "account", "incidents", "replay", "export", "dead-letters"):
        assert name in answer.out
    for name in ("worker", "gateway", "mailer", "simulate", "demo", "check", "settings", "--install-completion"):
        assert name in answer.out
    assert "docs" not in answer.out


def test_version_is_shown(loginwatch: Loginwatch) -> None:
    """--version needs no settings."""
    answer = loginwatch("--version")

    assert answer.code == 0
    assert answer.out.startswith("loginwatch ")


def test_an_unknown_setting_is_one_sentence(loginwatch: Loginwatch) -> None:
    """A typing error in a setting names it, says where it was, and ends with code 2 without a traceback."""
    answer = loginwatch("settings", "--set", "lateness_minutes=3")

    assert answer.code == 2
    assert answer.err == (
        "loginwatch: there is no setting 'lateness_minutes' (from command line): see `loginwatch settings`\n"
    )


def test_a_flag_without_a_value_is_refused(loginwatch: Loginwatch) -> None:
    """--set needs name and value."""
    answer = loginwatch("--set", "lateness", "settings")

    assert answer.code == 2
    assert "write --set NAME=VALUE" in answer.err


def test_a_broken_settings_file_is_named(loginwatch: Loginwatch, tmp_path) -> None:
    """What cannot be read says which file and why."""
    file = tmp_path / "loginwatch.toml"
    file.write_text("app = ")

    answer = loginwatch("--config", str(file), "settings")

    assert answer.code == 2
    assert str(file) in answer.err


def test_kafka_that_is_away_is_a_sentence_with_an_exit_code_of_its_own(loginwatch: Loginwatch) -> None:
    """Nobody listens: code 69, the address, and what to check."""
    answer = loginwatch("policy", "list", env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 69
    assert "127.0.0.1:1" in answer.err
    assert "Check bootstrap_servers" in answer.err


def test_ctrl_c_ends_with_130(loginwatch: Loginwatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells expect of a program that was interrupted."""

    def interrupted(_context: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(settings.session, "of", interrupted)

    assert loginwatch("settings").code == 130


def test_ctrl_c_while_the_command_is_still_loading_ends_with_130() -> None:
    """That takes a good part of a second, and needs no traceback."""
    code = (
        "import sys, streams.cli; sys.meta_path.insert(0, type('', (), {'find_spec': interrupted})); streams.cli.main()"
    )
    define = "def interrupted(*_): raise KeyboardInterrupt\n"

    answer = subprocess.run([sys.executable, "-c", define + code], capture_output=True, check=False)

    assert answer.stderr == b""
    assert answer.returncode == 130


def test_a_closed_pipe_is_quiet(tmp_path) -> None:
    """`loginwatch replay FILE | head -1` leaves no traceback."""
    lines = tmp_path / "broken.jsonl"
    lines.write_text("no json\n" * 20_000)  # each is answered with a dead letter

    replay = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "replay", str(lines)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert replay.stdout is not None
    assert replay.stderr is not None
    with replay, replay.stderr as errors:
        replay.stdout.readline()
        replay.stdout.close()
        said = errors.read()

    assert said == b""
    assert replay.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_is_a_sentence(tmp_path) -> None:
    """`loginwatch replay FILE > result` where there is no room left, half-way or at the end."""
    for lines in (2, 5_000):
        file = tmp_path / "broken.jsonl"
        file.write_text("no json\n" * lines)

        with Path("/dev/full").open("wb") as full:
            replay = [sys.executable, "-m", "streams.cli", "replay", str(file)]
            answer = subprocess.run(replay, stdout=full, stderr=subprocess.PIPE, check=False)

        assert answer.stderr == b"loginwatch: cannot write: No space left on device. Make room, or write elsewhere\n"
        assert answer.returncode == 74


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["replay", "--help"]])
def test_a_full_disk_is_a_sentence_also_for_help(arguments: list[str]) -> None:
    """The root command answers --help and --version before it runs anything."""
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)

    assert answer.stderr == b"loginwatch: cannot write: No space left on device. Make room, or write elsewhere\n"
    assert answer.returncode == 74


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_where_no_sentence_can_be_written_the_exit_code_still_tells() -> None:
    """Standard error may lie on the full disk too."""
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run([*COMMAND, "settings", "--set", "app"], stderr=full, check=False)

    assert answer.returncode == 2


@pytest.mark.parametrize("command", ["replay -", "logs --backfill -", "logs --backfill --json-out -"])
def test_standard_input_that_is_closed_is_a_sentence(command: str) -> None:
    """As a service manager may leave it: that is no empty file."""
    answer = in_shell(f"{command} <&-")

    assert answer.stderr == (
        b"loginwatch: cannot read standard input: it is closed. Give it something to read, or name a file\n"
    )
    assert answer.returncode == 2


def test_a_question_that_nobody_can_answer_is_a_sentence() -> None:
    """It says how to do without."""
    answer = in_shell("panel rebuild <&-")

    assert answer.stderr.endswith(b"Nobody can answer, for standard input is closed: say --yes if you mean it\n")
    assert answer.returncode == 2


@pytest.mark.parametrize("command", ["settings", "settings --json", "replay NAME", "logs --backfill --json-out NAME"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_output_that_is_closed_goes_nowhere(tmp_path: Path, command: str, closed: str) -> None:
    """Whoever closes it wants none: that is no error, and no traceback."""
    file = tmp_path / "lines"
    file.write_text("no json\n")

    answer = in_shell(f"{command.replace('NAME', str(file))} {closed}")

    assert b"Traceback" not in answer.stderr
    assert answer.returncode == 0


def test_defects_are_not_hidden(loginwatch: Loginwatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only errors that loginwatch knows become sentences; anything else keeps its traceback."""
    monkeypatch.setattr(files.session, "of", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        loginwatch("replay", "-", stdin="")
