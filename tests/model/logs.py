"""From the moves of a log to the records that a worker would read."""

from collections.abc import Iterator, Sequence

from tests.model.generators import Flavour, Move, Step, Value
from tests.model.values import Wrong, canonical_account, canonical_cidr

DEFAULT_DOMAIN = "example.org"


def steps(kind: Flavour, moves: Sequence[Move]) -> list[Step]:
    """The input records of a log, in the order in which they are read."""
    return list(_steps(kind, moves))


def _steps(kind: Flavour, moves: Sequence[Move]) -> Iterator[Step]:
    now_ms = kind.start_ms
    logins: list[Value] = []
    everyone: Value = {}
    for number, move in enumerate(moves):
        now_ms += move.after_ms
        time = now_ms + move.offset_ms
        if move.kind in {"login", "failed", "bad"}:
            value = {"time": time, **move.value}
            logins.append(value)
            yield _login(value, now_ms)
        elif move.kind == "again":
            if logins:
                yield _login(logins[max(0, len(logins) - 1 - move.back)], now_ms)
        elif move.kind in {"prefix", "window", "mode", "block_time"}:
            everyone = {**everyone, **move.value}
            yield _policy(everyone, now_ms)
        elif move.kind == "policy":
            everyone = {**everyone, **move.value} if move.value["scope"] == "everyone" else everyone
            yield _policy(everyone if move.value["scope"] == "everyone" else move.value, now_ms)
        else:
            yield _other(move, now_ms, time, number)


def _key(account: str) -> str:
    try:
        return canonical_account(account, DEFAULT_DOMAIN)
    except Wrong:
        return account


def _login(value: Value, now_ms: int) -> Step:
    return Step("logins", now_ms, value, _key(value["account"]))


def _policy(value: Value, now_ms: int) -> Step:
    return Step("policies", now_ms, {**value, "actor": "test", "time": now_ms}, value["scope"])


def _other(move: Move, now_ms: int, time: int, number: int) -> Step:
    value = move.value
    if move.kind == "inherit":
        return Step("policies", now_ms, None, value["scope"])
    if move.kind in {"safe", "unsafe"}:
        key = f"{value['scope']} {canonical_cidr(value['network'])}"
        if move.kind == "unsafe":
            return Step("safe-networks", now_ms, None, key)
        expires = None if value["expires"] is None else now_ms + value["expires"]
        return Step("safe-networks", now_ms, {**value, "expires": expires, "actor": "test", "time": now_ms}, key)
    if move.kind == "group":
        return Step("domains", now_ms, value if value["group"] else None, value["domain"])
    if move.kind == "submission":
        sent = {"time": time, **value, "recipients": 3}
        return Step("submissions", now_ms, sent, _key(value["account"]))
    name = "the same" if value["same"] else f"command {number}"
    command = {"time": time, "id": name, "actor": "admin", **{k: v for k, v in value.items() if k != "same"}}
    return Step("account-commands", now_ms, command, _key(value["account"]))
