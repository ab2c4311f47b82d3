"""
One mail to the mail server, by SMTP with TLS and authentication, over a connection that is kept while it is used.

Decision: a failure is the server's as long as no mail could begin (connection, TLS, authentication, our own sender address),
and the mail's afterwards. So a server that is away makes everybody wait, and a mail on which the server chokes makes only
itself wait. Certificates are always verified, and STARTTLS is required where it is set.
"""

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from enum import Enum
from time import monotonic

import aiosmtplib

from streams.connectors.mail_address import plain
from streams.connectors.mail_format import Mail
from streams.errors import ConfigurationError
from streams.settings import Settings

IDLE_S = 15
"""A connection unused for longer is closed: servers do so too, some without a word."""
ABOUT_THE_MAIL = {552, 555}
"""Refusals of MAIL FROM that are about this mail's size and options, not about us (RFC 1870, RFC 5321 4.1.1.11)."""
SERVICE_ENDS = 421
PERMANENT = 500
REPLY = 300
"""Most characters of a server's reply that are kept."""
_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError)


class Outcome(Enum):
    """What became of a mail."""

    SENT = "sent"
    LATER = "later"  # the server would not take this mail now
    NEVER = "never"  # the server will not take this mail
    NO_SERVER = "no server"  # no mail can be sent at all now


@dataclass(frozen=True)
class Delivery:
    """An outcome, and the server's words cleaned."""

    outcome: Outcome
    reply: str = ""


class _SessionOverError(Exception):
    """The server ended the session before it took anything of the mail."""


class SmtpServer:
    """The mail server of the settings. One mail at a time."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigurationError for settings that would send without protection, or that cannot be used."""
        check_protection(settings)
        self._settings = settings
        self._tls = tls_context(settings)
        self._client: aiosmtplib.SMTP | None = None
        self._used_s = 0.0

    async def send(self, mail: Mail) -> Delivery:
        """Hand this mail to the server; never raises for what a server or a network can do."""
        kept = self._client
        try:
            client = await self._session()
            return await self._transact(client, mail)
        except _SessionOverError as error:
            if kept is not None and self._client is None:
                return await self.send(mail)  # it had only grown tired of the kept connection
            return Delivery(Outcome.NO_SERVER, plain(error, REPLY))
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return Delivery(Outcome.NO_SERVER, words_of(error))

    async def probe(self) -> Delivery:
        """Open a session without a mail: SENT when mails can be sent, else NO_SERVER."""
        try:
            await self._session()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return Delivery(Outcome.NO_SERVER, words_of(error))
        return Delivery(Outcome.SENT)

    async def close_if_idle(self) -> None:
        """Let go of a connection that nobody uses."""
        client = self._client
        if client is not None and (not client.is_connected or monotonic() - self._used_s > IDLE_S):
            await self.close()

    async def close(self) -> None:
        """Say goodbye if there is somebody to say it to."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            await client.quit(timeout=2)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            client.close()

    async def _session(self) -> aiosmtplib.SMTP:
        """The kept connection, or a new one with TLS and authentication done."""
        await self.close_if_idle()
        if self._client is not None:
            return self._client
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=self._tls,
            username=settings.smtp_username or None,
            password=settings.smtp_password.get_secret_value() if settings.smtp_username else None,
        )
        try:
            async with asyncio.timeout(3 * settings.smtp_timeout):  # many slow answers are not patience but a trap
                await client.connect()
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        self._client, self._used_s = client, monotonic()
        return client

    async def _transact(self, client: aiosmtplib.SMTP, mail: Mail) -> Delivery:
        if mail.utf8 and not client.supports_extension("smtputf8"):
            return Delivery(Outcome.NEVER, "the mail server does not support SMTPUTF8, which this address needs")
        begun = False
        try:
            async with asyncio.timeout(4 * self._settings.smtp_timeout):
                await client.mail(
                    mail.sender, options=_options(client, mail), encoding="utf-8" if mail.utf8 else "ascii"
                )
                begun = True
                await client.rcpt(mail.recipient, encoding="utf-8" if mail.utf8 else "ascii")
                reply = await client.data(mail.content)
        except (*_LOST, TimeoutError) as error:
            self._drop(client)
            if not begun:
                raise _SessionOverError(words_of(error)) from error
            return Delivery(Outcome.LATER, words_of(error))
        except aiosmtplib.SMTPResponseException as error:
            return await self._refused(client, error, begun=begun)
        except BaseException:
            self._drop(client)
            raise
        self._used_s = monotonic()
        return Delivery(Outcome.SENT, plain(f"{reply.code} {reply.message}", REPLY))

    async def _refused(
        self, client: aiosmtplib.SMTP, error: aiosmtplib.SMTPResponseException, *, begun: bool
    ) -> Delivery:
        """What a refusal means: of the mail once it had begun, of us before."""
        words = words_of(error)
        if error.code == SERVICE_ENDS or error.code < 400:  # an answer out of turn: this session has lost its way
            self._drop(client)
        else:
            await self._reset(client)
        if not begun and error.code == SERVICE_ENDS:
            raise _SessionOverError(words) from error
        if not begun and error.code not in ABOUT_THE_MAIL:
            return Delivery(Outcome.NO_SERVER, f"the sender address is refused: {words}")
        return Delivery(Outcome.NEVER if error.code >= PERMANENT else Outcome.LATER, words)

    async def _reset(self, client: aiosmtplib.SMTP) -> None:
        """Make the session ready for the next mail, or end it."""
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            self._drop(client)
        self._used_s = monotonic()

    def _drop(self, client: aiosmtplib.SMTP) -> None:
        client.close()
        self._client = None


def check_protection(settings: Settings) -> None:
    """Mails and the password go over a network only encrypted. Raises ConfigurationError."""
    if settings.smtp_tls != "none" or settings.smtp_allow_plaintext or _is_loopback(settings.smtp_host):
        return
    raise ConfigurationError(
        f"smtp_tls is none, but {settings.smtp_host} is another machine: everybody between could read the notifications."
        " Set smtp_tls to starttls or tls, or smtp_allow_plaintext if that network is yours alone"
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS that verifies certificate and name; None without TLS. Raises ConfigurationError for an unusable CA file."""
    if settings.smtp_tls == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.smtp_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"smtp_ca_file {settings.smtp_ca_file} cannot be used ({error}): it must hold CA certificates as PEM"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def words_of(error: Exception) -> str:
    """An error of the mail server or the way to it as one clean line."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return plain(f"{error.code} {error.message}", REPLY)
    return plain(str(error) or "no answer in time", REPLY)


def _options(client: aiosmtplib.SMTP, mail: Mail) -> list[str]:
    """What MAIL FROM says of the mail, as far as the server understands it."""
    options = [f"SIZE={len(mail.content)}"] if client.supports_extension("size") else []
    return [*options, "SMTPUTF8"] if mail.utf8 else options


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
