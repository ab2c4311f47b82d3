"""
Postfix's policy delegation wire, without the network: bytes to requests, a verdict to the exact bytes of an answer.

Lines of `name=value`, LF, and an empty line at the end (Postfix, SMTPD_POLICY_README). Decision: CRLF is understood, LF
is answered, since Postfix hangs at CRLF. Empty lines between requests are no requests: an answer to one would stand for
the next request, and every later one would get its neighbour's. What is no request still gets one answer, in its turn.
"""

import re
from typing import NamedTuple

from streams.core.refusal import Refused

END = re.compile(rb"\n\r?\n")
END_BYTES = 3
"""The longest match of END: as many bytes at the end of a part may belong to it."""
MOST_DISCARDED = 1 << 20
"""Of one over-long request; it is then given up, and its connection with it."""
LONGEST_ACTION = 500
"""What SMTP allows in a line is 512 bytes (RFC 5321 4.5.3.1.5)."""
REPLACEMENT = "\ufffd"
"""Stands where bytes were no UTF-8: such a name is nobody's."""
REQUEST = "smtpd_access_policy"
DENIALS = re.compile(r"(REJECT|DEFER|DEFER_IF_PERMIT|[45]\d\d)( .+)?", re.ASCII | re.IGNORECASE | re.DOTALL)
LARGEST_COUNT, LARGEST_SIZE = (1 << 31) - 1, (1 << 63) - 1


class Request(NamedTuple):
    """What Postfix says of one step of an SMTP session; texts that it left out are "", numbers None."""

    state: str
    username: str
    mechanism: str
    sender: str
    recipients: int | None
    size: int | None
    queue_id: str
    instance: str
    client_address: str
    client_port: str
    server_address: str


class RequestReader:
    """
    Cuts a stream into requests, however it arrives: in halves or many at once.

    Holds at most `most_bytes` of a request and a few more. A longer one becomes one Refused("too-large") at its end.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._buffer = bytearray()
        self._looked = 0
        self._discarded = 0

    @property
    def halfway(self) -> bool:
        """Whether a request has begun and not ended."""
        return bool(self._buffer) or self._discarded > 0

    @property
    def hopeless(self) -> bool:
        """Whether a request is so long that its end need not be waited for."""
        return self._discarded > MOST_DISCARDED

    def feed(self, data: bytes) -> list[Request | Refused]:
        """The requests that end in this part, in their order; a Refused stands for one that is none."""
        buffer = self._buffer
        buffer += data
        found: list[Request | Refused] = []
        while True:
            if not self._discarded:
                self._skip_empty_lines()
            end = END.search(buffer, self._looked)
            if end is None:
                break
            found.append(self._one(bytes(buffer[: end.start()])))
            del buffer[: end.end()]
            self._looked = self._discarded = 0
        if len(buffer) > self._most + END_BYTES:
            self._discarded += len(buffer) - END_BYTES
            del buffer[:-END_BYTES]
        self._looked = max(0, len(buffer) - END_BYTES)
        return found

    def _skip_empty_lines(self) -> None:
        buffer = self._buffer
        if buffer and buffer[0] in b"\r\n":
            buffer[:] = buffer.lstrip(b"\r\n")
            self._looked = 0

    def _one(self, raw: bytes) -> Request | Refused:
        if self._discarded or len(raw) > self._most:
            return Refused("too-large", f"a policy request is longer than {self._most} bytes")
        try:
            return parse_request(raw)
        except Refused as refusal:
            return refusal


def parse_request(raw: bytes) -> Request:
    r"""
    One request, without the empty line at its end. Attributes that we do not know are ignored.

    >>> parse_request(b"request=smtpd_access_policy\nprotocol_state=RCPT\nsasl_username=a@example.org").username
    'a@example.org'

    Raises Refused: bad-request (a line that is no attribute, a NUL), unknown-request (another protocol's).
    """
    text = raw.decode(errors="replace").removesuffix("\r").replace("\r\n", "\n")
    try:
        attributes = dict([line.split("=", 1) for line in text.split("\n")])
    except ValueError as error:
        raise Refused("bad-request", "a line of a policy request is not name=value") from error
    if "\0" in text:
        raise Refused("bad-request", "a policy request holds a NUL")
    get = attributes.get
    if get("request") != REQUEST:
        raise Refused("unknown-request", f"a policy request is not of the kind {REQUEST}")
    return Request(
        state=get("protocol_state", "").upper(),
        username=get("sasl_username", ""),
        mechanism=get("sasl_method", ""),
        sender=get("sender", ""),
        recipients=_number(get("recipient_count", ""), LARGEST_COUNT),
        size=_number(get("size", ""), LARGEST_SIZE),
        queue_id=get("queue_id", ""),
        instance=get("instance", ""),
        client_address=get("client_address", ""),
        client_port=get("client_port", ""),
        server_address=get("server_address", ""),
    )


def parse_denial(text: str) -> str:
    """
    The action with which an operator wants a message refused.

    >>> parse_denial(" 521 5.7.1 Account locked. ")
    '521 5.7.1 Account locked.'

    Raises Refused for anything that lets a message pass (OK, PERMIT, DUNNO, FILTER and the like) or is more than a line.
    """
    action = text.strip()
    if len(action) > LONGEST_ACTION or not action.isprintable():
        raise Refused("bad-action", f"an action is one line of at most {LONGEST_ACTION} characters: {action[:60]!r}")
    if not DENIALS.fullmatch(action):
        raise Refused(
            "bad-action",
            f"{action[:60]!r} does not refuse: write REJECT, DEFER, DEFER_IF_PERMIT, or a code such as 521, and a sentence",
        )
    return action


def reply(action: str) -> bytes:
    r"""
    What Postfix reads.

    >>> reply("REJECT 5.7.1 Account locked.")
    b'action=REJECT 5.7.1 Account locked.\n\n'
    """
    line = action if action.isprintable() else " ".join("".join(c if c.isprintable() else " " for c in action).split())
    return b"action=" + line.encode() + b"\n\n"


def _number(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        return None
    return min(int(text), most)


PASS = reply("DUNNO")
"""No opinion: Postfix goes on with its next rule. OK and PERMIT would skip those, and could open a relay."""
