"""Views of compacted topics."""

import threading
from pathlib import Path
from typing import Any

import pytest

from streams.bus.embedded import FETCH, EmbeddedBroker
from streams.bus.partitions import watermarks
from streams.bus.producer import Producer
from streams.bus.view import Record, TableView
from streams.core.refusal import Refused
from streams.errors import ConfigurationError
from streams.settings import Settings
from streams.topology import BLOCKS, POLICIES, Topic
from tests.bus.certificates import make_certificates
from tests.eventually import eventually

NOT_LEADER = 6


def send(broker: EmbeddedBroker, topic: Topic, *pairs: tuple[str, bytes | None]) -> None:
    producer = Producer(broker.settings)
    for key, value in pairs:
        producer.send(topic.name, value, key=key)
    producer.close()


class Table:
    """What a view has applied: the latest value of each key, and every record."""

    def __init__(self) -> None:
        self.rows: dict[bytes | None, bytes | None] = {}
        self.records: list[Record] = []

    def apply(self, record: Record) -> None:
        self.records.append(record)
        if record.value is None:
            self.rows.pop(record.key, None)
        else:
            self.rows[record.key] = record.value


def test_a_view_of_empty_topics_is_caught_up(embedded: EmbeddedBroker) -> None:
    """Nothing to load is loaded."""
    view = TableView(embedded.settings, [BLOCKS, POLICIES], Table().apply)
    view.start()

    assert view.caught_up.wait(20)
    assert (view.problem(), view.lag(), view.applied) == (None, 0, 0)
    view.stop()


def test_a_view_says_caught_up_only_when_everything_is_applied(embedded: EmbeddedBroker) -> None:
    """Twenty thousand records over all partitions, tombstones among them, in order."""
    send(embedded, BLOCKS, *[(f"u{n % 5000}@e.org", None if n % 7 == 0 else b"%d" % n) for n in range(20_000)])
    table = Table()
    view = TableView(embedded.settings, [BLOCKS], table.apply)
    view.start()

    assert view.caught_up.wait(30)
    assert len(table.records) == view.applied == 20_000
    expected = {f"u{n % 5000}@e.org".encode(): b"%d" % n for n in range(15_000, 20_000) if n % 7}
    assert table.rows == expected
    assert not any(record.live for record in table.records)
    view.stop()


def test_records_that_come_later_are_applied_and_marked_live(embedded: EmbeddedBroker) -> None:
    """Loading and following are told apart, so that loading need not wake anybody."""
    send(embedded, POLICIES, ("everyone", b"old"))
    table = Table()
    view = TableView(embedded.settings, [POLICIES], table.apply)
    view.start()
    assert view.caught_up.wait(20)

    send(embedded, POLICIES, ("everyone", b"new"))

    eventually(lambda: table.rows == {b"everyone": b"new"})
    assert [record.live for record in table.records] == [False, True]
    view.stop()


def test_records_are_applied_while_the_ends_are_asked_for(
    embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block must not wait for a question of health; of many partitions that takes seconds."""
    asked, answer = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> tuple[int, int]:
        asked.set()
        answer.wait(30)
        return watermarks(*arguments)

    table = Table()
    view = TableView(embedded.settings, [POLICIES], table.apply)
    view.start()
    assert view.caught_up.wait(20)
    monkeypatch.setattr("streams.bus.ends.watermarks", slow)
    assert asked.wait(20)

    send(embedded, POLICIES, ("everyone", b"new"))
    eventually(lambda: table.rows == {b"everyone": b"new"})

    assert not answer.is_set()
    answer.set()
    view.stop()


def test_whole_batches_can_be_taken(embedded: EmbeddedBroker) -> None:
    """For loads where a call per record is too dear."""
    send(embedded, BLOCKS, *[(f"u{n}", b"x") for n in range(3_000)])
    batches: list[list[Record]] = []
    view = TableView(embedded.settings, [BLOCKS], apply_batch=batches.append)
    view.start()

    assert view.caught_up.wait(20)
    assert sum(map(len, batches)) == 3_000
    assert len(batches) < 300
    view.stop()


def test_a_refused_record_is_counted_and_the_rest_goes_on(embedded: EmbeddedBroker) -> None:
    """Bad input never stops a view."""
    send(embedded, POLICIES, ("a", b"bad"), ("b", b"good"))
    table = Table()

    def apply(record: Record) -> None:
        if record.value == b"bad":
            raise Refused("bad", "not a policy")
        table.apply(record)

    view = TableView(embedded.settings, [POLICIES], apply)
    view.start()

    assert view.caught_up.wait(20)
    assert (table.rows, view.refused, view.problem()) == ({b"b": b"good"}, 1, None)
    view.stop()


def test_a_defect_in_apply_ends_the_view_and_is_reported(embedded: EmbeddedBroker) -> None:
    """A view that would be wrong from here on says so instead of going on."""
    send(embedded, POLICIES, ("a", b"x"))
    heard: list[BaseException] = []

    def apply(record: Record) -> None:
        raise ZeroDivisionError("defect")

    view = TableView(embedded.settings, [POLICIES], apply, on_failure=heard.append)
    view.start()

    eventually(lambda: heard)
    assert isinstance(view.failure, ZeroDivisionError)
    assert view.problem() == "the view of policies ended: defect"
    assert not view.caught_up.is_set()
    view.stop()


def test_a_view_survives_a_broker_that_goes_and_comes(embedded: EmbeddedBroker) -> None:
    """It says that it may be old, keeps what it has, and reads on without reading twice."""
    send(embedded, POLICIES, ("a", b"1"))
    table = Table()
    view = TableView(embedded.settings, [POLICIES], table.apply)
    view.start()
    assert view.caught_up.wait(20)

    embedded.down()
    eventually(lambda: view.problem() is not None, 30)
    embedded.up()
    send(embedded, POLICIES, ("b", b"2"))

    eventually(lambda: table.rows == {b"a": b"1", b"b": b"2"}, 30)
    eventually(lambda: view.problem() is None, 30)
    assert [record.offset for record in table.records] == [0, 1]
    view.stop()


def test_a_view_started_before_the_broker_waits_for_it(embedded: EmbeddedBroker) -> None:
    """Processes may start in any order."""
    send(embedded, POLICIES, ("a", b"1"))
    embedded.down()
    view = TableView(embedded.settings, [POLICIES], Table().apply)
    view.start()
    eventually(lambda: "Kafka does not answer at" in (view.last_error or ""), 30)

    embedded.up()

    assert view.caught_up.wait(30)
    view.stop()


def test_a_view_of_a_missing_topic_says_what_to_do_and_begins_when_it_is_made(embedded: EmbeddedBroker) -> None:
    """The operator's next command is in the sentence."""
    missing = Topic("not-there", "Policy", "scope", "compact", by_account=False)
    view = TableView(embedded.settings, [missing], Table().apply)
    view.start()
    eventually(lambda: view.last_error)
    assert view.last_error == "there is no topic not-there on this Kafka: run `loginwatch topics create`"

    embedded.create_topic("not-there", 1)

    assert view.caught_up.wait(30)
    assert view.problem() is None
    view.stop()


def test_fetch_errors_of_the_broker_do_not_end_a_view(embedded: EmbeddedBroker) -> None:
    """Ten refused fetches, then the record."""
    embedded.fail(FETCH, [NOT_LEADER] * 10)
    table = Table()
    send(embedded, POLICIES, ("a", b"1"))
    view = TableView(embedded.settings, [POLICIES], table.apply)
    view.start()

    eventually(lambda: table.rows == {b"a": b"1"}, 30)
    view.stop()


def test_stopping_a_view_that_never_reached_a_broker_does_not_hang(embedded: EmbeddedBroker) -> None:
    """A process must be able to end while Kafka is away."""
    embedded.down()
    view = TableView(embedded.settings, [POLICIES], Table().apply)
    view.start()

    view.stop()

    assert not view.caught_up.is_set()


def test_a_certificate_that_is_away_for_a_moment_does_not_end_a_view(tmp_path: Path, unused_port: int) -> None:
    """It connects anew while Kafka is away, and the file is just being replaced: it says so until that is over."""
    file = make_certificates(tmp_path).ca
    settings = Settings(bootstrap_servers=f"127.0.0.1:{unused_port}", security_protocol="SSL", ssl_ca_file=str(file))
    view = TableView(settings, [POLICIES], Table().apply)
    view.start()
    eventually(lambda: view.last_error)

    file.rename(tmp_path / "away")
    eventually(lambda: f"cannot read {file}" in (view.problem() or ""), 30)
    assert view.failure is None

    (tmp_path / "away").rename(file)
    eventually(lambda: "Kafka does not answer" in (view.problem() or ""), 30)
    view.stop()


def test_settings_that_never_made_a_client_end_a_view(tmp_path: Path) -> None:
    """Whoever starts a process with them is told at once."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    view = TableView(Settings(security_protocol="SSL", ssl_ca_file=str(file)), [POLICIES], Table().apply)
    view.start()

    eventually(lambda: view.failure)
    assert isinstance(view.failure, ConfigurationError)
    view.stop()
