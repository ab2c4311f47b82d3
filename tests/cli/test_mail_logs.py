"""`loginwatch logs` as it is typed: old logs to JSON and to the topics, and what it refuses."""

from pathlib import Path

import pytest

from tests.cli.conftest import Loginwatch
from tests.connectors.mail_log_kit import login_line


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_bytes(b"".join(login_line(number) for number in range(3)) + login_line(user="nobody"))
    return path


def test_old_logs_become_lines_for_a_replay(loginwatch: Loginwatch, log: Path) -> None:
    """On standard output; what was found is said beside it."""
    answer = loginwatch("logs", "--backfill", "--json-out", str(log))

    assert answer.code == 0
    assert [(line["topic"], line["value"]["session"]) for line in answer.lines] == [
        ("logins", "S0"), ("logins", "S1"), ("logins", "S2"),
    ]  # fmt: skip
    assert "3 records from 4 lines; not usable: 1 bad-account." in answer.err


def test_old_logs_go_to_the_topics(on_kafka: Loginwatch, log: Path) -> None:
    """And the command says how many; also from standard input."""
    from_file = on_kafka("logs", "--backfill", str(log), "--json")
    from_stdin = on_kafka("logs", "--backfill", "-", "--json", stdin=log.read_text())

    expected = {"records": 3, "lines": 4, "unreadable": {"bad-account": 1}}
    assert (from_file.code, from_file.json, from_stdin.json) == (0, expected, expected)


def test_what_contradicts_itself_is_refused(loginwatch: Loginwatch, log: Path) -> None:
    """One sentence, and code 2."""
    for arguments, word in (
        (("--backfill",), "files"),
        (("--json-out", str(log)), "--backfill"),
        (("--backfill", str(log) + ".none"), "none"),
        ((), "log_files"),
    ):
        answer = loginwatch("logs", *arguments)
        assert (answer.code, word in answer.err) == (2, True), answer.err
