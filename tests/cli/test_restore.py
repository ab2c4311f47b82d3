"""`loginwatch import`: what `export` wrote comes back, and a fresh worker decides as the first one did."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.bus.murmur2 import partition_for
from streams.bus.record import Record
from streams.cli import states
from streams.cli import store as store_module
from streams.cli.reading import History, Span
from streams.cli.store import Store
from streams.connectors.blocks_view import Answer as DoorAnswer
from streams.connectors.blocks_view import BlocksView
from streams.core.state import AccountState, pack, unpack
from streams.engine.engine import Engine
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import WORKER_INPUTS, changelog
from tests.cli.conftest import Loginwatch
from tests.cli.small_worker import SmallWorker
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.worker.harness import DEPLOYED, WorkerProcess, send, until_done
from tests.worker.records import login, now_ms

USER = "user@example.org"
AS_TYPED = "User@Example.ORG"
"""The key that a producer gives which does not know how names are written."""
NOT_ENOUGH_REPLICAS = 19
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


class KeyedWorker:
    """A worker of all partitions which, as a deployed one, passes on what lies under a wrong key, and keeps states."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings)
        self._settings = settings
        self._done: set[tuple[str, int, int]] = set()
        self._engine = Engine(
            codec=Codec(),
            places=NoPlaces(),
            lateness_ms=600_000,
            route=lambda key: partition_for(key, settings.partitions),
        )
        for record in kept(settings):
            self._engine.held(record.partition).put((record.key or b"").decode(), record.value or b"")

    def work(self) -> list[tuple[str, str]]:
        """Topic and key of all that it writes until there is nothing to do: outputs before states, as the deployed one."""
        written: list[tuple[str, str]] = []
        while new := [record for record in self.store.history(*NAMES) if record[:3] not in self._done]:
            for record in new:
                self._engine.process(*record[:6])
            self._done.update(record[:3] for record in new)
            batch = self._engine.take()
            for each in (*batch.forwards, *batch.outputs):
                self.store.write_raw(each.topic, each.key, each.value)
                written.append((each.topic, str(each.key)))
            for account, state in batch.states().items():
                self.store.write_raw(changelog(self._settings).name, account, state)
        return written

    def order(self, action: str, key: str = USER) -> None:
        """An order for the user's account, which a worker carries out at once."""
        order = dict.fromkeys(("reason", "minutes")) | {"account": USER, "actor": "test", "forget": False}
        identity = {"time": now_ms(), "id": str(uuid4()), "action": action}
        self.store.write("account-commands", key, order | identity)
        self.work()


NAMES = tuple(topic.name for topic in WORKER_INPUTS)


def kept(settings: Settings) -> Iterator[Record]:
    """The records of the changelog."""
    return iter(History(settings, {changelog(settings).name: Span()}))


def door_says(settings: Settings) -> DoorAnswer:
    """What a door that is started now answers when the user logs in."""
    view = BlocksView(Codec(), now_ms, print)
    view.apply((record.key, record.value) for record in Store(settings).history("blocks"))
    return view.ask(USER, "198.51.100.1", now_ms())


@pytest.mark.kafka
def test_the_states_of_accounts_can_be_imported_alone(
    loginwatch: Loginwatch, kafka_settings: Settings, tmp_path
) -> None:
    """Then there is no topic whose timestamps are to be kept."""
    Store(kafka_settings).write_raw(changelog(kafka_settings).name, USER, pack(AccountState()))
    file = tmp_path / "states.jsonl"
    file.write_text(loginwatch("export", "accounts", env=environment(kafka_settings)).out)

    imported = loginwatch("import", str(file), "--force", env=environment(kafka_settings))

    assert imported.out == "1 record(s) written to accounts.\n"
    assert [record.key for record in kept(kafka_settings)] == [USER.encode()] * 2


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


def test_a_block_made_while_the_states_are_exported_is_at_the_doors_after_an_import(
    on_kafka: Loginwatch, loginwatch: Loginwatch, embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """A backup is made while workers run: an account that its state calls blocked is refused by every door."""
    worker, exported = KeyedWorker(embedded.settings), states.exported

    def blocked_meanwhile(settings: Settings) -> Iterator[bytes]:
        worker.order("block")
        return exported(settings)

    monkeypatch.setattr(states, "exported", blocked_meanwhile)
    file = tmp_path / "backup.jsonl"
    file.write_text(on_kafka("export", "logins", "account-commands", "blocks", "incidents", "accounts").out)

    with EmbeddedBroker(embedded.settings) as new:
        imported = loginwatch("import", str(file), env=environment(new.settings))
        [state] = [unpack(record.value or b"") for record in kept(new.settings)]

        assert imported.code == 0
        assert state.block is not None
        assert door_says(new.settings) is DoorAnswer.DENIED


def test_states_come_last_whatever_their_place_in_the_file(
    on_kafka: Loginwatch, loginwatch: Loginwatch, embedded: EmbeddedBroker, tmp_path
) -> None:
    """They have applied every order that was imported: a worker that reads the topics has nothing to do."""
    KeyedWorker(embedded.settings).order("block")
    file = tmp_path / "backup.jsonl"
    file.write_text("".join(on_kafka("export", name).out for name in ("accounts", "blocks", "account-commands")))

    with EmbeddedBroker(embedded.settings) as new:
        loginwatch("import", str(file), env=environment(new.settings))

        assert KeyedWorker(new.settings).work() == []
        assert door_says(new.settings) is DoorAnswer.DENIED


def test_an_order_that_was_passed_on_is_not_carried_out_again(
    on_kafka: Loginwatch, loginwatch: Loginwatch, embedded: EmbeddedBroker, tmp_path
) -> None:
    """A block that came under the name as typed, and was lifted since, stays lifted; what was left out is counted."""
    worker = KeyedWorker(embedded.settings)
    worker.order("block", key=AS_TYPED)
    before = door_says(embedded.settings)
    worker.order("unblock")
    file = tmp_path / "backup.jsonl"
    file.write_text(on_kafka("export", "account-commands", "blocks", "accounts").out)

    with EmbeddedBroker(embedded.settings) as new:
        imported = loginwatch("import", str(file), "--json", env=environment(new.settings))
        worked = KeyedWorker(new.settings).work()

        assert before is DoorAnswer.DENIED
        assert imported.json == {"written": {"account-commands": 2, "blocks": 2, "accounts": 1}, "left_out": 1}
        assert worked == []
        assert door_says(new.settings) is DoorAnswer.OPEN


def test_only_what_a_worker_passes_on_is_left_out_and_only_beside_states(
    on_kafka: Loginwatch, loginwatch: Loginwatch, embedded: EmbeddedBroker, tmp_path
) -> None:
    """A login that failed and one that is refused have no copy; without states a worker judges all logins anew."""
    worker = KeyedWorker(embedded.settings)
    told = (login(AS_TYPED, "192.0.2.1"), login(USER, "192.0.2.1"), login(USER, "192.0.2.1", success=False))
    for value in (*(value for _, _, value in told), login("@", "192.0.2.1")[2], b"\x01"):
        worker.store.write_raw("logins", AS_TYPED, value)
    worker.work()
    with_states, without = tmp_path / "with.jsonl", tmp_path / "without.jsonl"
    with_states.write_text(on_kafka("export", "logins", "accounts").out)
    without.write_text(on_kafka("export", "logins").out)

    said, keys = [], []
    for file in (with_states, without):
        with EmbeddedBroker(embedded.settings) as new:
            said.append(loginwatch("import", str(file), env=environment(new.settings)).out)
            keys.append(sorted(record.key or b"" for record in Store(new.settings).history("logins")))

    assert said[0].startswith("6 record(s) written to accounts, logins. 2 left out: workers have passed them on")
    assert said[1] == "7 record(s) written to logins.\n"
    assert keys[0] == [AS_TYPED.encode()] * 3 + [USER.encode()] * 2
    assert keys[1] == [AS_TYPED.encode()] * 5 + [USER.encode()] * 2


def test_an_import_waits_longer_for_a_slow_kafka_than_a_single_record_does(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """Its records wait for each other: one that is not acknowledged at once is not lost."""
    monkeypatch.setattr(store_module, "ACKNOWLEDGED_WITHIN_S", 1)
    file = tmp_path / "file.jsonl"
    file.write_bytes(orjson.dumps({**LINE, "value": VALUE}))
    embedded.slow(600)

    imported = on_kafka("import", str(file), "--force")

    embedded.slow(0)
    assert imported.err == ""
    assert imported.out == "1 record(s) written to logins.\n"
    assert [record.key for record in store.history("logins")] == [USER.encode()]


def test_an_import_that_kafka_does_not_take_ends_with_how_long_it_waited_and_what_to_do(
    on_kafka: Loginwatch, embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """A second try is refused where the first left records, so the sentence says how to begin again."""
    monkeypatch.setattr(store_module, "BULK_ACKNOWLEDGED_WITHIN_S", 1)
    file = tmp_path / "file.jsonl"
    file.write_bytes(orjson.dumps({**LINE, "value": VALUE}))
    embedded.fail(PRODUCE, [NOT_ENOUGH_REPLICAS] * 1000)

    answer = on_kafka("import", str(file))

    assert answer.code == 70
    assert (
        "the import is not complete; Kafka has 1 s to take a record: a record for logins was not delivered"
        in answer.err
    )
    assert "delete all topics of loginwatch, run `loginwatch topics create`, and import again" in answer.err


def test_bytes_that_could_not_be_read_come_back_as_they_were(on_kafka: Loginwatch, store: Store, tmp_path) -> None:
    """They are base64 text in an export."""
    store.write_raw("logins", USER, b"\x01\x02\x03")
    file = tmp_path / "file.jsonl"
    file.write_text(on_kafka("export", "logins").out)

    on_kafka("import", str(file), "--force")

    assert [record.value for record in store.history("logins")] == [b"\x01\x02\x03"] * 2
