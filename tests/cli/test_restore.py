"""`loginwatch import`: what `export` wrote comes back, and a fresh worker decides as the first one did."""

from typing import Any

import orjson
import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.cli.store import Store
from streams.settings import Settings
from tests.cli.conftest import Loginwatch
from tests.cli.small_worker import SmallWorker
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import DEPLOYED, WorkerProcess, send, until_done
from tests.worker.records import login

USER = "user@example.org"
INPUTS = (
    "policies",
    "safe-networks",
    "domains",
    "access-lists",
    "logins",
    "submissions",
    "account-commands",
    "reviews",
)
LINE = {"topic": "logins", "key": USER, "timestamp": 1_700_000_000_000, "value": None}
VALUE = {"time": 1_700_000_000_000, "account": USER, "ip": "192.0.2.1", "success": True, "service": "imap"}


def environment(settings: Settings) -> dict[str, str]:
    """What the commands need to reach this Kafka."""
    names = ("bootstrap_servers", "partitions", "app")
    return {name: str(getattr(settings, name)) for name in names}


def answers(loginwatch: Loginwatch, settings: Settings) -> dict[str, Any]:
    """What a worker says and has written: all but the moment and the number of the question."""
    with WorkerProcess(settings, "w1", command=DEPLOYED) as worker:
        until_done(settings, worker)
        view = loginwatch("account", "show", USER, "--wait", "30", "--json", env=environment(settings)).json
    incidents = sorted(orjson.dumps(row) for row in Store(settings).rows("incidents"))
    kept = {name: value for name, value in view.items() if name not in ("request", "time")}
    return {"view": kept, "incidents": incidents, "blocks": list(Store(settings).rows("blocks"))}


def told(store: Store) -> list[tuple[Any, ...]]:
    """Everything on the input topics, but for where it lies."""
    records = store.history("logins", "policies", "safe-networks")
    return sorted((r.topic, r.timestamp_ms, r.key, r.value or b"") for r in records)


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_an_export_imported_into_a_new_cluster_gives_the_same_answers(
    loginwatch: Loginwatch, kafka_settings: Settings, kafka: KafkaBroker, tmp_path
) -> None:
    """With more partitions than before: keys, values and Kafka's own times are the same, and so is what is decided."""
    old = environment(kafka_settings)
    limits = ("--time-window", "60", "--allowed-ips", "2", "--block-time", "30")
    loginwatch("policy", "set", "everyone", *limits, env=old)
    loginwatch("safe", "add", f"account:{USER}", "203.0.113.0/24", "--description", "home", env=old)
    addresses = [f"192.0.2.{number}" for number in range(4)]
    accounts = (USER, *(f"user{number}@example.org" for number in range(8)))
    send(kafka_settings, [login(account, ip) for account in accounts for ip in addresses])
    before = answers(loginwatch, kafka_settings)
    was_told = told(Store(kafka_settings))
    file = tmp_path / "backup.jsonl"
    file.write_text(loginwatch("export", *INPUTS, env=old).out)

    kafka.wipe()
    # on a new cluster the consumer group is new as well; here the old one still knows its member of four partitions
    new_settings = kafka_settings.model_copy(update={"partitions": 6, "app": f"{kafka_settings.app}-new"})
    new = environment(new_settings)
    loginwatch("topics", "create", env=new)
    imported = loginwatch("import", str(file), env=new)
    again = loginwatch("import", str(file), env=new)

    assert imported.out.startswith(f"{len(file.read_text().splitlines())} record(s) written to ")
    assert again.code == 2
    assert "holds" in again.err
    assert told(Store(new_settings)) == was_told
    assert loginwatch("topics", "check", env=new).code == 0
    after = answers(loginwatch, new_settings)
    assert len(before["incidents"]) >= len(accounts)
    assert after["view"] == before["view"]
    assert after["incidents"] == before["incidents"]
    assert sorted(map(str, after["blocks"])) == sorted(map(str, before["blocks"]))


def test_onto_topics_that_hold_records_only_with_force(on_kafka: Loginwatch, store: Store, tmp_path) -> None:
    """Nothing is written before that; with --force the records come after those."""
    store.write("policies", "everyone", None)
    file = tmp_path / "file.jsonl"
    file.write_bytes(
        b"".join(
            orjson.dumps(line) + b"\n"
            for line in ({**LINE, "value": VALUE}, {**LINE, "topic": "policies", "key": "everyone"})
        )
    )

    refused = on_kafka("import", str(file))
    logins = list(store.history("logins"))
    forced = on_kafka("import", str(file), "--force")

    assert refused.code == 2
    assert "topic policies holds 1 record(s) already, and nothing was written" in refused.err
    assert logins == []
    assert forced.code == 0
    assert [(r.timestamp_ms, r.key) for r in store.history("logins")] == [(LINE["timestamp"], USER.encode())]


def test_an_export_of_states_says_that_orders_wait_for_a_worker(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker
) -> None:
    """They are in the file and not in the states, so an import has them skipped; nothing is said once a worker is through."""
    on_kafka("account", "block", USER, "--wait", "0")
    waiting = on_kafka("export", "account-commands", "accounts")
    with SmallWorker(embedded.settings):
        eventually(lambda: list(store.rows("blocks")))
        applied = on_kafka("export", "account-commands", "accounts")

    assert "1 record(s) of account-commands wait for a worker" in waiting.err
    assert "wait for a worker" not in applied.err
    assert [len(answer.lines) for answer in (waiting, applied)] == [1, 1]


def test_bytes_that_could_not_be_read_come_back_as_they_were(on_kafka: Loginwatch, store: Store, tmp_path) -> None:
    """They are base64 text in an export."""
    store.write_raw("logins", USER, b"\x01\x02\x03")
    file = tmp_path / "file.jsonl"
    file.write_text(on_kafka("export", "logins").out)

    on_kafka("import", str(file), "--force")

    assert [record.value for record in store.history("logins")] == [b"\x01\x02\x03"] * 2


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "line 2: not a line of `loginwatch export`"),
        (b'{"topic": "logins"}', "line 2: not a line of `loginwatch export`"),
        (orjson.dumps({**LINE, "topic": "nowhere"}), "line 2: there is no topic 'nowhere'"),
        (orjson.dumps({**LINE, "timestamp": "now"}), "line 2: timestamp must be milliseconds"),
        (orjson.dumps({**LINE, "value": {"time": 1}}), "line 2: the value is no record of logins"),
        (orjson.dumps({**LINE, "value": "%"}), "line 2: the value is no record of logins"),
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
