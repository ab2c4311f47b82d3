"""
The mailer: reads `notifications` and sends each recipient a mail of its own.

Decision: one task reads, one sends, and both live on one event loop. A record is committed when each of its mails is taken
by the server or acknowledged as a dead letter, never before. A kill repeats at most what was not committed, with the same
Message-IDs. Read on in `mail_reading` (Kafka), `mail_outbox` (what is sent when), `mail_delivery` (SMTP), `mail_undeliverable`
(dead letters), `mail_letter` and `mail_words` (what it says) and `mail_format` (the mail's form).
"""

import asyncio
from collections.abc import Callable
from time import monotonic, time

import structlog

from streams.bus.health import HealthServer
from streams.bus.record import Record
from streams.connectors.mail_address import parse_address
from streams.connectors.mail_delivery import Delivery, Outcome, SmtpServer
from streams.connectors.mail_format import Writer, compose, message_id_of
from streams.connectors.mail_outbox import HOUR_MS, Notice, Outbox, Patience, Pending, finish
from streams.connectors.mail_reading import Notification, NotificationReader
from streams.connectors.mail_undeliverable import Undeliverable
from streams.connectors.serving import serve_until_told
from streams.connectors.topic_reader import SESSION_TIMEOUT_MS, come
from streams.core.refusal import Refused
from streams.errors import ConfigurationError
from streams.metrics import (
    KAFKA_UP,
    MAIL_DELAY,
    MAIL_OLDEST_PENDING,
    MAILS,
    MAILS_PENDING,
    NOTIFICATIONS_READ,
    SMTP_UP,
    Metrics,
)
from streams.records.codec import Codec
from streams.records.registry import from_settings
from streams.settings import Settings

log = structlog.get_logger(__name__)

RECIPIENTS = 100
"""Most recipients of one notification; more is a mistake, or somebody's relay."""
SWEEP_S = 60.0
IDLE_CHECK_S = 5.0
STOP_S = 8
"""For the mail being sent when the process is told to stop; supervisors kill after 10 seconds."""


class Mailer:
    """One mailer; any number share the topic."""

    def __init__(
        self,
        settings: Settings,
        *,
        codec: Codec | None = None,
        patience: Patience | None = None,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
    ) -> None:
        """Raises ConfigurationError for settings with which no mail could be sent."""
        self.metrics = Metrics("mailer")
        self._writer = writer_of(settings)
        self._server = SmtpServer(settings)
        self._settings = settings
        self._reader = NotificationReader(
            settings, codec or Codec(from_settings(settings, patience_s=0)), session_timeout_ms=session_timeout_ms
        )
        self._undeliverable: Undeliverable
        self._outbox = Outbox(
            rate=settings.mail_rate,
            most=settings.mail_pending,
            patience=patience or Patience(give_up_ms=settings.mail_retry_hours * HOUR_MS),
        )
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._smtp_trouble = ""
        self.metrics.on_scrape(MAILS_PENDING, lambda: len(self._outbox))
        self.metrics.on_scrape(MAIL_OLDEST_PENDING, self._oldest_s)
        self.metrics.on_scrape(KAFKA_UP, lambda: self._reader.kafka_up)

    def stop(self) -> None:
        """Finish the mail being sent, commit what is done, and let `run` return. Call it on the event loop."""
        self._stopping.set()
        self._changed.set()

    def problems(self) -> list[str]:
        """Why mails do not flow, a sentence each; empty = all is well."""
        return [*self._reader.problems(), *([self._smtp_trouble] if self._smtp_trouble else [])]

    async def run(self) -> None:
        """Read and send until `stop`. Raises DeliveryError when Kafka lost a dead letter."""
        self._undeliverable = Undeliverable(self._settings, self.metrics, finished=self._reader.finish, lost=self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reader.read(self, self._stopping))
                sending = tasks.create_task(self._send_all())
                await self._stopping.wait()
                await asyncio.wait([sending], timeout=STOP_S)
                sending.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            await self._server.close()
            await self._undeliverable.settle(STOP_S)
            await self._reader.leave()
            await asyncio.to_thread(self._undeliverable.close, 1)

    # --- what the reader asks and brings

    def must_pause(self) -> bool:
        """Is the outbox full?"""
        return self._outbox.full

    def keep_only(self, partitions: set[tuple[str, int]]) -> None:
        """Mails of other partitions are sent by the mailer that has them now."""
        self._outbox.keep_only(partitions)

    def refuse(self, record: Record, refusal: Refused) -> None:
        """A record that is no notification."""
        self._undeliverable.refuse(record, refusal)

    def take(self, record: Record, notification: Notification) -> None:
        """Put one mail for each recipient into the outbox."""
        self.metrics.of(NOTIFICATIONS_READ).inc()
        notice = Notice(record, open=1)  # so that it is not finished before all recipients are looked at
        recipients: list[str] = notification["recipients"]
        mails = []
        for recipient in recipients[:RECIPIENTS]:
            try:
                address = parse_address(recipient)
            except Refused as refusal:
                self._bury(notice, notification, [recipient], refusal, "invalid")
                continue
            mails.append(Pending(address, message_id_of(notification["id"], address, self._writer.from_), [notice]))
        if surplus := recipients[RECIPIENTS:]:
            sentence = f"{len(recipients)} recipients are too many: the first {RECIPIENTS} are told, these are not"
            self._bury(notice, notification, surplus, Refused("too_many_recipients", sentence), "surplus")
        added = self._outbox.add(mails, self._now_ms())
        self._count("repeated", added.repeated)
        self._count("rate_limited", added.held)
        for mail in added.surplus:
            sentence = f"more mails wait for {mail.address.spec} than mail_rate and mail_pending let through"
            self._bury(notice, notification, [mail.address.spec], Refused("mail_rate", sentence), "surplus")
        self._reader.finish(finish([notice]))
        self._changed.set()

    # --- sending

    async def _send_all(self) -> None:
        await self._probe()
        swept = monotonic()
        while not self._stopping.is_set():
            self._changed.clear()
            if (mail := self._outbox.next_due(self._now_ms())) is not None:
                await self._send(mail)
            elif self._outbox.probe_due(self._now_ms()):
                await self._probe()
            else:
                await self._wait()
            if monotonic() - swept > SWEEP_S:
                self._outbox.sweep(self._now_ms())
                swept = monotonic()

    async def _wait(self) -> None:
        """Until a mail is due, another arrives, or the connection may be idle."""
        wait_ms = self._outbox.wait_ms(self._now_ms())
        seconds = IDLE_CHECK_S if wait_ms is None else min(IDLE_CHECK_S, wait_ms / 1000 + 0.001)
        if not await come(self._changed, seconds):
            await self._server.close_if_idle()

    async def _send(self, mail: Pending) -> None:
        record = mail.notices[0].record
        try:
            composed = compose(self._reader.decode(record), mail.address, self._writer)
        except Exception as error:  # one record of which no mail can be made must not keep the others
            log.exception("no mail can be made of a notification", partition=record.partition, offset=record.offset)
            self._give_up(mail, "no_mail", f"no mail can be made of it: {type(error).__name__}", "invalid")
            return
        delivery = await self._server.send(composed)
        self._judge(mail, delivery)
        if delivery.outcome is Outcome.SENT:
            self.metrics.of(MAIL_DELAY).observe(max(0.0, time() - record.timestamp_ms / 1000))

    def _judge(self, mail: Pending, delivery: Delivery) -> None:
        """Write down what became of a mail."""
        if delivery.outcome is Outcome.NO_SERVER:
            self._count("retried")
            self._server_failed(delivery.reply)
            return
        self._server_answered()
        if delivery.outcome is Outcome.SENT:
            self._count("sent")
            self._reader.finish(self._outbox.delivered(mail, self._now_ms()))
        elif delivery.outcome is Outcome.NEVER:
            self._give_up(mail, "mail_refused", delivery.reply, "refused")
        elif self._outbox.failed(mail, self._now_ms()):
            self._give_up(mail, "mail_given_up", delivery.reply, "given_up")
        else:
            self._count("retried")

    async def _probe(self) -> None:
        """Is the server there? Asked at the start, and while it fails and nothing is to be sent."""
        delivery = await self._server.probe()
        if delivery.outcome is Outcome.SENT:
            self._server_answered()
        else:
            self._server_failed(delivery.reply)

    def _server_failed(self, reply: str) -> None:
        where = f"{self._settings.smtp_host}:{self._settings.smtp_port}"
        if not self._smtp_trouble:
            log.warning("the mail server takes no mail, mails wait", server=where, reply=reply)
        self._smtp_trouble = f"the mail server {where} takes no mail: {reply}. Check the smtp_ settings and the server"
        self.metrics.of(SMTP_UP).set(0)
        for mail in self._outbox.server_failed(self._now_ms()):
            self._give_up(mail, "mail_given_up", reply, "given_up")

    def _server_answered(self) -> None:
        if self._smtp_trouble:
            log.warning("the mail server takes mails again", server=self._settings.smtp_host)
        self._smtp_trouble = ""
        self.metrics.of(SMTP_UP).set(1)
        self._outbox.server_answered()

    # --- small things

    def _give_up(self, mail: Pending, reason: str, reply: str, outcome: str) -> None:
        """This mail goes to the dead letters."""
        held = self._outbox.take_out(mail)
        if held is None:
            return
        refusal = Refused(reason, f"{self._settings.smtp_host} has no mail for {mail.address.spec}: {reply}")
        notification = self._reader.decode(held.notices[0].record)
        for notice in held.notices:
            self._bury(notice, notification, [held.address.spec], refusal, outcome)
        self._reader.finish(finish(held.notices))

    def _bury(
        self, notice: Notice, notification: Notification, recipients: list[str], refusal: Refused, outcome: str
    ) -> None:
        self._count(outcome)
        self._undeliverable.bury(notice, notification, recipients, refusal)

    def _count(self, outcome: str, number: int = 1) -> None:
        self.metrics.of(MAILS, outcome=outcome).inc(number)

    def _oldest_s(self) -> float:
        oldest_ms = self._outbox.oldest_timestamp_ms()
        return 0.0 if oldest_ms is None else max(0.0, time() - oldest_ms / 1000)

    @staticmethod
    def _now_ms() -> int:
        return int(monotonic() * 1000)


def serve(settings: Settings, *, ready: Callable[[Mailer, HealthServer], None] | None = None) -> int:
    """
    Run a mailer as `serve_until_told` says.

    Raises ConfigurationError for settings that cannot work, DeliveryError when Kafka lost a dead letter.
    """
    return serve_until_told(
        "mailer",
        lambda: Mailer(settings),
        settings.mailer_health_listen,
        setting="mailer_health_listen",
        ready=ready,
        server=settings.smtp_host,
    )


def writer_of(settings: Settings) -> Writer:
    """How this installation writes. Raises ConfigurationError when `mail_from` is no address."""
    if not settings.mail_from:
        raise ConfigurationError("the mailer needs a sender: set mail_from, for instance loginwatch@example.org")
    try:
        sender = parse_address(settings.mail_from)
    except Refused as refusal:
        raise ConfigurationError(f"setting mail_from: {refusal}") from refusal
    return Writer(sender, settings.mail_language, settings.mail_help)
