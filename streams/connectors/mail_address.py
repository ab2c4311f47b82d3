"""
Addresses of mails and text from outside, made harmless before either comes near a header or a reader's eyes.

Decision: an address is taken in its plain form `local@domain` only, without quotes, comments, display names or address
literals; a policy's `notify` needs nothing else, and each of them has been a way into somebody's headers.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

from streams.core.refusal import Refused

LOCAL_BYTES = 64  # RFC 5321, 4.5.3.1.1
ADDRESS_BYTES = 254  # RFC 5321, 4.5.3.1.3 less the angle brackets
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"  # RFC 5322, 3.2.3
_LOCAL = re.compile(rf"(?:{_ATEXT}|[^\x00-\x7f])+(?:\.(?:{_ATEXT}|[^\x00-\x7f])+)*")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that are not seen as what they are: controls, bidi and zero-width marks, surrogates, line ends."""


@dataclass(frozen=True)
class Address:
    """An address that a server can be given: the domain in its ASCII form, the local part as written."""

    local: str
    domain: str

    @property
    def spec(self) -> str:
        """`local@domain`."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Can only a server with SMTPUTF8 (RFC 6531) take it?"""
        return not self.local.isascii()


def parse_address(text: str) -> Address:
    """
    The address that this text is. Raises Refused (`invalid_address`) with a sentence that says why it is none.

    >>> parse_address("soc@Bücher.example").spec
    'soc@xn--bcher-kva.example'
    """
    shown = plain(text, 100)
    local, at, domain = text.strip(" ").rpartition("@")
    if not at or not local or not domain:
        raise Refused("invalid_address", f"{shown!r} is no mail address: it must read local@domain")
    if hidden := next((char for char in local + domain if unicodedata.category(char) in _HIDDEN), None):
        raise Refused("invalid_address", f"{shown!r} is no mail address: it contains U+{ord(hidden):04X}")
    # "=?" would be read as an encoded word, whose content is anything, line ends included
    if not _LOCAL.fullmatch(local) or any(char.isspace() for char in local) or "=?" in local:
        raise Refused("invalid_address", f"{shown!r} is no mail address: the part before the @ is malformed")
    address = Address(local, _ascii_domain(domain, shown))
    if len(local.encode()) > LOCAL_BYTES or len(address.spec.encode()) > ADDRESS_BYTES:
        raise Refused("invalid_address", f"{shown!r} is no mail address: it is too long")
    return address


def _ascii_domain(domain: str, shown: str) -> str:
    try:
        return idna.encode(domain.removesuffix("."), uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError, IndexError) as error:
        raise Refused(
            "invalid_address", f"{shown!r} is no mail address: no valid domain ({plain(str(error), 80)})"
        ) from error


def plain(text: object, most: int) -> str:
    r"""
    A text from outside as one line of at most `most` characters, in which nothing is hidden.

    What cannot be seen (controls, line ends, bidi and zero-width marks) becomes U+FFFD, so that the reader sees that there
    was something.

    >>> plain("Ber\u202elin\r\nBcc: x", 100) == "Ber\ufffdlin\ufffd\ufffdBcc: x"
    True
    """
    head = str(text)[: most + 1]
    seen = "".join("\ufffd" if unicodedata.category(char) in _HIDDEN else char for char in head)
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1] + "…"
