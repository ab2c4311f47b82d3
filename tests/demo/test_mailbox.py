"""The demo's mailbox: a real SMTP server whose mails are files."""

from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from streams.demo import mailbox
from streams.demo.mailbox import Mail, Mailbox


def letter(subject: str) -> EmailMessage:
    """A small mail."""
    message = EmailMessage()
    message["From"] = "loginwatch@example.org"
    message["To"] = "soc@example.org"
    message["Subject"] = subject
    message.set_content("Somebody logs in from too many places.")
    return message


async def test_a_mail_becomes_a_file(tmp_path: Path) -> None:
    """What is sent by SMTP lies in the folder, byte for byte readable, and is announced with its subject."""
    mails: list[Mail] = []

    async with Mailbox(tmp_path / "box", mails.append) as box:
        await aiosmtplib.send(letter("Blocked: ännchen@example.org"), hostname="127.0.0.1", port=box.port)

    (mail,) = mails
    assert mail.recipients == ("soc@example.org",)
    assert mail.subject == "Blocked: ännchen@example.org"
    assert mail.path.parent == tmp_path / "box"
    assert b"too many places" in mail.path.read_bytes()


async def test_only_the_last_mails_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is bounded: the oldest files go first."""
    monkeypatch.setattr(mailbox, "KEPT", 2)
    mails: list[Mail] = []

    async with Mailbox(tmp_path, mails.append) as box:
        for number in range(4):
            await aiosmtplib.send(letter(f"mail {number}"), hostname="127.0.0.1", port=box.port)

    assert [mail.subject for mail in mails] == [f"mail {number}" for number in range(4)]
    assert [mail.path.exists() for mail in mails] == [False, False, True, True]


async def test_an_enormous_mail_is_refused(tmp_path: Path) -> None:
    """A mail over the bound is refused by its size, and nothing is kept."""
    message = letter("big")
    message.set_content("x" * (mailbox.LARGEST_BYTES + 1000), cte="8bit")

    mails: list[Mail] = []

    async with Mailbox(tmp_path, mails.append) as box:
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await aiosmtplib.send(message, hostname="127.0.0.1", port=box.port)

    assert mails == []
