"""
Syslog messages (RFC 5424) with an OCSF event for content, and their frame on a stream (RFC 5425 4.3: octet counting). Pure.
"""

from datetime import UTC, datetime

import orjson

from streams.connectors.ocsf import Event

SECURITY = 10
"""Facility "security/authorization messages" (RFC 5424, table 1)."""
SEVERITIES = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}
"""OCSF severity_id (Informational to Fatal) to syslog severity (informational to alert)."""
NOTICE = 5
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""RFC 5424 6.4 demands it before content in UTF-8."""


def syslog_message(event: Event, hostname: str) -> bytes:
    r"""
    One message: the class as MSGID, the event as JSON for content. No newline, nothing but printable ASCII in the head.

    >>> event = {"severity_id": 4, "time": 0, "class_uid": 2004, "metadata": {"uid": "1"}}
    >>> syslog_message(event, "mail 1")[:69]
    b'<83>1 1970-01-01T00:00:00.000Z mail?1 loginwatch - ocsf-2004 - \\xef\\xbb\\xbf{"s'
    """
    priority = SECURITY * 8 + SEVERITIES.get(event["severity_id"], NOTICE)
    at = datetime.fromtimestamp(event["time"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{priority}>1 {at} {_name(hostname)} loginwatch - ocsf-{event['class_uid']} - "
    return head.encode() + BYTE_ORDER_MARK + orjson.dumps(event)


def framed(message: bytes) -> bytes:
    """
    As it stands on a stream: its length in bytes, a space, the message.

    >>> framed(b"<83>1")
    b'5 <83>1'
    """
    return b"%d %b" % (len(message), message)


def _name(text: str) -> str:
    """A HOSTNAME: printable ASCII without spaces, at most 255; `-` where there is none."""
    return "".join(char if "!" <= char <= "~" else "?" for char in text)[:255] or "-"
