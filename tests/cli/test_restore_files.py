"""`loginwatch import`: files that are none, files that change, and an import that is broken off."""

import os

import orjson
import pytest

from streams.cli.store import Store
from tests.cli.conftest import Loginwatch

USER = "user@example.org"
LINE = {"topic": "logins", "key": USER, "timestamp": 1_700_000_000_000, "value": None}
NESTED = b'{"topic": "alerts", "key": null, "timestamp": 1700000000000, "value": %s1%s}' % (b"[" * 300, b"]" * 300)
"""More deeply than orjson writes."""
VALUE = {"time": 1_700_000_000_000, "account": USER, "ip": "192.0.2.1", "success": True, "service": "imap"}


def test_an_import_that_is_interrupted_says_what_it_leaves(
    on_kafka: Loginwatch, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """As one that Kafka did not take: what is written is in the way of the next one."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "send_raw", interrupted)
    file = tmp_path / "file.jsonl"
    file.write_bytes(orjson.dumps({**LINE, "value": VALUE}))

    answer = on_kafka("import", str(file))

    assert answer.code == 130
    assert answer.err.startswith("The import is not complete. What Kafka has taken stays there: delete all topics")


def test_a_pipe_is_refused_as_standard_input_is(on_kafka: Loginwatch, store: Store, tmp_path) -> None:
    """What can be read once only was read empty the second time, and nothing was written."""
    pipe, backup = tmp_path / "pipe", tmp_path / "backup.jsonl"
    os.mkfifo(pipe)
    backup.write_bytes(orjson.dumps({**LINE, "value": VALUE}))

    refused = [on_kafka("import", str(backup), name) for name in (str(pipe), "-", "/dev/null")]

    assert [answer.code for answer in refused] == [2, 2, 2]
    for answer, called in zip(refused, (str(pipe), "standard input", "/dev/null"), strict=True):
        assert f"import reads its files twice, which {called} does not allow: write the lines into a file" in answer.err
    assert list(store.history("logins")) == []


@pytest.mark.parametrize("lines_then", [0, 1, 3])
def test_a_file_that_changes_while_it_is_imported_is_no_success(
    on_kafka: Loginwatch, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path, lines_then: int
) -> None:
    """It is read twice: what was checked and what was written are compared."""
    file, line = tmp_path / "backup.jsonl", orjson.dumps({**LINE, "value": VALUE}) + b"\n"
    file.write_bytes(2 * line)
    numbered = Store.number_of_records

    def changed_meanwhile(self: Store, topic: str) -> int:
        file.write_bytes(lines_then * line)
        return numbered(self, topic)

    monkeypatch.setattr(Store, "number_of_records", changed_meanwhile)
    answer = on_kafka("import", str(file))

    assert answer.code == 2
    assert answer.out == ""
    assert f"the files changed while they were read: they held 2 record(s), and {lines_then} were written" in answer.err
    assert "delete all topics of loginwatch, run `loginwatch topics create`, and import again" in answer.err
    assert len(list(store.history("logins"))) == lines_then


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "line 2: not a line of `loginwatch export`"),
        (b'{"topic": "logins"}', "line 2: not a line of `loginwatch export`"),
        (orjson.dumps({**LINE, "topic": "nowhere"}), "line 2: there is no topic 'nowhere'"),
        (orjson.dumps({**LINE, "topic": ["logins"]}), "line 2: there is no topic ['logins']"),
        (orjson.dumps({**LINE, "timestamp": "now"}), "line 2: timestamp must be milliseconds"),
        (orjson.dumps({**LINE, "value": {"time": 1}}), "line 2: the value is no record of logins"),
        (orjson.dumps({**LINE, "value": "%"}), "line 2: the value is no record of logins"),
        (orjson.dumps({**LINE, "value": "ü"}), "line 2: the value is no record of logins"),
        (NESTED, "line 2: the value is no record of alerts"),
        (orjson.dumps({**LINE, "topic": "accounts", "key": None}), "line 2: a state of an account lacks its key"),
        (orjson.dumps({**LINE, "topic": "accounts", "value": None}), "line 2: the value is no record of accounts"),
        (orjson.dumps({**LINE, "topic": "accounts", "value": "AAAA"}), "line 2: the value is no record of accounts"),
    ],
)
def test_a_line_that_is_none_is_named_before_anything_is_written(
    on_kafka: Loginwatch, store: Store, tmp_path, line: bytes, sentence: str
) -> None:
    """With file and line, and what is wrong with it."""
    file = tmp_path / "file.jsonl"
    file.write_bytes(orjson.dumps({**LINE, "value": VALUE}) + b"\n" + line + b"\n")

    answer = on_kafka("import", str(file))

    assert answer.code == 2
    assert sentence in answer.err
    assert list(store.history("logins")) == []
