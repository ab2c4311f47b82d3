"""Outlets of alerts that are slow, stand still or are refused: bounded, tried again, and no trouble for the others."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest
from confluent_kafka import TopicPartition

from streams.bus.admin import ensure_topics
from streams.bus.clients import new_admin, new_consumer
from streams.bus.consumer import COMMIT_EVERY_S
from streams.bus.embedded import PRODUCE, EmbeddedBroker
from streams.bus.partitions import reader_config
from streams.bus.tail import Tail
from streams.connectors.alert_outlets import AwayError, HookOutlet, Outlet, SyslogOutlet, TopicOutlet
from streams.connectors.alerts import Follower, outlets
from streams.connectors.ocsf import Event
from streams.metrics import Metrics
from streams.settings import Settings
from streams.topology import ALERTS, DEAD_LETTERS, INCIDENTS
from tests.connectors.doors import CODEC
from tests.connectors.hooks import Hook, serving
from tests.connectors.notifications import incident
from tests.connectors.test_alerts import changed, count, exporting, follower, following, lines_of, write
from tests.eventually import eventually, eventually_async
from tests.kafka_clients import assert_at_most, kafka_clients, uncollected

INIT_PRODUCER_ID = 22
TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED = 29, 31
EVENT = {
    "class_name": "Detection Finding",
    "class_uid": 2004,
    "severity_id": 4,
    "time": 0,
    "metadata": {"uid": "1"},
}
TRICKLE_S = 0.05


class Gated:
    """An outlet that takes an event when it is let."""

    name = "gated"

    def __init__(self) -> None:
        self.asked = 0
        self.taken = 0
        self.let = threading.Semaphore(0)

    def check(self) -> None:
        """It is there."""

    def deliver(self, account: str, event: Event) -> None:
        self.asked += 1
        self.let.acquire()
        self.taken += 1

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def gated(settings: Settings, records: int) -> Iterator[tuple[Gated, threading.Event]]:
    """A follower with so many records of one partition before it, and the first in its hand."""
    outlet, stopping = Gated(), threading.Event()
    write(settings, *(("incidents", incident(revision=number + 1)) for number in range(records)))
    with following([follower(outlet, settings, Metrics("alerts"))], stopping):
        try:
            eventually(lambda: outlet.asked == 1, 30, what="the first event is offered")
            yield outlet, stopping
        finally:
            stopping.set()
            outlet.let.release(records)


def committed(settings: Settings, group: str) -> int:
    """Records of incidents that this group need not read again."""
    consumer = new_consumer(reader_config(settings, group))
    try:
        parts = [TopicPartition(INCIDENTS.name, number) for number in range(settings.partitions)]
        return sum(max(0, part.offset) for part in consumer.committed(parts, timeout=10))
    finally:
        consumer.close()


def test_what_a_slow_outlet_took_is_committed_before_it_takes_the_next(embedded: EmbeddedBroker) -> None:
    """Or a hundred events of three seconds each would come again for ever: Kafka gives nobody more than five minutes."""
    with gated(embedded.settings, 3) as (outlet, _):
        due = monotonic() + COMMIT_EVERY_S
        eventually(lambda: monotonic() > due, what="the first event has taken long")
        outlet.let.release()
        eventually(lambda: outlet.asked == 2, what="the second event is offered")

        eventually(lambda: committed(embedded.settings, "loginwatch-alerts-gated") == 1, what="the first is committed")

        assert outlet.taken == 1


def test_a_stop_waits_for_one_event_only(embedded: EmbeddedBroker) -> None:
    """Those that are read already are left to the next process."""
    with gated(embedded.settings, 3) as (outlet, stopping):
        stopping.set()
        outlet.let.release(3)

    assert outlet.taken == 1
    assert committed(embedded.settings, "loginwatch-alerts-gated") == 1


def in_thread(outlet: Outlet, event: Event) -> Callable[[], str]:
    """Deliver, and close, in a thread that ends with the tests: what the outlet says in the end, "taken" where nothing."""
    said: list[str] = []

    def work() -> None:
        answer = "taken"
        try:
            outlet.deliver("user@example.org", event)
        except AwayError as error:
            answer = str(error)
        finally:
            outlet.close()
        said.append(answer)

    threading.Thread(target=work, daemon=True).start()
    return lambda: "".join(said)


def test_a_syslog_server_that_reads_no_more_is_away() -> None:
    """Also on a connection that has taken events already: when its buffers are full, the wait has an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(
            alerts_syslog=f"127.0.0.1:{listener.getsockname()[1]}", alerts_syslog_plaintext=True, alerts_timeout=1
        )
        outlet = SyslogOutlet(settings)
        outlet.deliver("user@example.org", EVENT)
        with listener.accept()[0]:
            said = in_thread(outlet, {**EVENT, "message": "x" * 32_000_000})

            eventually(said, 15, what="the event is given up")

            assert "timed out" in said()


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server that answers whatever comes in this way, until nobody listens: its URL."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        writer.close()

    talks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda reader, writer: talks.add(asyncio.ensure_future(talk(reader, writer))), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for each in talks:
            each.cancel()
        await asyncio.gather(*talks)


async def trickle_a_head(writer: asyncio.StreamWriter) -> None:
    """Headers without end, a few bytes at a time: every single read is in time."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(TRICKLE_S)


async def trickle_a_body(writer: asyncio.StreamWriter) -> None:
    """A body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 1000)
        await writer.drain()
        await asyncio.sleep(TRICKLE_S)


@pytest.mark.parametrize(
    ("answer", "end"), [(trickle_a_head, "no answer in time"), (trickle_a_body, "taken")], ids=["head", "body"]
)
async def test_an_answer_without_end_is_not_waited_for(answer: Answer, end: str) -> None:
    """The time is that of the whole exchange; of the answer only the status counts, and its body is not read."""
    async with answering(answer) as url:
        settings = changed(Settings(), alerts_webhooks=(url,), alerts_topic=False, alerts_timeout=1)
        (outlet,) = outlets(settings)
        assert isinstance(outlet, HookOutlet)
        said = in_thread(outlet, EVENT)

        await asyncio.to_thread(eventually, said, 10, what="the exchange has ended")

    assert said().endswith(end)


@pytest.mark.parametrize("status", [409, 425, 500])
async def test_one_event_that_a_webhook_cannot_take_holds_up_the_others_for_its_time_only(
    embedded: EmbeddedBroker, status: int
) -> None:
    """It is tried again until then, since it may be mended; then it is a dead letter that says why, and the next is told."""
    hook = Hook(fate=lambda body: status if body["activity_id"] == 1 else None)
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, alerts_webhooks=(url,), alerts_topic=False)
        with Tail(settings, [DEAD_LETTERS], start="start") as tail, exporting(settings, give_up_s=1) as metrics:
            write(settings, ("incidents", incident()), ("incidents", incident(revision=2)))
            await eventually_async(lambda: len(hook.taken) == 1, 30, what="the second event is taken")
            found: list[Any] = []
            await eventually_async(lambda: found.extend(tail.read(0.2)) or found, 30, what="a dead letter")
            name = outlets(settings)[0].name
            await eventually_async(
                lambda: (count(metrics, name, "refused"), count(metrics, name, "delivered")) == (1, 1),
                what="both count",
            )

    assert len({body["metadata"]["uid"] for body in hook.tried[:-1]}) == 1
    assert len(hook.tried) > 2
    [letter] = [CODEC.decode(DEAD_LETTERS.record, record.value) for record in found]
    assert (letter["process"], letter["reason"]) == ("alerts", "alert-refused")
    assert letter["detail"] == f"{name}: answers {status} (given up after 1 seconds)"


async def test_a_webhook_that_is_away_is_never_given_up(embedded: EmbeddedBroker) -> None:
    """However short the time of an event that is refused alone: nothing is a dead letter, and all comes in order."""
    hook = Hook(answers=[503, 503, 503])
    async with serving(hook.handle) as url:
        settings = changed(embedded.settings, alerts_webhooks=(url,), alerts_topic=False)
        with exporting(settings, give_up_s=0) as metrics:
            write(settings, ("incidents", incident()), ("incidents", incident(revision=2)))
            await eventually_async(lambda: len(hook.taken) == 2, 30, what="both events are taken")
            assert count(metrics, outlets(settings)[0].name, "refused") == 0

    assert [body["activity_id"] for body in hook.taken] == [1, 2]


def test_a_topic_that_may_not_be_written_is_tried_again_and_holds_up_no_other(
    embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    """Two refusals, then it has the event; the file has it too, and nothing ends."""
    path = tmp_path / "alerts.jsonl"
    settings = changed(embedded.settings, alerts_file=str(path))
    write(settings, ("incidents", incident()))
    embedded.fail(PRODUCE, [TOPIC_AUTHORIZATION_FAILED] * 2)
    with Tail(settings, [ALERTS], start="start") as tail, exporting(settings) as metrics:
        found: list[Any] = []
        eventually(lambda: found.extend(tail.read(0.2)) or found, 30, what="the event is on the topic")
        eventually(lambda: len(lines_of(path)) == 1, 30, what="the file has it")
        eventually(lambda: count(metrics, "topic", "delivered") == 1, what="it is counted")
        assert count(metrics, "topic", "retried") == 2

    assert [orjson.loads(record.value)["metadata"]["uid"] for record in found] == [lines_of(path)[0]["metadata"]["uid"]]


def test_a_producer_that_will_never_write_again_is_replaced(embedded: EmbeddedBroker) -> None:
    """What librdkafka calls fatal is an outlet that is away, with Kafka's reason; the next try is a new producer's."""
    embedded.fail(INIT_PRODUCER_ID, [CLUSTER_AUTHORIZATION_FAILED])
    with uncollected():
        before = kafka_clients()
        outlet = TopicOutlet(embedded.settings)
        with pytest.raises(AwayError, match=r"Cluster authorization failed|line FATAL on standard error"):
            outlet.deliver("user@example.org", EVENT)
        assert_at_most(before + 1)
        outlet.deliver("user@example.org", EVENT)

        outlet.close()
        assert_at_most(before)


@pytest.mark.kafka
def test_a_topic_that_is_missing_shows_from_the_start_and_gets_everything_once_it_is_made(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    """Meanwhile the file has the event."""
    path = tmp_path / "alerts.jsonl"
    settings = changed(kafka_settings, alerts_file=str(path))
    admin = new_admin(settings)
    admin.delete_topics([ALERTS.name])[ALERTS.name].result(30)
    eventually(lambda: ALERTS.name not in admin.list_topics(timeout=10).topics, what="the topic is gone")
    metrics = Metrics("alerts")
    followers = [Follower(outlet, settings, metrics, counts_reviews=False) for outlet in outlets(settings)]
    with following(followers, threading.Event()):
        eventually(followers[0].problems, 30, what="the topic is a problem")
        assert "there is no topic alerts" in followers[0].problems()[0]
        write(settings, ("incidents", incident()))
        eventually(lambda: len(lines_of(path)) == 1, 30, what="the file has the event")
        ensure_topics(settings)
        eventually(lambda: count(metrics, "topic", "delivered") == 1, 60, what="the topic has the event")
        eventually(lambda: followers[0].problems() == [], what="the problem is over")
