"""
A mail server that takes everything and keeps the last mails as files, so that the demo's notifications can be read.

Decision: it listens on the loopback interface only and delivers nowhere.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope

KEPT = 200
LARGEST_BYTES = 1_000_000


@dataclass(frozen=True)
class Mail:
    """One mail that arrived: whom it was for, what it is about, and the file that holds it."""

    recipients: tuple[str, ...]
    subject: str
    path: Path


class Mailbox:
    """An SMTP listener on a free port whose mails become `.eml` files in `folder`. Use it with `async with`."""

    def __init__(self, folder: Path, on_mail: Callable[[Mail], None]) -> None:
        self.folder = folder
        self.port = 0
        self.number = 0
        self._on_mail = on_mail
        self._kept: deque[Path] = deque()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(
                self,
                hostname="localhost",
                ident="loginwatch demo",
                data_size_limit=LARGEST_BYTES,
                enable_SMTPUTF8=True,
                loop=loop,
            ),
            "127.0.0.1",
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail (called by aiosmtpd)."""
        content = envelope.original_content or b""
        self.number += 1
        path = self.folder / f"{self.number:04}.eml"
        path.write_bytes(content)
        self._kept.append(path)
        if len(self._kept) > KEPT:
            self._kept.popleft().unlink(missing_ok=True)
        subject = message_from_bytes(content, policy=policy.default)["Subject"]
        self._on_mail(Mail(tuple(envelope.rcpt_tos), str(subject or ""), path))
        return "250 OK"
