"""
The timelines of `tests/scenarios/README.md`: what is read, line by line, and after `=>` what is written because of it.

A scenario is a heading, words for people, and one block of lines. `09:25 login 203.0.113.5` is a login of
user@example.org at 09:25 on 2026-01-05; `-1/09:25` is the day before; `(read 09:30)` gives the line a timestamp of its own,
otherwise it is read at its time, or at the highest so far if that is later.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DAY_MS = 86_400_000
FIFTH_MS = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday."""
ACCOUNT = "user@example.org"
LISTS = {"ignored_countries", "notify"}
Line = dict[str, Any]


@dataclass
class Scenario:
    """One section: its name, the records read, and what is expected in words."""

    name: str
    records: list[Line] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)


def scenarios(text: str) -> list[Scenario]:
    """All sections with a block of lines."""
    sections = re.findall(r"^### (\S+)\n(.*?)^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [_scenario(name, block.splitlines()) for name, _, block in sections]


def time_ms(text: str) -> int:
    """`09:25`, `09:25:30.001`, with `+1/` or `-1/` before it for other days."""
    match = re.fullmatch(r"(?:([+-]\d+)/)?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d\d\d))?)?", text)
    if match is None:
        raise ValueError(f"no time: {text!r}")
    days, hours, minutes, seconds, thousandths = (int(part or 0) for part in match.groups())
    return FIFTH_MS + days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def time_text(ms: int) -> str:
    """The other direction."""
    days, rest = divmod(ms - FIFTH_MS, DAY_MS)
    seconds, thousandths = divmod(rest, 1000)
    text = f"{days:+d}/" if days else ""
    text += f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    if seconds % 60 or thousandths:
        text += f":{seconds % 60:02d}"
    return text + (f".{thousandths:03d}" if thousandths else "")


def _scenario(name: str, lines: list[str]) -> Scenario:
    scenario = Scenario(name)
    for text in lines:
        line = text.split(" #")[0].strip()
        if line.startswith("=>"):
            scenario.outcomes.append(line.removeprefix("=>").strip())
        elif line:
            scenario.records += _records(line, len(scenario.records))
    return scenario


def _records(line: str, number: int) -> list[Line]:
    match = re.fullmatch(r"(\S+) (?:\(read (\S+)\) )?(\S+) ?(.*)", line)
    if match is None:
        raise ValueError(f"no such line: {line!r}")
    time, read, verb, rest = match.groups()
    if verb == "crowd":
        return _crowd(time_ms(time), rest)
    record = _VERBS[verb](time_ms(time), rest, f"{verb}-{number}")
    if read:
        record = {"topic": record.pop("topic"), "timestamp": time_ms(read), **record}
    return [record]


def _words(rest: str) -> tuple[list[str], dict[str, Any]]:
    """Plain words, and the values of the words with `=`."""
    words = rest.split()
    plain = [word for word in words if "=" not in word]
    return plain, {name: _value(name, text) for name, text in (word.split("=", 1) for word in words if "=" in word)}


def _value(name: str, text: str) -> Any:
    if name in LISTS:
        return [part for part in text.split(",") if part]
    if name == "expires":
        return time_ms(text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _account(words: list[str]) -> str:
    return next((word for word in words if "@" in word), ACCOUNT)


def _login(time: int, rest: str, _name: str) -> Line:
    words, values = _words(rest)
    ip = next(word for word in words if "@" not in word)
    login = {"time": time, "account": _account(words), "ip": ip, "success": "failed" not in words, "service": "imap"}
    return {"topic": "logins", "value": {**login, **values}}


def _crowd(time: int, rest: str) -> list[Line]:
    """Logins from that many networks of NL, a second apart."""
    (number,), values = _words(rest)
    first = values.get("first", 0)
    return [_login(time + i * 1000, f"100.64.{first + i}.1", "") for i in range(int(number))]


def _policy(time: int, rest: str, _name: str) -> Line:
    (scope, *words), values = _words(rest)
    if "none" in words:
        return {"topic": "policies", "timestamp": time, "key": scope, "value": None}
    return {"topic": "policies", "value": {"scope": scope, **values, "actor": "admin", "time": time}}


def _safe(time: int, rest: str, _name: str) -> Line:
    (scope, cidr), values = _words(rest)
    value = {"scope": scope, "network": cidr, "description": "office", "actor": "admin", "time": time, **values}
    return {"topic": "safe-networks", "value": value}


def _unsafe(time: int, rest: str, _name: str) -> Line:
    return {"topic": "safe-networks", "timestamp": time, "key": rest, "value": None}


def _domain(time: int, rest: str, _name: str) -> Line:
    (domain,), values = _words(rest)
    return {"topic": "domains", "timestamp": time, "value": {"domain": domain, **values}}


def _command(action: str) -> Callable[[int, str, str], Line]:
    def make(time: int, rest: str, name: str) -> Line:
        words, values = _words(rest)
        value = {"time": time, "id": name, "account": _account(words), "action": action, "actor": "admin", **values}
        return {"topic": "account-commands", "value": value}

    return make


def _sent(time: int, rest: str, _name: str) -> Line:
    words, values = _words(rest)
    sent = {
        "time": time,
        "account": _account(words),
        "sender": ACCOUNT,
        "recipients": 3,
        "accepted": "refused" not in words,
    }
    return {"topic": "submissions", "value": {**sent, **values}}


def _raw(_time: int, rest: str, _name: str) -> Line:
    record: Line = json.loads(rest)
    return record


_VERBS: dict[str, Callable[[int, str, str], Line]] = {
    "login": _login,
    "policy": _policy,
    "safe": _safe,
    "unsafe": _unsafe,
    "domain": _domain,
    "sent": _sent,
    "line": _raw,
    **{action: _command(action) for action in ("reset", "block", "unblock", "describe")},
}
