"""`loginwatch replay` and `loginwatch export`."""

import orjson
import pytest

from streams.cli.store import Store
from streams.core.state import AccountState, pack
from streams.topology import INCIDENTS, LOGINS, POLICIES, changelog
from tests.cli.conftest import Loginwatch

START = 1_700_000_000_000
POLICY = {"scope": "everyone", "time_window": 60, "allowed_ips": 2, "block_time": 30, "actor": "test", "time": 1}


def login(number: int, account: str = "user@example.org") -> dict[str, object]:
    """A login from a network of its own, a minute after the one before."""
    ip = f"192.0.2.{number}"
    return {"time": START + number * 60_000, "account": account, "ip": ip, "success": True, "service": "imap"}


def jsonl(*lines: object) -> bytes:
    """JSON lines."""
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def test_replay_reads_standard_input_and_needs_no_broker(loginwatch: Loginwatch) -> None:
    """The third network is one too many: incident and block, in the same form, with keys."""
    lines = jsonl({"topic": "policies", "value": POLICY}, *({"value": login(number)} for number in range(3)))

    answer = loginwatch("replay", "-", stdin=lines, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 0
    assert [(line["topic"], line["key"]) for line in answer.lines] == [
        ("incidents", "user@example.org"),
        ("blocks", "user@example.org"),
    ]
    assert answer.lines[0]["value"]["count"] == 3


def test_replay_reads_several_files_as_one_history(loginwatch: Loginwatch, tmp_path) -> None:
    """In the order in which they are named."""
    (tmp_path / "tables.jsonl").write_bytes(jsonl({"topic": "policies", "value": POLICY}))
    (tmp_path / "logins.jsonl").write_bytes(jsonl(*({"value": login(number)} for number in range(3))))

    answer = loginwatch("replay", str(tmp_path / "tables.jsonl"), str(tmp_path / "logins.jsonl"))

    assert [line["topic"] for line in answer.lines] == ["incidents", "blocks"]


@pytest.mark.parametrize("name", ["nowhere.jsonl", ".", "n" * 300])
def test_a_file_that_cannot_be_read_is_named(loginwatch: Loginwatch, tmp_path, name: str) -> None:
    """With the reason, and code 2."""
    answer = loginwatch("replay", str(tmp_path / name))

    assert answer.code == 2
    assert f"cannot read {tmp_path / name}" in answer.err


def test_a_geo_database_that_is_none_is_named(loginwatch: Loginwatch, tmp_path) -> None:
    """--geo must be an MMDB file."""
    file = tmp_path / "geo.mmdb"
    file.write_text("nothing")

    answer = loginwatch("replay", "-", "--geo", str(file), stdin=b"")

    assert answer.code == 2
    assert str(file) in answer.err


def test_what_is_exported_can_be_replayed(on_kafka: Loginwatch, store: Store, tmp_path) -> None:
    """Topics to file to decisions, with topic, partition, offset, timestamp and key beside each value."""
    on_kafka("policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "2", "--block-time", "30")
    for number in range(3):
        value = {**login(number), **dict.fromkeys(("id", "session", "server", "client", "failure"))}
        store.write(LOGINS.name, "user@example.org", value)

    exported = on_kafka("export", "logins", "policies")
    file = tmp_path / "export.jsonl"
    file.write_text(exported.out)
    replayed = on_kafka("replay", str(file))

    assert [list(line) for line in exported.lines] == [
        ["topic", "partition", "offset", "timestamp", "key", "value"]
    ] * 4
    assert [line["topic"] for line in exported.lines] == ["policies", "logins", "logins", "logins"]
    assert [line["offset"] for line in exported.lines] == [0, 0, 1, 2]
    assert [line["topic"] for line in replayed.lines] == ["incidents", "blocks"]


def test_export_takes_a_span_of_time_and_whole_tables(on_kafka: Loginwatch, store: Store) -> None:
    """From inclusive, until exclusive, by Kafka's timestamps; a table is in force whatever its age."""
    producer = store._producer
    store.write(POLICIES.name, "everyone", None)
    for number in range(5):
        producer.send(LOGINS.name, orjson.dumps(login(number)), key="user@example.org", timestamp_ms=START + number)
    producer.flush(10)

    span = ("--from", str(START + 1), "--until", "2999-01-01")
    some = on_kafka("export", "logins", "--from", str(START + 1), "--until", str(START + 3)).lines
    later = on_kafka("export", "policies", "logins", "--from", "2998-01-01", "--until", "2999-01-01").lines
    few = on_kafka("export", "logins", *span, "--limit", "2").lines

    assert [line["timestamp"] for line in some] == [START + 1, START + 2]
    assert [(line["topic"], line["value"]) for line in later] == [("policies", None)]
    assert [line["timestamp"] for line in few] == [START + 1, START + 2]


def test_what_workers_write_is_exported_after_the_states_of_accounts(on_kafka: Loginwatch, store: Store) -> None:
    """Workers run meanwhile: a block that a state knows is in the file. A limit counts all records and no states."""
    store.write_raw(changelog(store.settings).name, "user@example.org", pack(AccountState()))
    store.write("blocks", "user@example.org", None)
    for _ in range(2):
        store.write_raw(INCIDENTS.name, "user@example.org", None)
        store.write_raw(LOGINS.name, "user@example.org", None)

    def exported(*arguments: str) -> list[str]:
        return [line["topic"] for line in on_kafka("export", *arguments).lines]

    everything = ("accounts", "blocks", "logins", "incidents")
    assert exported(*everything) == ["logins", "logins", "accounts", "blocks", "incidents", "incidents"]
    assert exported(*everything, "--limit", "3") == ["logins", "logins", "accounts", "blocks"]
    assert exported(*everything, "--limit", "2") == ["logins", "logins", "accounts"]
    assert exported("blocks", "accounts") == ["accounts", "blocks"]
    assert exported(*everything[1:])[0] == "blocks"


def test_a_replay_passes_over_what_workers_wrote(on_kafka: Loginwatch, store: Store) -> None:
    """States and blocks of an export change nothing: it decides from the logins alone."""
    store.write_raw(changelog(store.settings).name, "user@example.org", pack(AccountState()))
    store.write("blocks", "user@example.org", None)

    exported = on_kafka("export", "accounts", "blocks").out
    inputs = jsonl({"topic": "policies", "value": POLICY}, *({"value": login(number)} for number in range(3)))
    replayed = on_kafka("replay", "-", stdin=exported + inputs.decode())

    assert [line["topic"] for line in replayed.lines] == ["incidents", "blocks"]


def test_what_cannot_be_read_is_exported_as_it_is(on_kafka: Loginwatch, store: Store) -> None:
    """Its bytes as base64 text, which a replay refuses as the worker did, and a remark."""
    store.write_raw(LOGINS.name, b"\xff", b"\x01\x02\x03")

    answer = on_kafka("export", "logins")
    replayed = on_kafka("replay", "-", stdin=answer.out)

    assert [(line["key"], line["value"]) for line in answer.lines] == [("\ufffd", "AQID")]
    assert "1 record(s) cannot be read" in answer.err
    assert [line["topic"] for line in replayed.lines] == ["dead-letters"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["logs"], "there is no topic 'logs' to export; the topics are logins, "),
        (["logins", "--from", "yesterday"], "--from 'yesterday' is no time"),
        (["logins", "--until", "x"], "--until 'x' is no time"),
        (["logins", "--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_exported_is_refused(loginwatch: Loginwatch, arguments: list[str], sentence: str) -> None:
    """Each refusal says what and why, with code 2, before Kafka is asked."""
    answer = loginwatch("export", *arguments, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 2
    assert sentence in answer.err
