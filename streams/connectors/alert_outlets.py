"""
Where events for a SOC go: a topic, a file with rotation, a syslog server, a webhook.

An outlet takes one event at a time and returns when it has been taken: acknowledged by Kafka, written and synced to disk,
answered by the receiver. Syslog has no answer: an event counts as taken when the connection took it, and one that was on
its way when a connection broke may be lost. Decision: everything blocks, since every outlet has a thread of its own.
"""

import os
import socket
import ssl
from pathlib import Path
from typing import Protocol

import httpx
import orjson

from streams.bus.health import parse_listen
from streams.bus.producer import Producer
from streams.connectors.enforcement_queue import Verdict
from streams.connectors.ocsf import Event
from streams.connectors.receivers import Receiver, tls_of
from streams.connectors.syslog import framed, syslog_message
from streams.connectors.webhook import reply_to, signature_of
from streams.core.refusal import Refused
from streams.settings import Settings
from streams.topology import ALERTS

FLUSH_S = 130
"""Longer than the producer retries; after that a record is lost, and the process ends."""


class AwayError(Exception):
    """The outlet cannot take events now; the text says why."""


class Outlet(Protocol):
    """One place that events go to."""

    name: str

    def deliver(self, account: str, event: Event) -> None:
        """Hand over one event. Raises AwayError to be tried again, Refused for what will never be taken."""

    def close(self) -> None:
        """Let go."""


class TopicOutlet:
    """The topic `alerts`, keyed by account."""

    name = "topic"

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(settings, linger_ms=0)

    def deliver(self, account: str, event: Event) -> None:
        """Raises DeliveryError when Kafka does not take it."""
        self._producer.send(ALERTS.name, orjson.dumps(event), key=account)
        self._producer.flush(FLUSH_S)

    def close(self) -> None:
        """Let go."""
        self._producer.close(1)


class FileOutlet:
    """A file of lines; when it is longer than `most_bytes` it is put aside as `.1`, and `.keep` is deleted."""

    name = "file"

    def __init__(self, path: Path, most_bytes: int, keep: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._keep = keep

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Append and sync, so that a line that was reported is on the disk."""
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._rotate(len(line))
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                _write_whole(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AwayError(f"cannot write {self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Nothing is kept open."""

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

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Send it over the open connection, or a new one."""
        message = framed(syslog_message(event, self._hostname))
        try:
            if self._connection is None or _is_closed(self._connection):
                self.close()
                self._connection = self._connect()
            self._connection.sendall(message)
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise AwayError(f"syslog server {self._host} port {self._port}: {error}") from error

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    finally:
        connection.setblocking(True)


class HookOutlet:
    """One webhook; the body is the event, signed as enforcement's webhooks are."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        self.name = f"webhook-{receiver.name}"
        self._url = str(receiver.url)
        self._secret = settings.alerts_webhook_secret.get_secret_value()
        self._client = httpx.Client(
            timeout=settings.alerts_timeout,
            verify=tls_of(settings, "alerts_ca_file"),
            follow_redirects=False,
            trust_env=False,
        )

    def deliver(self, account: str, event: Event) -> None:  # noqa: ARG002 - others key by it
        """Post it once."""
        body = orjson.dumps(event)
        headers = {
            "Content-Type": "application/json",
            "X-Loginwatch-Event": event["class_name"],
            "X-Loginwatch-Delivery": event["metadata"]["uid"],
            "X-Loginwatch-Signature": signature_of(body, self._secret),
        }
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise AwayError(f"{self.name}: {error or type(error).__name__}") from error
        reply = reply_to(answer.status_code)
        if reply.verdict is Verdict.NEVER:
            raise Refused("alert-refused", f"{self.name} {reply.sentence}")
        if reply.verdict is not Verdict.DONE:
            raise AwayError(f"{self.name} {reply.sentence}")

    def close(self) -> None:
        """End the connections."""
        self._client.close()
