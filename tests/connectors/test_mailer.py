"""From a notification on the topic to a mail in a mailbox, or to a dead letter; nothing is lost between."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.bus.clients import client_config, new_consumer
from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors.mail_outbox import Backoff, Patience
from streams.connectors.mailer import RECIPIENTS, Mailer, writer_of
from streams.errors import ConfigurationError, RegistryUnavailableError
from streams.records import json_form
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import DEAD_LETTERS, NOTIFICATIONS
from tests.connectors.notifications import notification
from tests.connectors.smtp_servers import Inbox, hang_up, smtp_server
from tests.eventually import eventually, eventually_async
from tests.ports import free_port

QUICK = Patience(Backoff(20, 100), Backoff(20, 100), 24 * 3_600_000)
CODEC = Codec()


def told(number: int, *recipients: str, account: str = "user@example.org") -> dict[str, Any]:
    identity = f"00000000-0000-5000-8000-{number:012d}"
    return notification(id=identity, account=account, recipients=list(recipients or ("soc@example.org",)))


def publish(broker: EmbeddedBroker, *notifications: dict[str, Any] | bytes, key: str = "user@example.org") -> None:
    producer = Producer(broker.settings)
    for entry in notifications:
        raw = entry if isinstance(entry, bytes) else CODEC.encode("Notification", entry)
        producer.send(NOTIFICATIONS.name, raw, key=key, partition=0)
    producer.close()


def settings(broker: EmbeddedBroker, port: int, **values: Any) -> Settings:
    given = {"smtp_port": port, "smtp_tls": "none", "mail_from": "loginwatch@example.org", "smtp_timeout": 5}
    return broker.settings.model_copy(update={**given, **values})


def mailer_of(given: Settings, *, patience: Patience = QUICK, codec: Codec = CODEC) -> Mailer:
    # the embedded broker waits a session timeout at every change of a group's members
    return Mailer(given, patience=patience, codec=codec, session_timeout_ms=1_500)


@asynccontextmanager
async def running(mailer: Mailer) -> AsyncIterator[Mailer]:
    """The mailer at work; stopped in good order at the end."""
    task = asyncio.create_task(mailer.run())
    try:
        yield mailer
    finally:
        mailer.stop()
        await task


def mails(mailer: Mailer, outcome: str) -> float:
    return mailer.metrics.registry.get_sample_value("loginwatch_mails_total", {"outcome": outcome}) or 0.0


@contextmanager
def reading(broker: EmbeddedBroker, group: str) -> Iterator[Consumer]:
    config = {**client_config(broker.settings), "group.id": group, "auto.offset.reset": "earliest"}
    consumer = new_consumer(config)
    try:
        yield consumer
    finally:
        consumer.close()


def committed(broker: EmbeddedBroker) -> int:
    """The mailer's position in partition 0; negative when nothing is committed."""
    with reading(broker, f"{broker.settings.app}-mailer") as consumer:
        return int(consumer.committed([TopicPartition(NOTIFICATIONS.name, 0)], timeout=10)[0].offset)


def letters(broker: EmbeddedBroker, number: int) -> list[dict[str, Any]]:
    """So many dead letters."""
    found: list[dict[str, Any]] = []

    def read() -> bool:
        for message in consumer.consume(100, 0.1):
            assert message.error() is None
            found.append(CODEC.decode("DeadLetter", message.value() or b""))
        return len(found) >= number

    with reading(broker, "test-reader") as consumer:
        parts = range(DEAD_LETTERS.partitions(broker.settings))
        consumer.assign([TopicPartition(DEAD_LETTERS.name, part, 0) for part in parts])
        eventually(read, what=f"{number} dead letters")
    return found


def recipients_in(letter: dict[str, Any]) -> list[str]:
    return list(CODEC.decode("Notification", letter["raw"])["recipients"])


async def test_every_recipient_gets_a_mail_of_their_own(embedded: EmbeddedBroker) -> None:
    """Nobody learns who else is told, and the notification is committed."""
    inbox = Inbox()
    publish(embedded, told(1, "soc@example.org", "admin@example.org", "user@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port, mail_language="de"))) as mailer:
            await eventually_async(lambda: len(inbox.delivered) == 3)
            await eventually_async(lambda: mails(mailer, "sent") == 3)
            assert mailer.problems() == []

    assert [mail.rcpt_tos for mail in inbox.delivered] == [
        ["soc@example.org"],
        ["admin@example.org"],
        ["user@example.org"],
    ]
    messages = inbox.messages()
    assert [message["To"] for message in messages] == ["soc@example.org", "admin@example.org", "user@example.org"]
    assert len({message["Message-ID"] for message in messages}) == 3
    assert messages[0]["Subject"].startswith("Konto user@example.org gesperrt")
    assert messages[2]["Subject"].startswith("Ihr Konto user@example.org wurde gesperrt")
    body = messages[0].get_body(("plain",))
    assert body is not None
    assert "São Paulo, Brasilien" in body.get_content()
    assert committed(embedded) == 1


async def test_what_was_sent_and_committed_is_not_sent_by_the_next_mailer(embedded: EmbeddedBroker) -> None:
    """A restart in good order repeats nothing."""
    inbox = Inbox()
    publish(embedded, told(1))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))):
            await eventually_async(lambda: len(inbox.delivered) == 1)
        publish(embedded, told(2))
        async with running(mailer_of(settings(embedded, port))):
            await eventually_async(lambda: len(inbox.delivered) == 2)

    assert len({message["Message-ID"] for message in inbox.messages()}) == 2
    assert committed(embedded) == 2


async def test_a_mail_refused_for_now_is_tried_until_it_is_taken(embedded: EmbeddedBroker) -> None:
    """After RCPT, after DATA, and after a connection lost amid the content; others pass it meanwhile."""
    inbox = Inbox(
        rcpt={"soc@example.org": ["450 4.2.0 greylisted", "451 4.3.0 wait"]},
        data=[None, hang_up, "452 4.3.1 disk full"],
    )
    publish(embedded, told(1, "soc@example.org"), told(2, "admin@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 2)

    assert inbox.recipients() == ["admin@example.org", "soc@example.org"]
    assert mails(mailer, "retried") == 4
    assert committed(embedded) == 2


async def test_a_commit_does_not_pass_a_mail_that_waits(embedded: EmbeddedBroker) -> None:
    """A mailer that stops while one is refused leaves it to the next, and the rest is recognisable by its Message-ID."""
    inbox = Inbox(rcpt={"bad@example.org": ["450 4.2.0 greylisted"] * 1000})
    publish(embedded, told(1), told(2, "admin@example.org", "bad@example.org"), told(3))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 3 and mails(mailer, "retried") > 0)
        assert committed(embedded) == 1
        inbox.rcpt.clear()
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 3)

    first, second = inbox.messages()[:3], inbox.messages()[3:]
    assert sorted(message["To"] for message in first) == ["admin@example.org", "soc@example.org", "soc@example.org"]
    assert sorted(message["To"] for message in second) == ["admin@example.org", "bad@example.org", "soc@example.org"]
    assert len({message["Message-ID"] for message in (*first, *second)}) == 4
    assert committed(embedded) == 3


async def test_what_is_refused_for_good_goes_to_the_dead_letters_with_the_reply(embedded: EmbeddedBroker) -> None:
    """Only for the recipient concerned: the letter, sent again, tells nobody twice."""
    inbox = Inbox(rcpt={"gone@example.org": ["550 5.1.1 no such user"]})
    publish(embedded, told(1, "soc@example.org", "gone@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "refused") == 1 and mails(mailer, "sent") == 1)

    (letter,) = letters(embedded, 1)
    assert (letter["reason"], letter["topic"], letter["process"]) == ("mail_refused", "notifications", "mailer")
    assert "550 5.1.1 no such user" in letter["detail"]
    assert "notifications/0/0" in letter["detail"]
    assert recipients_in(letter) == ["gone@example.org"]
    assert letter["key"] == b"user@example.org"
    assert inbox.recipients() == ["soc@example.org"]
    assert committed(embedded) == 1


async def test_a_dead_letter_sent_again_reaches_only_whom_it_failed(embedded: EmbeddedBroker) -> None:
    """After the mailbox was made, `dead-letters resend` puts the raw bytes back on the topic."""
    inbox = Inbox(rcpt={"gone@example.org": ["550 5.1.1 no such user"]})
    publish(embedded, told(1, "soc@example.org", "gone@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "refused") == 1)
            (letter,) = await asyncio.to_thread(letters, embedded, 1)
            publish(embedded, letter["raw"])
            await eventually_async(lambda: mails(mailer, "sent") == 2)

    assert inbox.recipients() == ["soc@example.org", "gone@example.org"]


async def test_an_invalid_recipient_costs_only_their_own_mail(embedded: EmbeddedBroker) -> None:
    """Each is a dead letter of its own, with the reason."""
    inbox = Inbox()
    bad = ["soc", "a b@example.org", "soc@example.org\r\nBcc: thief@example.net", "x" * 70_000]
    publish(embedded, told(1, "soc@example.org", *bad, "admin@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 2)

    found = letters(embedded, 4)
    assert {letter["reason"] for letter in found} == {"invalid_address"}
    assert [recipients_in(letter) for letter in found] == [[recipient] for recipient in bad]
    assert len({letter["id"] for letter in found}) == 4
    assert inbox.recipients() == ["soc@example.org", "admin@example.org"]
    assert mails(mailer, "invalid") == 4
    assert committed(embedded) == 1


async def test_a_notification_to_a_crowd_tells_the_first_hundred(embedded: EmbeddedBroker) -> None:
    """The rest is one dead letter."""
    crowd = [f"r{number}@example.org" for number in range(RECIPIENTS + 5)]
    publish(embedded, told(1, *crowd))
    inbox = Inbox()
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == RECIPIENTS)

    (letter,) = letters(embedded, 1)
    assert letter["reason"] == "too_many_recipients"
    assert recipients_in(letter) == crowd[RECIPIENTS:]


async def test_records_that_are_no_notification_go_to_the_dead_letters(embedded: EmbeddedBroker) -> None:
    """The good ones between them are mailed."""
    inbox = Inbox()
    login = b'{"time": 1, "account": "user@example.org", "ip": "192.0.2.1", "success": true}'
    publish(embedded, b"", b"\xff\xfe\0", b"{", login, told(1), b"\xc3\x01" + b"x" * 20, told(2))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 2)

    found = letters(embedded, 5)
    assert [(letter["partition"], letter["offset"]) for letter in found] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 5)]
    assert found[3]["raw"] == login
    assert committed(embedded) == 7


async def test_text_that_no_mail_can_hold_stops_nobody(embedded: EmbeddedBroker) -> None:
    """Half of a surrogate pair, which JSON can carry and UTF-8 cannot: mailed with a mark, or a dead letter."""
    inbox = Inbox()
    odd = json_form.to_json("Notification", told(1, account="us\\er@example.org"))
    raw = orjson.dumps(odd).replace(b"us\\\\er", b"us\\ud800er").replace(b"soc@", b"\\udc00soc@", 1)
    publish(embedded, raw, told(2))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 1)

    assert len(letters(embedded, 1)) == 1
    assert committed(embedded) == 2


async def test_nothing_is_lost_while_the_mail_server_is_away(embedded: EmbeddedBroker) -> None:
    """It shows in health and metrics, nothing is committed, and what waited is sent by whoever comes later."""
    inbox, port = Inbox(), free_port()
    publish(embedded, told(1), told(2))
    async with running(mailer_of(settings(embedded, port))) as mailer:
        await eventually_async(lambda: mails(mailer, "retried") >= 2)
        assert [problem for problem in mailer.problems() if f"127.0.0.1:{port} takes no mail" in problem]
        page = mailer.metrics.page().decode()
        assert "loginwatch_smtp_up 0.0" in page
        assert "loginwatch_mails_pending 2.0" in page
        assert "example.org" not in page
    assert committed(embedded) < 0

    async with running(mailer_of(settings(embedded, port))) as mailer:
        await eventually_async(lambda: mails(mailer, "retried") >= 1)
        with smtp_server(inbox, port=port):
            await eventually_async(lambda: mails(mailer, "sent") == 2)
            assert mailer.problems() == []
            page = mailer.metrics.page().decode()
            assert "loginwatch_smtp_up 1.0" in page
            assert "loginwatch_mails_pending 0.0" in page
            assert "loginwatch_mail_oldest_pending_seconds 0.0" in page

    assert inbox.recipients() == ["soc@example.org"] * 2
    assert committed(embedded) == 2


async def test_a_failing_server_is_found_well_again_without_a_mail(embedded: EmbeddedBroker) -> None:
    """Health does not wait for the next incident."""
    port = free_port()
    async with running(mailer_of(settings(embedded, port))) as mailer:
        await eventually_async(lambda: any("takes no mail" in problem for problem in mailer.problems()))
        with smtp_server(Inbox(), port=port):
            await eventually_async(lambda: mailer.problems() == [])


async def test_a_mail_refused_for_too_long_is_given_up(embedded: EmbeddedBroker) -> None:
    """It is a dead letter then, with the last reply, and the commit goes on."""
    inbox = Inbox(rcpt={"bad@example.org": ["450 4.2.0 greylisted for ever"] * 1000})
    publish(embedded, told(1, "bad@example.org"), told(2, "soc@example.org"))
    with smtp_server(inbox) as port:
        impatient = Patience(Backoff(20, 50), Backoff(20, 50), 200)
        async with running(mailer_of(settings(embedded, port), patience=impatient)) as mailer:
            await eventually_async(lambda: mails(mailer, "given_up") == 1 and mails(mailer, "sent") == 1)
            assert "loginwatch_mails_pending 0.0" in mailer.metrics.page().decode()

    (letter,) = letters(embedded, 1)
    assert letter["reason"] == "mail_given_up"
    assert "450 4.2.0 greylisted for ever" in letter["detail"]
    assert committed(embedded) == 2


async def test_a_repeated_notification_is_sent_once(embedded: EmbeddedBroker) -> None:
    """A worker that crashed publishes the same bytes again."""
    inbox = Inbox()
    publish(embedded, told(1), told(1), told(2), told(1))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await eventually_async(lambda: mails(mailer, "repeated") == 2 and mails(mailer, "sent") == 2)

    assert len({message["Message-ID"] for message in inbox.messages()}) == len(inbox.delivered) == 2
    assert committed(embedded) == 4


async def test_a_recipient_told_too_much_waits_and_nobody_else_does(embedded: EmbeddedBroker) -> None:
    """Two an hour are let through; the third stands in the metrics and holds the commit."""
    inbox = Inbox()
    publish(embedded, *(told(number) for number in range(3)), told(9, "admin@example.org"))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port, mail_rate=2))) as mailer:
            await eventually_async(lambda: mails(mailer, "sent") == 3)
            assert mails(mailer, "rate_limited") == 1
            assert "loginwatch_mails_pending 1.0" in mailer.metrics.page().decode()

    assert sorted(inbox.recipients()) == ["admin@example.org", "soc@example.org", "soc@example.org"]
    assert committed(embedded) == 2


async def test_reading_pauses_while_too_much_waits_and_goes_on_after(embedded: EmbeddedBroker) -> None:
    """Memory is bounded, and nothing is skipped."""
    port = free_port()
    everybody = [f"r{number}@example.org" for number in range(230)]
    publish(embedded, *(told(number, everybody[number]) for number in range(230)))
    inbox = Inbox()
    async with running(mailer_of(settings(embedded, port, mail_pending=10))) as mailer:
        await eventually_async(lambda: mails(mailer, "retried") >= 3)
        pending = mailer.metrics.registry.get_sample_value("loginwatch_mails_pending")
        assert pending is not None
        assert 10 <= pending <= 110
        with smtp_server(inbox, port=port):
            await eventually_async(lambda: mails(mailer, "sent") == 230)

    assert sorted(inbox.recipients()) == sorted(everybody)
    assert committed(embedded) == 230


async def test_a_registry_that_is_away_holds_reading_and_loses_nothing(embedded: EmbeddedBroker) -> None:
    """The record waits in hand until its schema can be asked for."""

    class Away(Codec):
        away = True

        def decode(self, record: str, raw: bytes) -> dict[str, Any]:
            if self.away:
                raise RegistryUnavailableError("the schema registry does not answer")
            return super().decode(record, raw)

    inbox, codec = Inbox(), Away()
    publish(embedded, told(1))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port), codec=codec)) as mailer:
            await eventually_async(lambda: any("registry" in problem for problem in mailer.problems()))
            codec.away = False
            await eventually_async(lambda: mails(mailer, "sent") == 1)
            await eventually_async(lambda: mailer.problems() == [])

    assert len(inbox.delivered) == 1


async def test_a_broker_that_goes_and_comes_back_is_read_again(embedded: EmbeddedBroker) -> None:
    """It shows in the health meanwhile."""
    inbox = Inbox()
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            publish(embedded, told(1))
            await eventually_async(lambda: len(inbox.delivered) == 1)
            embedded.down()
            await eventually_async(lambda: any("Kafka" in problem for problem in mailer.problems()))
            embedded.up()
            await asyncio.to_thread(publish, embedded, told(2))
            await eventually_async(lambda: len(inbox.delivered) == 2, 40)


async def test_stopping_waits_for_the_mail_being_sent(embedded: EmbeddedBroker) -> None:
    """It is finished and committed, so that the next mailer does not repeat it."""
    inbox = Inbox()
    asked, answer = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def after_a_while(_server: Any) -> str:
        loop.call_soon_threadsafe(asked.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer.wait(), loop))
        return "250 2.0.0 late but taken"

    inbox.data.append(after_a_while)
    publish(embedded, told(1), told(2))
    with smtp_server(inbox) as port:
        async with running(mailer_of(settings(embedded, port))) as mailer:
            await asyncio.wait_for(asked.wait(), 60)
            mailer.stop()
            answer.set()
        assert mails(mailer, "sent") == 1

    assert committed(embedded) == 1


def test_the_process_serves_health_and_ends_cleanly_on_sigterm(embedded: EmbeddedBroker) -> None:
    """Exit code 0, the work committed, and no address or content in its log."""
    inbox, listen = Inbox(), f"127.0.0.1:{free_port()}"
    publish(embedded, told(1))
    with smtp_server(inbox) as port:
        environment = {
            **os.environ,
            "LOGINWATCH_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
            "LOGINWATCH_PARTITIONS": str(embedded.settings.partitions),
            "LOGINWATCH_SMTP_PORT": str(port),
            "LOGINWATCH_SMTP_TLS": "none",
            "LOGINWATCH_MAIL_FROM": "loginwatch@example.org",
            "LOGINWATCH_MAILER_HEALTH_LISTEN": listen,
        }
        code = (
            "from streams.connectors.mailer import serve; from streams.settings import load_settings;"
            "raise SystemExit(serve(load_settings()))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            eventually(lambda: len(inbox.delivered) == 1, 60)
            with urllib.request.urlopen(f"http://{listen}/health/ready", timeout=5) as page:
                assert page.status == 200
            with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as page:
                assert "loginwatch_notifications_read_total 1.0" in page.read().decode()
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()

    assert process.returncode == 0
    assert "mailer stopped" in output
    assert "user@example.org" not in output
    assert "203.0.113.5" not in output
    assert committed(embedded) == 1


@pytest.mark.parametrize("sender", ["", "loginwatch", "LW <lw@example.org>", "lw@example.org\nBcc: x@example.org"])
def test_a_mailer_without_a_usable_sender_does_not_start(sender: str) -> None:
    """The sentence names the setting."""
    with pytest.raises(ConfigurationError, match="mail_from"):
        writer_of(Settings(mail_from=sender))
