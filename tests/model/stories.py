"""What was written, in the words that the timelines use: one short line for each output."""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from tests.model.timelines import time_text

MOST_SHOWN = 8


def story(outputs: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """One line for each output; incidents are named A, B, ... in the order in which they appear."""
    names: dict[str | None, str] = {}
    lines = [_line(topic, record, names) for topic, record in outputs]
    return [line for _, group in groupby(lines, key=_incident_of) for line in _shortened(list(group))]


def _incident_of(line: str) -> str:
    """Successive revisions of one incident have this in common; other lines only themselves."""
    match = re.match(r"incident [A-Z]", line)
    return match[0] if match else line


def _shortened(lines: list[str]) -> list[str]:
    """Of many revisions in a row the first and the last."""
    if len(lines) <= MOST_SHOWN:
        return lines
    return [lines[0], f"... {len(lines) - 2} revisions", lines[-1]]


def _line(topic: str, record: dict[str, Any], names: dict[str | None, str]) -> str:
    if topic == "incidents":
        names.setdefault(record["id"], chr(ord("A") + len(names)))
        return _incident(record, names[record["id"]])
    if topic == "blocks":
        whom = names[record["incident"]] if record["incident"] else "by hand"
        line = f"{record['state']} {whom}: {time_text(record['from'])} to {time_text(record['until'])}"
        return line + _list(" except", record["except_networks"])
    if topic == "notifications":
        return f"mail {names[record['incident']]} {record['kind']}: {' '.join(record['recipients'])}"
    if topic == "dead-letters":
        return f"dead letter: {record['reason']}"
    return _view(record, names)


def _incident(record: dict[str, Any], name: str) -> str:
    line = f"incident {name}{record['revision']}: {record['rule']} {record['count']} > {record['limit']}"
    line += f" at {time_text(record['opened'])}"
    line += ", observed" if record["mode"] == "observe" else ""
    line += _messages(record)
    line += f", {record['ignored_logins']} ignored" if record["ignored_logins"] else ""
    shown = len(record["networks"])
    line += f", {record['networks_ever']} ever" if record["networks_ever"] != shown else ""
    if shown > MOST_SHOWN:
        old = [_network(network) for network in record["networks"] if network["days"] > 1]
        return f"{line}: {shown} networks" + _list(" with", old)
    return line + _list(":", [_network(network) for network in record["networks"]])


def _messages(record: dict[str, Any]) -> str:
    text = f", {record['messages_24h']} messages" if record["messages_24h"] else ""
    senders = [f"{sender['messages']} as {sender['sender']}" for sender in record["foreign_senders"][:MOST_SHOWN]]
    more = record["foreign_messages_24h"] - sum(sender["messages"] for sender in record["foreign_senders"])
    parts = [*senders, *([f"{more} as others"] if more else [])]
    return text + (f" ({', '.join(parts)})" if parts else "")


def _network(network: dict[str, Any]) -> str:
    text = network["network"].removesuffix("/32")
    text += f"x{network['logins']}" if network["logins"] > 1 else ""
    return text + (f"({network['days']} days)" if network["days"] != 1 else "")


def _list(word: str, items: Iterable[str]) -> str:
    text = " ".join(item.removesuffix("/32") for item in items)
    return f"{word} {text}" if text else ""


def _view(record: dict[str, Any], names: dict[str | None, str]) -> str:
    line = "view"
    if record["blocked_until"] is not None:
        line += f", blocked until {time_text(record['blocked_until'])}"
    if record["incident"]:
        line += f", incident {names[record['incident']]}"
    if record["cutoff"] is not None:
        line += f", counting from {time_text(record['cutoff'])}"
    line += _messages(record)
    line += f", {record['ignored_logins']} ignored" if record["ignored_logins"] else ""
    return line + _list(":", [_viewed(network) for network in record["networks"]])


def _viewed(network: dict[str, Any]) -> str:
    safe = f"(safe for {network['safe_scope']})" if network.get("safe_network") else ""
    return _network(network) + ("(counted)" if network["counted"] else "") + safe
