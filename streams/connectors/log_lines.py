"""
What a message of Dovecot or Postfix says: a login, a failed one, or a step of a message on its way.

Dovecot 2.3 and 2.4 (imap, pop3, submission, managesieve; auth with `auth_verbose`), Postfix's smtpd and qmgr. Decision:
whoever fails to log in has typed the name himself, so it may imitate the rest of the line. A line in which an element that
matters stands twice is refused as ambiguous, rather than giving a login to the wrong account or address. No words of a line
are kept besides names, addresses and ids: a reason may hold a password (`auth_verbose_passwords`).
"""

import re
from typing import NamedTuple

from streams.core.refusal import Refused

LONGEST_LINE = 8192
LONGEST_TEXT = 256
STRONG_MARKS = (b"Login: user=<", b"Logged in: user=<", b", sasl_username=")
"""A line with one of these looks like a login, whatever the rest looks like."""
SERVICES = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "managesieve": "sieve", "sieve": "sieve"}
UNNAMED = {"", "(unavailable)"}
NO_QUEUE = "NOQUEUE"
SASL_USERNAME = ", sasl_username="
AFTER_SASL_USERNAME = (", sasl_sender=", ", orig_queue_id=", ", orig_client=")

_DOVECOT = re.compile(r"(imap|pop3|submission|managesieve|sieve)-login: (?:Info: )?")
_USUAL = re.compile(
    r"(imap|pop3|submission|managesieve|sieve)-login: (?:Info: )?(?:Login|Logged in): user=<([^<>]+)>, method=[^,<>]*,"
    r" rip=([^,<>]*), lip=[^,<>]*(?:, mpid=\d+)?(?:, (?:TLS|secured))?(?:, session=<([!-;=?-~]{1,256})>)?"
)
"""A login in the form that Dovecot has by default: read at once."""
_SUCCESSES = ("Login: ", "Logged in: ")
_USER = ": user=<"
_PLAIN_NAME = re.compile(r"([^<>]*)>((?:, [^,<>]*(?:<[^<>]*>)?)*)")
_ELEMENTS = re.compile(r"(?:, [^,<>]*(?:<[^<>]*>)?)*")
_RIP = re.compile(r", rip=([^,<>]*)")
_SESSION = re.compile(r", session=<([^<>]*)>")
_AUTH_OLD = re.compile(r"auth: [\w-]+\((.*?),([0-9A-Fa-f:.]+)(?:,<([^<>]*)>)?\): (.*)", re.DOTALL)
_AUTH_NEW = re.compile(r"auth\((.*?),([0-9A-Fa-f:.]+)(?:,sasl:[\w-]*)?\)(?:<([^<>]*)>)?: [\w-]+: (.*)", re.DOTALL)
_AUTH_FAILURES = (
    ("Password mismatch", "credentials"),
    ("unknown user", "account"),
    ("Authentication failure due to policy server refusal", "policy"),
)
_CLIENT = re.compile(
    r"([0-9A-Za-z]{1,32}): client=[^\s\[\]]*\[([^\s\[\]]*)\](?::\d+)?, sasl_method=[^,]*, sasl_username=(.*)", re.DOTALL
)
_LIKE_CLIENT = re.compile(r"[0-9A-Za-z]{1,32}: client=")
_SASL_FAILED = re.compile(
    r"warning: [^\s\[\]]*\[([^\s\[\]]*)\](?::\d+)?: SASL \S* authentication failed(?:: ?(.*))?", re.DOTALL
)
_QUEUED = re.compile(r"([0-9A-Za-z]{1,32}): from=<(.*)>, size=(\d{1,18}), nrcpt=(\d{1,9}) \(queue active\)", re.DOTALL)


class LoginLine(NamedTuple):
    """One attempt, with the name and address as the line has them; `name` "" is a failure that names nobody."""

    name: str
    address: str
    success: bool
    service: str
    session: str | None = None
    failure: str | None = None


class ClientLine(NamedTuple):
    """Postfix begins to take a message of an authenticated client; `queue_id` "" if it has none yet."""

    queue_id: str
    name: str
    address: str


class QueuedLine(NamedTuple):
    """Postfix has taken a message (or tries a deferred one again)."""

    queue_id: str
    sender: str
    size: int
    recipients: int


Said = LoginLine | ClientLine | QueuedLine


def worth_reading(line: bytes) -> bool:
    """
    Whether a line may be of interest: cheap, since most lines are not.

    >>> worth_reading(b"Nov 22 04:25:34 vm postfix/smtpd[1]: connect from unknown[203.0.113.7]")
    False
    """
    return (  # written out: a loop over these takes three times as long
        b"-login: " in line
        or b"sasl_username=" in line
        or b"nrcpt=" in line
        or b" authentication failed" in line
        or b"auth: " in line
        or b"auth(" in line
    )


def looks_like_login(line: bytes) -> bool:
    """Whether it should be told to the operator that this line cannot be read."""
    return any(mark in line for mark in STRONG_MARKS)


def parse_message(message: str) -> Said | None:
    """
    What a message says; None if it is neither a login nor a message on its way.

    >>> parse_message("imap-login: Login: user=<a@example.org>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.25").name
    'a@example.org'

    Raises Refused for one that looks like a login and cannot be read: bad-form, ambiguous, no-user.
    """
    if usual := _USUAL.fullmatch(message):
        service, name, address, session = usual.groups()
        return LoginLine(name, address, True, SERVICES[service], session)
    if dovecot := _DOVECOT.match(message):
        return _dovecot(SERVICES[dovecot[1]], message[dovecot.end() :])
    if message.startswith("auth"):
        return _auth(message)
    if message.startswith("warning: "):
        return _sasl_failed(message)
    if queued := _QUEUED.fullmatch(message):
        return QueuedLine(queued[1], queued[2], int(queued[3]), int(queued[4]))
    return _client(message)


def masked(line: str) -> str:
    """
    The shape of a line that could not be read, for the log: words that are not part of the form are hidden.

    >>> masked("imap-login: Login: user=<al@example.org> (given password: s3cret)")
    'imap-login: Login: user=<x@x.x> (x x: x)'
    """
    return _WORD.sub(lambda word: word[0] if word[0] in _FORM_WORDS else "x", line[:LONGEST_TEXT])


_WORD = re.compile(r"(?:\w|[^\x00-\x7f])+", re.ASCII)
"""Also what is no ASCII, letter or not: it may be a password."""


_FORM_WORDS = frozenset(
    [
        "imap",
        "pop3",
        "submission",
        "managesieve",
        "sieve",
        "login",
        "Login",
        "Logged",
        "in",
        "Disconnected",
        "Aborted",
        "aborted",
        "auth",
        "failed",
        "user",
        "method",
        "rip",
        "lip",
        "mpid",
        "session",
        "TLS",
        "secured",
        "dovecot",
        "postfix",
        "smtpd",
        "qmgr",
        "client",
        "sasl_method",
        "sasl_username",
        "sasl_sender",
        "warning",
        "SASL",
        "authentication",
        "PLAIN",
        "LOGIN",
        "from",
        "size",
        "nrcpt",
        "Info",
    ]
)


def _dovecot(service: str, text: str) -> LoginLine | None:
    success = text.startswith(_SUCCESSES)
    before, _, after = text.partition(_USER)
    if not success and "(auth failed" not in before:
        return None
    if not after:
        raise Refused("bad-form", "a login line of Dovecot without user=<")
    name, elements = _user(after)
    if elements.count(", rip=") != 1 or elements.count(", session=<") > 1:
        raise Refused("ambiguous", "a login line of Dovecot without exactly one rip= and at most one session=")
    if success and not name:
        raise Refused("no-user", "a login line of Dovecot without a name")
    rip, session = _RIP.search(elements), _SESSION.search(elements)
    assert rip is not None
    failure = None if success else "auth failed"
    return LoginLine(name, rip[1], success, service, _shown(session[1]) if session else None, failure)


def _user(after: str) -> tuple[str, str]:
    """The name and the elements after it, of what follows `user=<`."""
    if plain := _PLAIN_NAME.fullmatch(after):
        return plain[1], plain[2]
    # a name with < or >: it ends where the usual elements begin for the last time
    end = after.rfind(">, method=")
    if end < 0:
        end = after.rfind(">, rip=")
    if end < 0 or not _ELEMENTS.fullmatch(after, end + 1):
        raise Refused("bad-form", "the elements of a login line of Dovecot cannot be told apart")
    if ">, " in after[:end]:
        raise Refused("ambiguous", "the name in a login line of Dovecot looks like the end of a name")
    return after[:end], after[end + 1 :]


def _auth(message: str) -> LoginLine | None:
    line = _AUTH_OLD.fullmatch(message) or _AUTH_NEW.fullmatch(message)
    if line is None:
        return None
    name, address, session, text = line.groups()
    for words, failure in _AUTH_FAILURES:
        if text.startswith(words):
            if "): " in name:
                raise Refused("ambiguous", "the name in a line of Dovecot's auth looks like the end of a name")
            return LoginLine(name, address, success=False, service="other", session=_shown(session), failure=failure)
    return None


def _client(message: str) -> ClientLine | None:
    client = _CLIENT.fullmatch(message)
    if client is None:
        if SASL_USERNAME in message and _LIKE_CLIENT.match(message):
            raise Refused("bad-form", "a client= line of Postfix that cannot be taken apart")
        return None
    queue_id, address, name = client.groups()
    # the name is one that exists; what follows it comes from the client (AUTH= of MAIL FROM) and may imitate it
    for mark in AFTER_SASL_USERNAME:
        name = name.partition(mark)[0]
    if not name:
        raise Refused("no-user", "a client= line of Postfix without a name")
    return ClientLine("" if queue_id == NO_QUEUE else queue_id, name, address)


def _sasl_failed(message: str) -> LoginLine | None:
    failed = _SASL_FAILED.fullmatch(message)
    if failed is None:
        return None
    # in between stands what the door told the client; the name is at the right end
    told, mark, name = (failed[2] or "").rpartition(SASL_USERNAME)
    if SASL_USERNAME in told:
        raise Refused("ambiguous", "a failed login of Postfix with more than one sasl_username=")
    if not mark or name in UNNAMED:
        name = ""
    return LoginLine(name, failed[1], success=False, service="smtp", failure="auth failed")


def _shown(text: str | None) -> str | None:
    return text[:LONGEST_TEXT] if text and text.isascii() and text.isprintable() else None
