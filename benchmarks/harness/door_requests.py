"""What the benchmark of doors asks: requests as Dovecot and Postfix send them, about accounts of whom a fifth are blocked."""

import json
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.harness.door_processes import DOMAIN, KEY, name
from benchmarks.harness.open_loop import Request

SHARE_BLOCKED = 0.2
POLICY = """request=smtpd_access_policy
protocol_state={state}
protocol_name=ESMTP
client_address=203.0.113.7
client_name=unknown
client_port={port}
reverse_client_name=unknown
server_address=192.0.2.25
server_port=587
helo_name=client.example.org
sender={login}
recipient=somebody@example.com
recipient_count={recipients}
queue_id={queue_id}
instance=7d76.6b026f7c.747c8.{number}
size={size}
etrn_domain=
stress=
sasl_method=PLAIN
sasl_username={login}
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context=sender

"""


def questions(blocks: int, chance: random.Random) -> Iterator[Request]:
    """Dovecot's `allow`, each about another login."""
    while True:
        login, blocked = _somebody(blocks, chance)
        yield Request(_http("allow", _body(login, chance)), blocked)


def echoed(blocks: int, chance: random.Random) -> Iterator[Request]:
    """The same for a process that denies nobody."""
    return (Request(request.raw, denied=False) for request in questions(blocks, chance))


def logins(blocks: int, chance: random.Random) -> Iterator[Request]:
    """All that Dovecot asks of one login: twice the same `allow`, then the `report`."""
    while True:
        login, blocked = _somebody(blocks, chance)
        body = _body(login, chance)
        allow = Request(_http("allow", body), blocked)
        report = json.dumps({**json.loads(body), "success": not blocked, "policy_reject": blocked}).encode()
        yield from (allow, allow, Request(_http("report", report), denied=False))


def recipients(blocks: int, chance: random.Random) -> Iterator[Request]:
    """Postfix's question at RCPT, each of another message."""
    for number in count():
        login, blocked = _somebody(blocks, chance)
        yield _policy(login, blocked, number, chance)


def messages(blocks: int, chance: random.Random) -> Iterator[Request]:
    """All that Postfix asks of one message: at RCPT and, where that passed, at end-of-data, which counts the message."""
    for number in count():
        login, blocked = _somebody(blocks, chance)
        yield _policy(login, blocked, number, chance)
        if not blocked:
            yield _policy(
                login, blocked, number, chance, state="END-OF-MESSAGE", recipients=1, queue_id=f"4E{number:08X}"
            )


def _somebody(blocks: int, chance: random.Random) -> tuple[str, bool]:
    blocked = chance.random() < SHARE_BLOCKED
    number = chance.randrange(blocks)
    local = name(number).decode() if blocked else f"free{number:07d}"
    return local + DOMAIN.decode(), blocked


def _body(login: str, chance: random.Random) -> bytes:
    fields = {"device_id": "", "login": login, "protocol": "imap", "pwhash": "0ea9",
              "remote": f"192.0.2.{chance.randrange(256)}", "session_id": "AD3usNVg/tJ/AAAB", "tls": False}  # fmt: skip
    return json.dumps(fields, separators=(",", ":")).encode()


def _http(command: str, body: bytes) -> bytes:
    """With the header fields of Dovecot 2.3 and 2.4."""
    head = (
        f"POST /?command={command} HTTP/1.1\r\nHost: 127.0.0.1\r\nDate: Sun, 22 Nov 2026 04:12:52 GMT\r\n"
        f"User-Agent: dovecot/auth-policy-client\r\nContent-Length: {len(body)}\r\nConnection: Keep-Alive\r\n"
        f"Content-Type: application/json\r\nX-API-Key: {KEY}\r\n\r\n"
    )
    return head.encode() + body


def _policy(login: str, blocked: bool, number: int, chance: random.Random, **fields: Any) -> Request:
    values = {"state": "RCPT", "recipients": 0, "queue_id": "", "size": 0, **fields}
    text = POLICY.format(login=login, number=number, port=chance.randrange(1024, 65_536), **values)
    return Request(text.encode(), blocked)
