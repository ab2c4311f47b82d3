"""
From a notification to a mail: pure, no clock, no network.

Decision: the words come clean and bounded from `mail_letter`, the layout from `mail_templates/` (escaped for HTML by Jinja2's
autoescape), the headers from here. Message-ID, Date and MIME boundary derive from the notification, so that a repeated
mail is the same bytes and recognisable as a repetition.
"""

import uuid
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from streams.connectors.mail_address import Address
from streams.connectors.mail_letter import EPOCH, Letter, Record, moment_of, write
from streams.connectors.mail_words import LANGUAGES, Words

MESSAGE_IDS = uuid.UUID("6f1b0c62-3a6e-5d0e-9a59-6e6f2a0d9b11")
"""Namespace of the Message-IDs. Never change it: a repeated mail would no longer be recognised."""

_LAYOUT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "mail_templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), disabled_extensions=("txt",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

LINE = 78
"""Characters of a header line, RFC 5322 2.1.1; encoded words must keep to it."""
LONG_LINE = 900
"""Folding a subject of ASCII leaves its first line empty, which spam filters dislike, so it is not folded."""


@dataclass(frozen=True)
class Writer:
    """How this installation writes: `from_` on the mails, `language` a key of LANGUAGES, `help_text` whom to ask."""

    from_: Address
    language: str = "en"
    help_text: str = ""


@dataclass(frozen=True)
class Mail:
    """A mail ready for a server: its bytes, CRLF line ends, only ASCII unless `utf8`."""

    message_id: str
    sender: str
    recipient: str
    content: bytes
    utf8: bool


def compose(notification: Record, recipient: Address, writer: Writer) -> Mail:
    """The mail that tells `recipient` of this notification. Equal arguments give equal bytes."""
    own = is_account(recipient, str(notification["account"]))
    words = LANGUAGES[writer.language]
    letter = write(notification, words, own=own, help_text=writer.help_text)
    message_id = message_id_of(str(notification["id"]), recipient, writer.from_)
    message = _message(letter, words, message_id)
    message["From"] = HeaderAddress("loginwatch", writer.from_.local, writer.from_.domain)
    message["To"] = HeaderAddress("", recipient.local, recipient.domain)
    message["Date"] = format_datetime(moment_of(notification["time"]) or EPOCH)
    utf8 = recipient.needs_utf8 or writer.from_.needs_utf8
    line = LONG_LINE if letter.subject.isascii() else LINE
    content = message.as_bytes(policy=policy.SMTP.clone(cte_type="7bit", utf8=utf8, max_line_length=line))
    return Mail(message_id, writer.from_.spec, recipient.spec, content, utf8)


def message_id_of(notification_id: str, recipient: Address, sender: Address) -> str:
    """The Message-ID of this notification to this recipient: the same at every repetition, in every process."""
    name = uuid.uuid5(MESSAGE_IDS, f"{notification_id}\n{recipient.spec}".encode("utf-8", "replace").decode())
    return f"<{name}@{sender.domain}>"


def is_account(recipient: Address, account: str) -> bool:
    """Is this recipient the owner of the account, who needs other words than an administrator?"""
    return recipient.spec.lower() == account.lower()


def _message(letter: Letter, words: Words, message_id: str) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTPUTF8)
    # Python's email package decodes encoded words in what it is given, line ends in them included, and writes them out
    message["Subject"] = letter.subject.replace("=?", "= ?")
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers
    message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    text = _LAYOUT.get_template("notification.txt").render(letter=letter, words=words)
    page = _LAYOUT.get_template("notification.html.j2").render(letter=letter, words=words)
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_{message_id[1:37]}")
    message["Content-Language"] = words.language
    return message
