"""
Where events for a SOC go: a topic, a file with rotation, a syslog server, a webhook.

An outlet takes one event at a time and returns when it has been taken: acknowledged by Kafka, written and synced to disk,
answered by the receiver. Syslog has no answer: an event counts as taken when the connection took it, and one that was on
its way when a connection broke may be lost. Decision: everything blocks, since every outlet has a thread of its own.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import aiohttp
import orjson

from streams.bus.clients import Heard, new_consumer
from streams.bus.health import parse_listen
from streams.bus.partitions import partitions_of, reader_config
from streams.bus.producer import Producer
from streams.connectors.enforcement_queue import Reply, Verdict
from streams.connectors.ocsf import Event
from streams.connectors.receivers import Receiver, session_of, tls_of
from streams.connectors.syslog import framed, syslog_message
from streams.connectors.webhook import post, signature_of
from streams.core.refusal import Refused
from streams.errors import BrokerUnavailableError, DeliveryError, TopicError
from streams.settings import Settings
from streams.topology import ALERTS

TAKE_MS = 30_000
"""How long Kafka may take for an event; then it is tried again, and may be there twice."""
FLUSH_S = TAKE_MS / 1000 + 10
BY_OUTLET = "alert-refused"
"""The reason of what one outlet does not take and another may; any other is the record's, and of all outlets."""


class AwayError(Exception):
    """The outlet cannot take events now; the text says why."""


class AboutEventError(AwayError):
    """The outlet does not take this event now, which says nothing of others."""


class Outlet(Protocol):
    """One place that events go to."""

    name: str

    def check(self) -> None:
        """Look whether it could take events, as far as one can without one. Raises AwayError."""

    def deliver(self, account: str, event: Event) -> None:
        """
        Hand over one event.

        Raises AwayError to be tried again, AboutEventError to be tried for a while, Refused for what is never taken.
        """

    def close(self) -> None:
        """Let go."""


class TopicOutlet:
    """The topic `alerts`, keyed by account."""

    name = "topic"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = self._new_producer()

    def check(self) -> None:
        """Is the topic there? Raises AwayError."""
        heard = Heard()
        consumer = new_consumer(
            {**reader_config(self._settings, f"{self._settings.app}-alerts-topic"), "error_cb": heard}
        )
        try:
            partitions_of(consumer, self._settings, [ALERTS.name], heard)
        except (BrokerUnavailableError, TopicError) as error:
            raise AwayError(str(error)) from error
        finally:
            consumer.close()

    def deliver(self, account: str, event: Event) -> None:
        """Raises AwayError when Kafka does not take it: no topic, no right to write, too few copies, nobody there."""
        told: list[DeliveryError | None] = []
        try:
            self._producer.send(ALERTS.name, orjson.dumps(event), key=account, on_delivery=told.append)
            self._producer.flush(FLUSH_S)
        except DeliveryError as error:
            self._begin_anew()
            raise AwayError(str(error)) from error
        if told[0] is not None:
            raise AwayError(str(told[0])) from told[0]

    def close(self) -> None:
        """Let go; nothing is on its way, since `deliver` waits."""
        with suppress(DeliveryError):
            self._producer.close(0)

    def _begin_anew(self) -> None:
        """After an error that the producer remembers it would take nothing more."""
        self.close()
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        return Producer(self._settings, policy="report", delivery_timeout_ms=TAKE_MS, linger_ms=0)


class FileOutlet:
    """A file of lines; when it is longer than `most_bytes` it is put aside as `.1`, and `.keep` is deleted."""

    name = "file"

    def __init__(self, path: Path, most_bytes: int, keep: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._keep = keep

    def check(self) -> None:
        """Open it, and make it if it is not there. Raises AwayError."""
        with self._away_if_it_fails():
            os.close(self._open())

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Append and sync, so that a line that was reported is on the disk. Raises AwayError."""
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        with self._away_if_it_fails():
            self._rotate(len(line))
            descriptor = self._open()
            try:
                _write_whole(descriptor, line)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _away_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AwayError(f"cannot write {self._path}: {error.strerror or error}") from error

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def _rotate(self, more: int) -> None:
        if not self._path.exists() or self._path.stat().st_size + more <= self._most_bytes:
            return
        aside = [self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._keep + 1)]
        for older, newer in zip(reversed(aside[1:]), reversed(aside[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        self._path.replace(aside[0])


def _write_whole(descriptor: int, line: bytes) -> None:
    """A line that a full disk cut is taken back, so that the next try does not follow half a line."""
    before = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


class SyslogOutlet:
    """A syslog server over TCP, with TLS unless told otherwise (RFC 5424 messages, framed as RFC 5425 and 6587 have it)."""

    name = "syslog"

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigurationError for a setting that is no address, or certificates that cannot be used."""
        self._host, self._port = parse_listen(settings.alerts_syslog, "alerts_syslog")
        self._timeout_s = settings.alerts_timeout
        self._tls = None if settings.alerts_syslog_plaintext else tls_of(settings, "alerts_ca_file")
        self._hostname = socket.gethostname()
        self._connection: socket.socket | None = None

    def check(self) -> None:
        """Connect; the first event goes over that connection. Raises AwayError."""
        with self._away_if_it_fails():
            self._connected()

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Send it over the open connection, or a new one. Raises AwayError, also when it is not taken in time."""
        message = framed(syslog_message(event, self._hostname))
        with self._away_if_it_fails():
            self._connected().sendall(message)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _away_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # those of TLS too
            self.close()
            raise AwayError(f"syslog server {self._host} port {self._port}: {error}") from error

    def _connected(self) -> socket.socket:
        if self._connection is None or _is_closed(self._connection):
            self.close()
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise


def _is_closed(connection: socket.socket) -> bool:
    """Has the server ended the connection? It never sends anything else, so whatever can be read is the end."""
    timeout = connection.gettimeout()
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.settimeout(timeout)  # not setblocking(True), which would wait for ever


class HookOutlet:
    """
    One webhook; the body is the event, signed and posted as enforcement's webhooks are.

    Decision: the client is enforcement's too, on an event loop that runs while an event is posted: only such a client bounds
    the whole of an exchange. Between two events nobody looks at a connection, so each has its own.
    """

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        """Raises ConfigurationError for certificates that cannot be used."""
        self.name = f"webhook-{receiver.name}"
        self._url = receiver.url
        self._secret = settings.alerts_webhook_secret.get_secret_value()
        self._timeout_s = settings.alerts_timeout
        self._tls = tls_of(settings, "alerts_ca_file")
        self._loop = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None

    def check(self) -> None:
        """Nothing that a receiver need understand could be asked."""

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Post it once. Raises AwayError, and AboutEventError or Refused for a status that says so."""
        body = orjson.dumps(event)
        headers = {
            "Content-Type": "application/json",
            "X-Loginwatch-Event": event["class_name"],
            "X-Loginwatch-Delivery": event["metadata"]["uid"],
            "X-Loginwatch-Signature": signature_of(body, self._secret),
        }
        reply = self._loop.run(self._post(body, headers))
        if reply.verdict is Verdict.NEVER:
            raise Refused(BY_OUTLET, f"{self.name}: {reply.sentence}")
        if reply.verdict is Verdict.FAILED:
            raise AboutEventError(f"{self.name}: {reply.sentence}")
        if reply.verdict is not Verdict.DONE:
            raise AwayError(f"{self.name}: {reply.sentence}")

    def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            self._loop.run(self._session.close())
            self._session = None
        self._loop.close()

    async def _post(self, body: bytes, headers: dict[str, str]) -> Reply:
        if self._session is None:  # it belongs to a loop that runs
            self._session = session_of(self._tls, self._timeout_s, reuse=False)
        return await post(self._session, self._url, body, headers)
