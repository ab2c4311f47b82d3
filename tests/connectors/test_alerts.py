"""From incidents, reviews and blocks to what a SOC gets: topic, file, syslog over TLS, webhooks."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import orjson
import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import Tail
from streams.connectors.alert_outlets import AwayError, FileOutlet, Outlet, SyslogOutlet
from streams.connectors.alerts import GIVE_UP_S, Follower, outlets, run
from streams.errors import ConfigurationError
from streams.metrics import ALERTS_LAG, ALERTS_SENT, ALERTS_UP, REVIEWED, Metric, Metrics
from streams.settings import Settings
from streams.topology import ALERTS, BY_NAME
from tests.bus.certificates import Certificates, make_certificates
from tests.connectors.doors import CODEC, block
from tests.connectors.hooks import SECRET, Hook, serving
from tests.connectors.notifications import incident
from tests.connectors.test_ocsf import REVIEW
from tests.eventually import eventually, eventually_async

STORY = (
    ("incidents", incident()),
    ("blocks", block("user@example.org", actor="loginwatch")),
    ("incidents", incident(revision=2)),
    ("reviews", REVIEW),
)


def changed(settings: Settings, **values: Any) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "alerts_webhook_secret": SECRET, **values})


def write(settings: Settings, *records: tuple[str, dict[str, Any] | bytes]) -> None:
    """Put records on their topics, acknowledged, under one key."""
    producer = Producer(settings)
    for topic, value in records:
        raw = value if isinstance(value, bytes) else CODEC.encode(BY_NAME[topic].record, value)
        producer.send(topic, raw, key="user@example.org")
    producer.close(20)


@contextmanager
def following(followers: Sequence[Follower], stopping: threading.Event) -> Iterator[None]:
    """The followers at work; stopped in good order at the end."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run(followers, stopping)
        except BaseException as error:  # noqa: BLE001 - shown at the end of the test
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(60)
    assert failures == []
    assert not thread.is_alive()


def follower(
    outlet: Outlet,
    settings: Settings,
    metrics: Metrics,
    *,
    counts_reviews: bool = False,
    give_up_s: float = GIVE_UP_S,
) -> Follower:
    # the embedded broker waits a session timeout at every change of a group's members
    return Follower(
        outlet, settings, metrics, counts_reviews=counts_reviews, session_timeout_ms=1_500, give_up_s=give_up_s
    )


@contextmanager
def exporting(settings: Settings, *, give_up_s: float = GIVE_UP_S) -> Iterator[Metrics]:
    """The exporter at work; stopped in good order at the end."""
    metrics = Metrics("alerts")
    followers = [
        follower(outlet, settings, metrics, counts_reviews=number == 0, give_up_s=give_up_s)
        for number, outlet in enumerate(outlets(settings))
    ]
    with following(followers, threading.Event()):
        yield metrics


def gauge(metrics: Metrics, metric: Metric, outlet: str) -> float:
    return float(metrics.of(metric, outlet=outlet)._value.get())


def count(metrics: Metrics, outlet: str, outcome: str) -> float:
    return float(metrics.of(ALERTS_SENT, outlet=outlet, outcome=outcome)._value.get())


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_the_story_of_an_account_is_on_the_topic_under_its_key(embedded: EmbeddedBroker) -> None:
    """Four records, four events; all of the incident's have its finding id."""
    settings = changed(embedded.settings)
    with Tail(settings, [ALERTS], start="start") as tail, exporting(settings) as metrics:
        write(settings, *STORY)
        found: list[Any] = []
        eventually(lambda: found.extend(tail.read(0.2)) or len(found) >= 4, 30, what="four events are on the topic")

        assert {record.key for record in found} == {b"user@example.org"}
        events = [orjson.loads(record.value) for record in found]
        assert sorted(event["type_uid"] for event in events) == [200401, 200402, 200403, 300109]
        assert len({event["metadata"]["uid"] for event in events}) == 4
        reviewed = metrics.of(REVIEWED, verdict="compromised")._value
        eventually(lambda: float(reviewed.get()) == 1, what="the review is counted")


def test_a_restart_goes_on_where_it_was(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """Nothing is missing in the file, and nothing is there twice after a stop in good order."""
    path = tmp_path / "alerts.jsonl"
    settings = changed(embedded.settings, alerts_topic=False, alerts_file=str(path))
    with exporting(settings):
        write(settings, *STORY)
        eventually(lambda: len(lines_of(path)) == 4, 30, what="the story is in the file")
    write(settings, ("incidents", incident(revision=3)))
    with exporting(settings):
        eventually(lambda: len(lines_of(path)) > 4, 30, what="what came meanwhile is in the file")

    assert [event["type_uid"] for event in lines_of(path)[4:]] == [200402]
    assert len({event["metadata"]["uid"] for event in lines_of(path)}) == 5


def test_what_is_no_record_goes_to_dead_letters_and_the_rest_goes_on(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """With the reason of the reader."""
    path = tmp_path / "alerts.jsonl"
    settings = changed(embedded.settings, alerts_topic=False, alerts_file=str(path))
    with Tail(settings, [BY_NAME["dead-letters"]], start="start") as letters, exporting(settings) as metrics:
        write(settings, ("incidents", b"\xffgarbage"), ("incidents", incident()))
        eventually(lambda: len(lines_of(path)) == 1, 30, what="the good one is in the file")
        found: list[Any] = []
        eventually(lambda: found.extend(letters.read(0.2)) or found, 30, what="a dead letter")

    letter = CODEC.decode("DeadLetter", found[0].value)
    assert (letter["process"], letter["raw"], letter["topic"]) == ("alerts", b"\xffgarbage", "incidents")
    assert count(metrics, "file", "refused") == 1


async def test_a_webhook_is_tried_until_it_takes_the_event_and_holds_up_no_other(
    embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    """Signed, in order, with the same delivery at every try; the file has everything meanwhile."""
    hook, path = Hook(answers=[503, 503]), tmp_path / "alerts.jsonl"
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, alerts_webhooks=(url,), alerts_topic=False, alerts_file=str(path))
        with exporting(settings):
            write(settings, STORY[0])
            await eventually_async(lambda: len(hook.taken) == 1, 30, what="the event is taken")
            await eventually_async(lambda: len(lines_of(path)) == 1, 30, what="the file has it")

    assert [body["metadata"]["uid"] for body in hook.tried] == [hook.taken[0]["metadata"]["uid"]] * 3
    assert {headers["X-Loginwatch-Event"] for headers in hook.headers} == {"Detection Finding"}


async def test_what_a_webhook_refuses_for_good_is_a_dead_letter(embedded: EmbeddedBroker) -> None:
    """422: the receiver has judged it; the next event is told."""
    hook = Hook(fate=lambda body: 422 if body["activity_id"] == 1 else None)
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, alerts_webhooks=(url,), alerts_topic=False)
        with exporting(settings) as metrics:
            write(settings, STORY[0], STORY[2])
            await eventually_async(lambda: len(hook.taken) == 1, 30, what="the second event is taken")
            name = next(outlet.name for outlet in outlets(settings))
            assert count(metrics, name, "refused") == 1


async def test_two_webhooks_that_refuse_the_same_record_have_a_letter_each(embedded: EmbeddedBroker) -> None:
    """Under an id of its own, or one would hide that the other SOC was not told; what is no record is one letter for all."""
    hook = Hook(fate=lambda _: 422)
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, alerts_webhooks=(f"{url}/a", f"{url}/b"), alerts_topic=False)
        with Tail(settings, [BY_NAME["dead-letters"]], start="start") as tail, exporting(settings):
            write(settings, STORY[0], ("incidents", b"\xffgarbage"))
            found: list[Any] = []
            await eventually_async(lambda: found.extend(tail.read(0.05)) or len(found) == 4, 30, what="four letters")

    letters = [CODEC.decode("DeadLetter", record.value) for record in found]
    refused = {letter["id"]: letter["detail"] for letter in letters if letter["reason"] == "alert-refused"}
    assert set(refused.values()) == {f"{outlet.name}: answers 422" for outlet in outlets(settings)}
    assert len({letter["id"] for letter in letters}) == len(refused) + 1 == 3


class SyslogServer:
    """A syslog server over TLS that reads frames by their count."""

    def __init__(self, files: Certificates) -> None:
        self.messages: list[bytes] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(files.server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._listener.close()

    def hang_up(self) -> None:
        """End the connection that is open."""
        if self._open is not None:
            with suppress(OSError):  # the other side was first
                self._open.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
                with plain, self._tls.wrap_socket(plain, server_side=True) as self._open:
                    self._read(self._open)
            except (OSError, ValueError):
                if self._listener.fileno() < 0:
                    return

    def _read(self, connection: ssl.SSLSocket) -> None:
        buffer = b""
        while chunk := connection.recv(65_536):
            buffer += chunk
            while b" " in buffer[:10]:
                length = int(buffer.split(b" ", 1)[0])
                start = buffer.index(b" ") + 1
                if len(buffer) < start + length:
                    break
                self.messages.append(buffer[start : start + length])
                buffer = buffer[start + length :]


def test_syslog_gets_one_message_an_event_over_tls(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """And after the server has ended the connection the next ones come over a new one."""
    files = make_certificates(tmp_path)
    with SyslogServer(files) as server:
        settings = changed(
            embedded.settings, alerts_topic=False, alerts_syslog=server.address, alerts_ca_file=str(files.ca)
        )
        with exporting(settings):
            write(settings, STORY[0])
            eventually(lambda: len(server.messages) == 1, 30, what="the first message")
            server.hang_up()
            write(settings, STORY[2])
            eventually(lambda: len(server.messages) == 2, 30, what="the second message, over a new connection")

    head, _, content = server.messages[0].partition(b"\xef\xbb\xbf")
    assert head.startswith(b"<83>1 ")
    assert orjson.loads(content)["type_uid"] == 200401


def test_a_syslog_server_with_a_strange_certificate_gets_nothing(tmp_path: Path) -> None:
    """The error says that, for the log and for health."""
    with SyslogServer(make_certificates(tmp_path)) as server:
        outlet = SyslogOutlet(Settings(alerts_syslog=server.address))

        with pytest.raises(AwayError, match="certificate verify failed"):
            outlet.check()
        with pytest.raises(AwayError, match="certificate verify failed"):
            outlet.deliver("user@example.org", {"severity_id": 1, "time": 0, "class_uid": 2004})


def test_the_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    """`keep` old ones stay, the oldest is let go; no line is cut."""
    path = tmp_path / "alerts.jsonl"
    outlet = FileOutlet(path, most_bytes=100, keep=2)

    for number in range(20):
        outlet.deliver("user@example.org", {"number": number, "text": "x" * 20})

    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["alerts.jsonl", "alerts.jsonl.1", "alerts.jsonl.2"]
    numbers = [event["number"] for name in reversed(names) for event in lines_of(tmp_path / name)]
    assert numbers == list(range(20 - len(numbers), 20))


def test_a_file_that_cannot_be_written_is_away_not_lost(tmp_path: Path) -> None:
    """A folder stands in its place."""
    outlet = FileOutlet(tmp_path, most_bytes=10**9, keep=2)

    with pytest.raises(AwayError, match="cannot write"):
        outlet.deliver("user@example.org", {})


def test_a_file_that_cannot_be_written_shows_from_the_start(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """Without any event: not ready until its folder is there, and nothing is counted as tried."""
    path = tmp_path / "mounted later" / "alerts.jsonl"
    settings = changed(embedded.settings, alerts_topic=False, alerts_file=str(path))
    metrics = Metrics("alerts")
    (file,) = outlets(settings)
    one = follower(file, settings, metrics)
    with following([one], threading.Event()):
        eventually(one.problems, what="the file is a problem")
        assert one.problems() == [f"cannot write {path}: No such file or directory"]
        assert gauge(metrics, ALERTS_UP, "file") == 0

        path.parent.mkdir()
        eventually(lambda: one.problems() == [], what="the file is no problem any more")

    assert gauge(metrics, ALERTS_UP, "file") == 1
    assert count(metrics, "file", "retried") == 0


def test_events_that_wait_for_an_outlet_that_is_away_are_its_lag(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """All of them, also the one that is being tried: an alert of Prometheus asks for both numbers."""
    path = tmp_path / "mounted later" / "alerts.jsonl"
    settings = changed(embedded.settings, alerts_topic=False, alerts_file=str(path))
    with exporting(settings) as metrics:
        write(settings, STORY[0], STORY[2])
        eventually(lambda: gauge(metrics, ALERTS_LAG, "file") == 2, 30, what="both wait")
        assert gauge(metrics, ALERTS_UP, "file") == 0

        path.parent.mkdir()
        eventually(lambda: len(lines_of(path)) == 2, 30, what="both are in the file")
        eventually(lambda: gauge(metrics, ALERTS_LAG, "file") == 0, 30, what="none waits")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"alerts_topic": False}, "nowhere to go"),
        ({"alerts_webhooks": ("https://soc.example.org/",), "alerts_webhook_secret": ""}, "alerts_webhook_secret"),
        ({"alerts_webhooks": ("http://soc.example.org/",)}, "without TLS"),
        ({"alerts_syslog": "soc.example.org"}, "alerts_syslog"),
        ({"alerts_syslog": "127.0.0.1:6514", "alerts_ca_file": "nowhere.pem"}, "alerts_ca_file: nowhere.pem"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], sentence: str) -> None:
    """Each with the setting's name."""
    with pytest.raises(ConfigurationError, match=sentence):
        outlets(changed(Settings(), **values))
