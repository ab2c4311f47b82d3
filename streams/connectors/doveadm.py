"""
Dovecot's doveadm HTTP API as far as sessions are ended with it: requests and answers, pure.

Source: captures of 2.3.19.1 and 2.4.1, doc.dovecot.org, and the source of dovecot/core for 2.4.3.
Decision: which Dovecot answers is not asked of its version but seen: the list of its commands says whether
`authCacheFlush` takes `user` or `userMask`, the answer to a kick of nobody whether it is 2.3 or 2.4.

A mask of `kick` is a pattern (`*`, `?`, without an escape) and one that looks like an address is a network, so a name is
checked before it becomes one. A kick takes at most one network.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from streams.core.addresses import contains, format_address, parse_address, parse_network
from streams.core.addresses import cut as network_of
from streams.core.refusal import Refused

Command = list[Any]
Row = dict[str, Any]

PATH = "/doveadm/v1"
NOBODY = "nobody@loginwatch.invalid"
"""Reserved by RFC 2606: a kick of this name closes nothing."""
EXIT_NO_USER = 68
"""EX_NOUSER of sysexits.h: 2.3's answer to a kick of somebody who is not logged in."""
LONGEST_NAME = 320
_LIKE_AN_ADDRESS = re.compile(r"[0-9][0-9a-fx./]*|.*[:/].*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """The answer to one command: its rows, or the type of error and 2.3's exit code."""

    rows: tuple[Row, ...] = ()
    error: str = ""
    exit_code: int | None = None

    def __str__(self) -> str:
        return f"{self.error[:40]} {'' if self.exit_code is None else self.exit_code}".strip() or "no error"


@dataclass(frozen=True)
class Dialect:
    """What this Dovecot understands. `flush` is the parameter of `authCacheFlush`; None where it would panic."""

    version: Literal["2.3", "2.4"]
    flush: Literal["user", "userMask"] | None
    proxy_kick: bool = False


@dataclass(frozen=True)
class Session:
    """A session that is open: where its client is, as a number of 128 bits; None when Dovecot does not say."""

    name: str
    address: int | None


@dataclass(frozen=True)
class Plan:
    """Which sessions of a name to close: all, or those of these addresses; how many are left open on purpose."""

    everything: bool
    addresses: tuple[str, ...] = ()
    spared: int = 0


# --- names


def names_of(account: str, default_domain: str = "") -> tuple[str, ...]:
    """
    The names under which Dovecot may know an account, each safe as a mask.

    Raises Refused for a name that would close the sessions of others.

    >>> names_of("alice@example.org", "example.org")
    ('alice@example.org', 'alice')
    """
    local, at, domain = account.rpartition("@")
    if not at or not local or len(account) > LONGEST_NAME or any(ord(char) < 32 for char in account):
        raise Refused("kick_name", f"{account[:80]!r} is no account that Dovecot could be asked for")
    if "*" in account or "?" in account:
        raise Refused(
            "kick_name",
            f"{account[:80]!r} contains a wildcard of Dovecot's masks, so a kick would close sessions of others."
            " Close this account's sessions by hand: doveadm who, then doveadm kick with its addresses",
        )
    if domain == default_domain.lower() and not _LIKE_AN_ADDRESS.fullmatch(local):
        return account, local
    return (account,)


# --- requests


def who(name: str) -> Command:
    """The sessions of a name. `separateConnections` is a must: without it 2.3 answers with broken JSON."""
    return ["who", {"mask": [name], "separateConnections": True}, "who"]


def kick(name: str, address: str | None = None) -> Command:
    """Close the sessions of a name, all or those of one address."""
    if address is None:
        return ["kick", {"mask": [name]}, "kick"]
    return ["kick", {"mask": [name, f"{address}/{128 if ':' in address else 32}"]}, "kick"]


def proxy_kick(name: str) -> Command:
    """Close what a proxy or director of 2.3 holds for a name, from wherever: it can name no network. Nothing elsewhere."""
    return ["proxyKick", {"user": [name]}, "proxy"]


def flush(names: Sequence[str], dialect: Dialect) -> Command | None:
    """Forget the cached passwords of these names; None where this Dovecot would die of it. Never without a name."""
    if dialect.flush is None or not names:
        return None
    return ["authCacheFlush", {dialect.flush: list(names)}, "flush"]


def body_of(commands: Iterable[Command]) -> bytes:
    """The body of a request with these commands, their tags made different."""
    return orjson.dumps([[name, given, f"{tag}{number}"] for number, (name, given, tag) in enumerate(commands)])


# --- answers


def read_answers(raw: bytes, commands: Sequence[Command]) -> list[Answer]:
    """
    One answer per command, in their order.

    Raises Refused (`bad_answer`) for anything else: a command without an answer may not have been carried out.
    """
    parsed = _json(raw)
    if not isinstance(parsed, list) or len(parsed) != len(commands):
        raise Refused("bad_answer", f"{len(commands)} commands were not answered with as many answers")
    return [
        _answer(one, f"{command[2]}{number}")
        for number, (one, command) in enumerate(zip(parsed, commands, strict=True))
    ]


def _answer(one: Any, tag: str) -> Answer:
    match one:
        case ["doveadmResponse", [*rows], str(given)] if given == tag and all(isinstance(row, dict) for row in rows):
            return Answer(tuple(rows))
        case ["error", {"type": str(kind), **rest}, str(given)] if given == tag:
            code = rest.get("exitCode")
            return Answer(error=kind, exit_code=code if isinstance(code, int) else None)
    raise Refused("bad_answer", f"an answer to {tag} that is neither a response nor an error")


def was_kicked(answer: Answer) -> bool:
    """
    Did a kick close anything? 2.3 names who was kicked, 2.4 counts. Raises Refused (`bad_answer`).

    >>> was_kicked(Answer(({"count": "0"},))), was_kicked(Answer(({"result": "alice@example.org"},)))
    (False, True)
    """
    if answer.exit_code == EXIT_NO_USER:
        return False
    if answer.error:
        raise Refused("bad_answer", f"doveadm could not kick: {answer}")
    if answer.rows and all(isinstance(row.get("result"), str) for row in answer.rows):
        return True
    return any(_count(row) > 0 for row in answer.rows)


def was_kicked_at_proxy(answer: Answer) -> bool:
    """
    Did a kick close anything at a proxy of 2.3? What is no proxy may say what it likes.

    A no may be wrong: 2.3.19 closes the sessions of all its login processes, but counts those of one.

    >>> was_kicked_at_proxy(Answer(({"count": "1"},))), was_kicked_at_proxy(Answer(error="exitCode", exit_code=75))
    (True, False)
    """
    return any(str(row.get("count", "0")) != "0" for row in answer.rows)


def _count(row: Row) -> int:
    text = str(row.get("count", ""))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused("bad_answer", "a kick was answered without what it closed")
    return int(text)


def sessions_of(answer: Answer, name: str) -> list[Session]:
    """The sessions of exactly this name, in any case, among the rows of `who`. Raises Refused (`bad_answer`)."""
    if answer.error:
        raise Refused("bad_answer", f"doveadm could not list sessions: {answer}")
    found = []
    for row in answer.rows:
        if not isinstance(row.get("username"), str):
            raise Refused("bad_answer", "a session without a name")
        if row["username"].lower() == name.lower():
            found.append(Session(row["username"], _address(row.get("ip"))))
    return found


def _address(text: Any) -> int | None:
    try:
        return parse_address(text) if isinstance(text, str) else None
    except Refused:
        return None


def plan(sessions: Iterable[Session], except_networks: Iterable[str]) -> Plan:
    """
    Which of these sessions to close: those outside the networks that stay open.

    Session by session, since a user may come from an open network between question and kick. One without an address can
    only be closed with all others, so it stays if any of them stays. A network that is none protects nothing.
    """
    kept, closed, nowhere = 0, dict[str, None](), 0
    networks = [network for text in except_networks if (network := _network(text)) is not None]
    for session in sessions:
        if session.address is None:
            nowhere += 1
        elif any(contains(network, network_of(session.address, 32, 128)) for network in networks):
            kept += 1
        else:
            closed[format_address(session.address)] = None
    if nowhere and not kept:
        return Plan(everything=True)
    return Plan(everything=False, addresses=tuple(closed), spared=kept + nowhere)


def _network(text: str) -> Any:
    try:
        return parse_network(text)
    except Refused:
        return None


# --- dialect


def read_commands(raw: bytes) -> dict[str, set[str]]:
    """The commands of this Dovecot with their parameters, from `GET /doveadm/v1`. Raises Refused (`bad_answer`)."""
    parsed = _json(raw)
    found: dict[str, set[str]] = {}
    for one in parsed if isinstance(parsed, list) else []:
        match one:
            case {"command": str(name), "parameters": [*parameters]}:
                found[name] = {
                    str(given["name"]) for given in parameters if isinstance(given, dict) and "name" in given
                }
    if missing := {"who", "kick"} - set(found):
        raise Refused("bad_answer", f"this is no doveadm API: it has no command {', '.join(sorted(missing))}")
    return found


def dialect_of(commands: dict[str, set[str]], kick_of_nobody: Answer) -> Dialect:
    """
    What this Dovecot understands.

    `authCacheFlush` with `user` ends the process in 2.4.0 to 2.4.2, works in 2.3, and is called `userMask` from 2.4.3.
    Raises Refused (`bad_answer`).
    """
    was_kicked(kick_of_nobody)
    parameters = commands.get("authCacheFlush", set())
    if kick_of_nobody.exit_code == EXIT_NO_USER:
        return Dialect("2.3", "user" if "user" in parameters else None, "proxyKick" in commands)
    return Dialect("2.4", "userMask" if "userMask" in parameters else None)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused("bad_answer", f"the answer is no JSON ({error.msg[:80]})") from error
