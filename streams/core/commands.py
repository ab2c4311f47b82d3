"""What people order about one account: block, unblock, reset, describe."""

from typing import Any

from streams.core import activity, episodes, evidence
from streams.core.blocks import Block
from streams.core.book import Rules
from streams.core.episodes import Outputs, World
from streams.core.policy import LONGEST_MINUTES, MINUTE_MS
from streams.core.presence import without_cut
from streams.core.refusal import Refused
from streams.core.state import NONE, NOT_JUDGED, AccountState


def apply_command(
    state: AccountState, command: dict[str, Any], rules: Rules, account: str, *, now_ms: int, world: World
) -> Outputs:
    """
    Carry out one AccountCommand at `now`, changing the state in place.

    A command whose id is that of the last applied one is skipped. Raises Refused for minutes outside 1 to 43,200, and for
    an empty id: its repetition could not be told from another order.
    """
    if not command["id"]:
        raise Refused("bad-id", "a command needs an id of its own, this one has an empty one")
    action = command["action"]
    if action == "describe":
        activity.forget_old(state)  # as the account's next login does, which the hot path leaves to others
        view = evidence.view_record(state, rules, account, command["id"], now_ms=now_ms, world=world)
        return [("account-views", view)]
    if command["id"] == state.command_id:
        return []
    outputs = _ACTIONS[action](state, command, rules, account, now_ms)
    state.command_id = command["id"]
    return outputs


def _block(state: AccountState, command: dict[str, Any], rules: Rules, account: str, now_ms: int) -> Outputs:
    """By hand: from now, for `minutes`; replaces a running block even if shorter, ends the episode, closes everything."""
    minutes = command.get("minutes")
    if minutes is None:
        minutes = rules.policy.block_time or LONGEST_MINUTES
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise Refused("bad-minutes", f"a block lasts 1 to {LONGEST_MINUTES} minutes, not {minutes}")
    until_ms = now_ms + minutes * MINUTE_MS
    block = Block(episodes.derived_id("block", command["id"]), now_ms, until_ms)
    state.put_block(block)
    state.episode = state.blocked_incident = None
    state.stamp = NOT_JUDGED
    reason = command.get("reason") or "blocked by hand"
    return [("blocks", episodes.block_record(block, account, "blocked", until_ms, reason, command["actor"]))]


def _unblock(state: AccountState, command: dict[str, Any], _rules: Rules, account: str, now_ms: int) -> Outputs:
    """Lift the block and restart counting; nothing if there is none."""
    if state.block is None or not state.block.holds(now_ms):
        return []
    outputs = _lift(state, command, account, now_ms)
    _restart(state, now_ms)
    return outputs


def _reset(state: AccountState, command: dict[str, Any], _rules: Rules, account: str, now_ms: int) -> Outputs:
    """Delete the activity, lift a block, restart counting. The number of messages stays."""
    blocked = state.block is not None and state.block.holds(now_ms)
    outputs = _lift(state, command, account, now_ms) if blocked else []
    state.networks.clear()
    state.newest_ms = NONE
    state.ignored_logins = 0
    _restart(state, now_ms)
    return outputs


def _lift(state: AccountState, command: dict[str, Any], account: str, now_ms: int) -> Outputs:
    block = state.block
    assert block is not None
    block.lifted_ms = now_ms
    reason = command.get("reason") or ("activity reset" if command["action"] == "reset" else "unblocked")
    return [("blocks", episodes.block_record(block, account, "open", now_ms, reason, command["actor"]))]


def _restart(state: AccountState, now_ms: int) -> None:
    """Logins up to now never count again; those dated later, which do, are judged anew with the next one."""
    state.cutoff_ms = max(state.cutoff_ms, now_ms)
    state.episode = state.blocked_incident = None
    state.stamp = NOT_JUDGED
    for kept in state.networks.values():
        kept.runs = without_cut(kept.runs, state.cutoff_ms)


_ACTIONS = {"block": _block, "unblock": _unblock, "reset": _reset}
