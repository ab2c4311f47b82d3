"""
weakforced's wire, without the network: what its clients send and the bytes they are answered.

Bodies and words are those of weakforced 3. What it takes in silence and cannot mean anything here (an entry about
nothing, JA3 fingerprints, a reason that is no text) is refused with a sentence.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from streams.connectors.access_lists import FOREVER, FULL_PREFIX, Entry, Listed, Subject
from streams.connectors.auth_policy import parse_object, printable
from streams.core.accounts import canonical_account
from streams.core.addresses import Network, format_address, parse_address, parse_network
from streams.core.refusal import Refused

Reply = tuple[int, bytes]
"""Status and body."""

OK: Reply = (200, b'{"status":"ok"}')
WARMUP: Reply = (200, b'{"status":"warmup"}')
NOTHING_NAMED = "No ip, login or ja3 field supplied"
NOT_DONE = ("custom", "customGet", "syncDBs", "syncDone", "dumpEntries", "addSibling", "removeSibling", "setSiblings")
"""Commands of weakforced that loginwatch has nothing for."""
LONGEST_REASON = 500
LONGEST_EXPIRY_S = (1 << 31) - 1
"""weakforced reads a 32-bit integer."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ENTRIES = {"blacklist": "bl_entries", "whitelist": "wl_entries"}


class Order(NamedTuple):
    """What addBLEntry and addWLEntry ask for, besides the list."""

    subject: Subject
    reason: str
    expire_secs: int


class Standing(NamedTuple):
    """What is known of a subject: an entry's reason and expiry (ms), or None for none."""

    blacklisted: tuple[str, int] | None
    whitelisted: tuple[str, int] | None
    blocked_until_ms: int | None


def parse_add(body: bytes, default_domain: str) -> Order:
    """
    The order in the body of addBLEntry or addWLEntry.

    >>> parse_add(b'{"netmask":"192.0.2.9/24","expire_secs":60,"reason":"scan"}', "").subject.network.number & 255
    0

    Raises Refused: bad-json, not-an-object, bad-expiry, bad-reason, and as `parse_subject`.
    """
    fields = parse_object(body)
    subject = parse_subject(fields, default_domain)
    if subject is None:
        raise Refused("nothing-named", "No ip, netmask or login field supplied")
    return Order(subject, _reason(fields), _expire_secs(fields))


def parse_delete(body: bytes, default_domain: str) -> Subject:
    """The subject in the body of delBLEntry or delWLEntry. Raises Refused."""
    subject = parse_subject(parse_object(body), default_domain)
    if subject is None:
        raise Refused("nothing-named", "No ip, netmask or login field supplied")
    return subject


def parse_key(body: bytes, default_domain: str) -> Subject | None:
    """The subject in the body of reset or getDBStats, which know no netmask; None if there is none. Raises Refused."""
    return parse_subject({**parse_object(body), "netmask": None}, default_domain)


def parse_subject(fields: Mapping[str, Any], default_domain: str) -> Subject | None:
    """
    What `ip`, `netmask` and `login` name; None if nothing.

    Raises Refused: ja3, bad-field, bad-entry (a netmask with another field), bad-account, bad-domain, bad-address,
    bad-network.
    """
    if fields.get("ja3") is not None:
        raise Refused("ja3", "loginwatch keeps no JA3 fingerprints: send ip, netmask or login")
    ip, netmask, login = (_text(fields, name) for name in ("ip", "netmask", "login"))
    if netmask is not None and (ip is not None or login is not None):
        raise Refused("bad-entry", "netmask stands alone: an entry for ip and login takes one address")
    if ip is netmask is login is None:
        return None
    network = None if netmask is None else parse_network(netmask)
    if ip is not None:
        network = Network(parse_address(ip), FULL_PREFIX)
    return Subject(network, None if login is None else canonical_account(login, default_domain))


def failure(sentence: str, status: int = 500) -> Reply:
    """How weakforced says no."""
    return status, orjson.dumps({"status": "failure", "reason": sentence})


def not_done(command: str) -> Reply:
    """The answer to what loginwatch does not do: in the form of weakforced's custom functions."""
    sentence = f"loginwatch does not do {command}: it has no Lua, custom functions or siblings"
    return 501, orjson.dumps({"success": False, "status": "failure", "reason": sentence})


def verdict(entry: Entry, message: str) -> bytes:
    """
    The answer to `allow` of a client on a list.

    Its attributes never have the keys `status` and `msg`, which Dovecot 2.3 would take for its own.
    """
    white = entry.listed == "whitelist"
    attributes = {
        "expiration": expiration(entry.expires_ms),
        "reason": entry.reason,
        f"{entry.listed}ed": "1",
        "key": entry.subject.kind,
    }
    text = " ".join(printable(message, " ").split())
    return orjson.dumps({"status": 0 if white else -1, "msg": "ok" if white else text, "r_attrs": attributes})


def listing(listed: Listed, entries: Iterable[Entry]) -> Reply:
    """The answer to getBL or getWL: one flat array."""
    rows = [
        {
            entry.subject.kind: subject_text(entry.subject),
            "expiration": expiration(entry.expires_ms),
            "reason": entry.reason,
        }
        for entry in entries
    ]
    return 200, orjson.dumps({ENTRIES[listed]: rows})


def db_stats(subject: Subject, standing: Standing) -> Reply:
    """The answer to getDBStats. `stats` has one database, ours, with numbers only, as weakforced's have."""
    answer: dict[str, Any] = {_echo(subject): _key_text(subject)}
    for name, short, found in (
        ("blacklisted", "bl", standing.blacklisted),
        ("whitelisted", "wl", standing.whitelisted),
    ):
        reason, expires_ms = found or ("", None)
        answer[name] = found is not None
        answer[f"{short}_reason"] = reason
        answer[f"{short}_expire"] = "" if expires_ms is None else expiration(expires_ms)
    until = standing.blocked_until_ms
    fields = {"blocked": int(until is not None), "blocked_until": 0 if until is None else until // 1000}
    answer["stats"] = {} if subject.account is None else {"loginwatch": fields}
    return 200, orjson.dumps(answer)


def subject_text(subject: Subject) -> str:
    """
    A subject as getBL shows it.

    >>> subject_text(Subject(Network(parse_address("192.0.2.7"), 128), "a@example.org"))
    '192.0.2.7:a@example.org'
    """
    return str(subject.network) if subject.kind == "ip" else _key_text(subject)


def expiration(expires_ms: int) -> str:
    """
    A moment in weakforced's form, UTC.

    >>> expiration(1_750_432_174_000)
    '2025-Jun-20 15:09:34'
    """
    if expires_ms >= FOREVER:
        return "+infinity"
    at = datetime.fromtimestamp(expires_ms // 1000, UTC)
    return f"{at.year:04}-{MONTHS[at.month - 1]}-{at:%d %H:%M:%S}"


def _key_text(subject: Subject) -> str:
    address = None if subject.network is None else format_address(subject.network.number)
    return ":".join(part for part in (address, subject.account) if part is not None)


def _echo(subject: Subject) -> str:
    return "ip_login" if subject.kind == "iplogin" else subject.kind


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused("bad-field", f"the field {name} is no text")
    return value


def _reason(fields: Mapping[str, Any]) -> str:
    if fields.get("reason") is None:
        raise Refused("bad-reason", "Missing mandatory reason field")
    reason = fields["reason"]
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise Refused("bad-reason", f"the field reason must be a text of at most {LONGEST_REASON} characters")
    return " ".join(printable(reason, " ").split())


def _expire_secs(fields: Mapping[str, Any]) -> int:
    seconds = fields.get("expire_secs")
    if seconds is None:
        raise Refused("bad-expiry", "Missing mandatory expire_secs field")
    whole = not isinstance(seconds, bool) and isinstance(seconds, int | float) and seconds == seconds // 1
    if not whole or not 1 <= seconds <= LONGEST_EXPIRY_S:
        raise Refused("bad-expiry", f"the field expire_secs must be a whole number from 1 to {LONGEST_EXPIRY_S}")
    return int(seconds)
