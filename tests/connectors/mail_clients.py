"""Mail clients that log in from an address of the loopback network, one for each door of a mail server."""

import base64
import imaplib
import poplib
import smtplib
import socket
from collections.abc import Callable
from contextlib import suppress

PASSWORD = "right-password"
HERE = "127.0.0.1"
TIMEOUT_S = 30

Login = Callable[[int, str, str, str], str]
"""Logs in at a port as a user with a password from an address: "" if it works, else what the client is told."""


class Imap(imaplib.IMAP4):
    """As imaplib's, from an address of our choice."""

    def __init__(self, port: int, address: str = HERE) -> None:
        self._address = address
        super().__init__(HERE, port, timeout=TIMEOUT_S)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, source_address=(self._address, 0))


class Idling:
    """
    An IMAP session that waits for mail; `farewell` is what the server says when it ends it, "" while it does not.

    Dovecot tells an idle client `* OK Still here` every two minutes, the first time when it likes: that is no end.
    """

    def __init__(self, port: int, user: str, address: str = HERE) -> None:
        self._client = Imap(port, address)
        self._client.login(user, PASSWORD)
        self._client.select()
        self._client.send(b"x IDLE\r\n")
        assert self._client.readline().startswith(b"+ ")
        self._client.sock.settimeout(0.01)
        self.farewell = ""

    def ended(self) -> bool:
        """Whether the server has ended it."""
        with suppress(TimeoutError):
            said = self._client.sock.recv(1000).decode()
            if not said or "BYE" in said:
                self.farewell += said or " (closed)"
        return bool(self.farewell)

    def works(self) -> bool:
        """Whether the session still answers."""
        self._client.sock.settimeout(10)
        self._client.send(b"DONE\r\n")
        while (line := self._client.readline()).startswith(b"* OK"):
            pass
        return line.startswith(b"x OK")

    def close(self) -> None:
        """Let go of it."""
        self._client.shutdown()


class Pop3(poplib.POP3):
    """As poplib's, from an address of our choice."""

    def __init__(self, port: int, address: str = HERE) -> None:
        self._address = address
        super().__init__(HERE, port, timeout=TIMEOUT_S)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, source_address=(self._address, 0))


class Sieve:
    """As much of ManageSieve (RFC 5804) as a login needs."""

    def __init__(self, port: int, address: str = HERE) -> None:
        self._socket = socket.create_connection((HERE, port), TIMEOUT_S, source_address=(address, 0))
        self._file = self._socket.makefile("rb")
        greeting = self._answer()
        assert greeting.startswith("OK"), greeting

    def login(self, user: str, password: str) -> str:
        """The line with which the server answers."""
        given = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._socket.sendall(f'AUTHENTICATE "PLAIN" "{given}"\r\n'.encode())
        return self._answer()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _answer(self) -> str:
        """The line that ends an answer; the lines of capabilities before it are quoted."""
        while (line := self._file.readline().decode().strip()).startswith('"'):
            pass
        return line


def imap(port: int, user: str, password: str = PASSWORD, address: str = HERE) -> str:
    """Log in by IMAP."""
    client = Imap(port, address)
    try:
        client.login(user, password)
    except imaplib.IMAP4.error as refused:
        return str(refused)
    finally:
        client.shutdown()
    return ""


def pop3(port: int, user: str, password: str = PASSWORD, address: str = HERE) -> str:
    """Log in by POP3."""
    client = Pop3(port, address)
    try:
        client.user(user)
        client.pass_(password)
    except poplib.error_proto as refused:
        return str(refused)
    finally:
        client.close()
    return ""


def smtp(port: int, user: str, password: str = PASSWORD, address: str = HERE) -> str:
    """Log in by SMTP AUTH, at Postfix or at Dovecot's submission service."""
    with suppress(smtplib.SMTPServerDisconnected), smtplib.SMTP(HERE, port, None, TIMEOUT_S, (address, 0)) as client:
        try:
            client.login(user, password)
        except smtplib.SMTPResponseException as refused:
            return f"{refused.smtp_code} {bytes(refused.smtp_error).decode()}"
    return ""


def sieve(port: int, user: str, password: str = PASSWORD, address: str = HERE) -> str:
    """Log in by ManageSieve."""
    client = Sieve(port, address)
    try:
        answer = client.login(user, password)
    finally:
        client.close()
    return "" if answer.startswith("OK") else answer


CLIENTS: dict[str, Login] = {"imap": imap, "pop3": pop3, "submission": smtp, "sieve": sieve, "smtp": smtp}
"""A client for each door; `submission` is Dovecot's, `smtp` is Postfix's with Dovecot's SASL."""
