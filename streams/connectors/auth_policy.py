"""
Dovecot's auth policy wire, without the network: a request's body to a Login, a verdict to the exact bytes of an answer.

Dovecot 2.3 and 2.4 and weakforced's clients send one flat JSON object; which fields, its administrator decides
(`auth_policy_request_attributes`). Dovecot lets a login pass at anything it dislikes in an answer, so there is one form:
`{"status":<int>,"msg":"<string>"}`. The password hash that Dovecot sends is never read.
"""

import json
import unicodedata
from typing import Any, NamedTuple

import orjson

from streams.core.accounts import canonical_account
from streams.core.addresses import format_address, parse_address
from streams.core.refusal import Refused

LONGEST_TEXT = 256
"""Of what is only shown: session, server, client, failure."""
LONGEST_LOGIN = 1024
REPLACEMENT = "\ufffd"
"""Stands where bytes were no UTF-8: such a name is nobody's."""
UNSUPPORTED = "UNSUPPORTED_VARIABLE"
"""What Dovecot 2.3 puts in place of `%{fail_type}`."""
SERVICES = {
    "imap": "imap",
    "pop3": "pop3",
    "smtp": "smtp",
    "submission": "smtp",
    "sieve": "sieve",
    "managesieve": "sieve",
    "http": "http",
}


class Question(NamedTuple):
    """What a mail server says of one authentication, as received; texts that it left out are ""."""

    login: str
    remote: str
    protocol: str
    session: str
    client: str
    server: str
    fail_type: str
    success: bool | None
    policy_reject: bool


def parse_request(body: bytes) -> Question:
    """
    The question in a request's body. Unknown fields, the password hash among them, are not looked at.

    >>> parse_request(b'{"login":"a@example.org","remote":"192.0.2.1","success":true}').login
    'a@example.org'

    Raises Refused: bad-json, not-an-object, bad-login (missing or not a text). Other fields of a wrong type count as left
    out, so that they cannot open a blocked account.
    """
    fields = parse_object(body)
    login = fields.get("login")
    if not isinstance(login, str) or len(login) > LONGEST_LOGIN or REPLACEMENT in login:
        raise Refused("bad-login", "the field login is missing, no text, no UTF-8, or too long")
    success = fields.get("success")
    return Question(
        login=login,
        remote=_text(fields, "remote"),
        protocol=_text(fields, "protocol").lower(),
        session=_text(fields, "session_id"),
        client=_text(fields, "device_id"),
        server=_text(fields, "server"),
        fail_type=_text(fields, "fail_type"),
        success=success if isinstance(success, bool) else None,
        policy_reject=fields.get("policy_reject") is True,
    )


def login_record(question: Question, now_ms: int, server: str, login_id: str) -> dict[str, Any]:
    """
    The Login of a report, name and address still as received; `server` is used where the report names none.

    A login that we denied ourselves has the failure `policy`.
    """
    failure = "" if question.fail_type.startswith(UNSUPPORTED) else question.fail_type
    if question.policy_reject:
        failure = "policy"
    if question.success is True:
        failure = ""
    return {
        "time": now_ms,
        "account": question.login,
        "ip": question.remote,
        "success": question.success,
        "service": SERVICES.get(question.protocol, "other"),
        "id": login_id,
        "session": question.session or None,
        "server": question.server or server or None,
        "client": question.client or None,
        "failure": failure or None,
    }


def usable(login: dict[str, Any], default_domain: str) -> dict[str, Any]:
    """The same Login with canonical account and address. Raises Refused, also for one that does not say how it went."""
    if login["success"] is None:
        raise Refused("bad-success", "the field success is missing, or neither true nor false")
    account = canonical_account(login["account"], default_domain)
    return {**login, "account": account, "ip": format_address(parse_address(login["ip"]))}


def answer(status: int, message: str) -> bytes:
    r"""
    What Dovecot reads: status 0 passes, below 0 denies, and the mail client is shown the message.

    >>> answer(-1, "Account locked.\r\na OK")
    b'{"status":-1,"msg":"Account locked. a OK"}'
    """
    return orjson.dumps({"status": int(status), "msg": " ".join(printable(message, " ").split())})


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that is a request's body. Raises Refused: bad-json, not-an-object."""
    try:
        value = orjson.loads(body)
    except ValueError:
        value = _parse_leniently(body)
    if not isinstance(value, dict):
        raise Refused("not-an-object", "the request is JSON, but no object")
    return value


def _parse_leniently(body: bytes) -> Any:
    """A client's name with bytes that are no UTF-8, or half a surrogate, must not cost the whole report."""
    try:
        return json.loads(body.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise Refused("bad-json", "the request is no JSON") from error


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return printable(value, "")[:LONGEST_TEXT] if isinstance(value, str) else ""


def printable(text: str, instead: str) -> str:
    """Without control characters, line ends and surrogates: they could forge a line of a protocol or of a log."""
    if text.isprintable():
        return text
    return "".join(instead if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)


PASS = answer(0, "ok")
"""Let the login go on."""
