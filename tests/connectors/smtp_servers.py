"""Real SMTP servers for the tests: aiosmtpd, with certificates of a CA of our own and answers by script."""

import asyncio
import datetime as dt
import email
import email.policy
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

Answer = str | Callable[[SMTP], Awaitable[str]] | None
"""A reply, what makes one, or None for the usual."""


@dataclass
class Inbox:
    """
    Takes mails, and answers as its scripts say: one answer for each time, and the usual when there is none left.
    """

    delivered: list[Envelope] = field(default_factory=list)
    rcpt: dict[str, list[Answer]] = field(default_factory=dict)
    data: list[Answer] = field(default_factory=list)
    mail: list[Answer] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    options: list[list[str]] = field(default_factory=list)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.sessions.append(session)
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        if (answer := await said(self.mail, server)) is not None:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        self.options.append(mail_options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if (answer := await said(self.rcpt.get(address, []), server)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if (answer := await said(self.data, server)) is not None:
            return answer
        self.delivered.append(envelope)
        return "250 2.0.0 queued"

    def messages(self) -> list[EmailMessage]:
        """The mails taken, parsed."""
        parsed = [email.message_from_bytes(bytes_of(mail), policy=email.policy.default) for mail in self.delivered]
        return [message for message in parsed if isinstance(message, EmailMessage)]

    def recipients(self) -> list[str]:
        """Of the mails taken, in order."""
        return [recipient for mail in self.delivered for recipient in mail.rcpt_tos]


async def said(script: list[Answer], server: SMTP) -> str | None:
    if not script:
        return None
    answer = script.pop(0)
    return await answer(server) if callable(answer) else answer


async def hang_up(server: SMTP) -> str:
    """Break the connection off without an answer."""
    server.transport.abort()
    return "421 gone"


async def say_nothing(server: SMTP) -> str:
    """Keep the client waiting until it leaves."""
    while not server.transport.is_closing():  # noqa: ASYNC110 - a transport has no event for it
        await asyncio.sleep(0.02)
    return "421 too late"


def bytes_of(envelope: Envelope) -> bytes:
    content = envelope.original_content
    assert content is not None
    return content


class Users:
    """One user."""

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"mailer", b"secret")
        return AuthResult(success=good, handled=False)


@contextmanager
def smtp_server(inbox: Inbox, *, port: int = 0, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """A server on the loopback interface; yields its port. `tls` speaks TLS at once."""
    controller = Controller(
        inbox, hostname="127.0.0.1", port=port or free_port(), ssl_context=tls, ready_timeout=20, **options
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@dataclass(frozen=True)
class Certificates:
    """A CA, and contexts of servers whose certificates it signed."""

    ca_file: str
    server: ssl.SSLContext
    other_name: ssl.SSLContext


def make_certificates(directory: Path) -> Certificates:
    """A CA of our own, a certificate for 127.0.0.1, and one for another name."""
    key, name = ec.generate_private_key(ec.SECP256R1()), named("test CA")
    ca = signed(name, key.public_key(), name, key, x509.BasicConstraints(ca=True, path_length=0))
    ca_file = directory / "ca.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    there = x509.SubjectAlternativeName([x509.DNSName("mail.example.net")])
    return Certificates(
        str(ca_file),
        context(directory / "here.pem", name, key, here),
        context(directory / "there.pem", name, key, there),
    )


def context(file: Path, issuer: x509.Name, ca_key: ec.EllipticCurvePrivateKey, names: Any) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = signed(named("server"), key.public_key(), issuer, ca_key, names)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def signed(
    subject: x509.Name, public: Any, issuer: x509.Name, ca_key: ec.EllipticCurvePrivateKey, extension: Any
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(ca_key, hashes.SHA256())
    )


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
