"""
Episodes, incidents, blocks and notifications: what is written when an account exceeds its policy.

An episode opens when an account exceeds its policy and lasts as long as it does so again less than a window later; a
block, an unblock or a reset ends it. One incident is the record of one episode; a block closes the account's doors, and
while it lasts further networks are still added to its incident.
"""

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

import orjson

from streams.core import activity, evidence
from streams.core.addresses import Network, format_address
from streams.core.blocks import Block
from streams.core.book import Rules
from streams.core.incidents import Incident
from streams.core.policy import MINUTE_MS, EffectivePolicy
from streams.core.presence import Excess
from streams.core.state import AccountState
from streams.core.values import Login, Part

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "loginwatch")
"""All derived ids are of this namespace: who repeats a computation gets the same ids."""
_NAMESPACE_BYTES = NAMESPACE.bytes
ACTOR = "loginwatch"
REVISED_FOR_EACH = 64
"""Up to so many networks each one is a revision, then each doubling."""

Outputs = list[tuple[str, dict[str, Any]]]
"""Topic and record, in the order in which they are to be written."""


class Place(Protocol):
    """What a geo database says of an address; None where it says nothing."""

    @property
    def country(self) -> str | None: ...  # noqa: D102
    @property
    def city(self) -> str | None: ...  # noqa: D102
    @property
    def latitude(self) -> float | None: ...  # noqa: D102
    @property
    def longitude(self) -> float | None: ...  # noqa: D102
    @property
    def owner(self) -> str | None: ...  # noqa: D102


class World(Protocol):
    """Where to ask for the place of an address given as text."""

    def place(self, address: str) -> Place:
        """The place of an address; every field may be None."""
        ...


def derived_id(*parts: str | int) -> str:
    """The id of what came from `parts`: UUIDv5 (RFC 9562) of their JSON."""
    digest = bytearray(hashlib.sha1(_NAMESPACE_BYTES + orjson.dumps(parts), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()  # by hand: a third of the time that `uuid.uuid5` takes
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def exceeded(state: AccountState, login: Login, rules: Rules, found: Excess, *, now_ms: int, world: World) -> Outputs:
    """The account exceeds its policy at this login: go on with its episode, or open one."""
    incident = state.episode
    if incident is not None and _belongs(incident, found, rules) and not _is_weaker(incident.policy, rules.policy):
        incident.last_ms = max(incident.last_ms, found.instants[-1])
        incident.count = max(incident.count, _count(incident.rule, found))
        return _add(state, incident, found.networks, rules, login.account, now_ms=now_ms, world=world)
    return _open(state, login, rules, found, now_ms=now_ms, world=world)


def seen_while_blocked(state: AccountState, login: Login, rules: Rules, *, now_ms: int, world: World) -> Outputs:
    """A login that would count but for the block of an incident: its network is added to that incident."""
    incident = state.blocked_incident
    assert incident is not None
    return _add(state, incident, {login.network}, rules, login.account, now_ms=now_ms, world=world)


def close_old(state: AccountState, lateness_ms: int) -> None:
    """Forget incidents that no login that is still judged can touch."""
    judged_from = state.newest_ms - lateness_ms
    episode = state.episode
    if episode is not None and judged_from >= episode.last_ms + episode.window * MINUTE_MS:
        state.episode = None
    if state.blocked_incident is not None and (state.block is None or judged_from > state.block.until_ms):
        state.blocked_incident = None


def _belongs(incident: Incident, found: Excess, rules: Rules) -> bool:
    """Whether a login's excess is of the open episode: less than a window after its last instant, or before that."""
    return found.instants[0] < incident.last_ms + rules.window_ms


def _is_weaker(policy_record: dict[str, Any], policy: EffectivePolicy) -> bool:
    """Whether the policy of now would block or mail where that of the incident could not."""
    enforces = policy_record["mode"] == "enforce"
    could_block = enforces and policy_record["block_time"] > 0
    could_mail = enforces and bool(policy_record["notify"] or policy_record["notify_sender"])
    return (policy.can_block and not could_block) or (policy.can_mail and not could_mail)


def _count(rule: str, found: Excess) -> int:
    return found.most_ips if rule == "ips" else found.most_countries


def _open(state: AccountState, login: Login, rules: Rules, found: Excess, *, now_ms: int, world: World) -> Outputs:
    """A new episode: its incident, and in `enforce` mode the block and the notification."""
    policy = rules.policy
    opened = found.instants[0]
    origin = [login.id] if login.id else [login.time_ms, format_address(login.address), login.service]
    incident = Incident(
        id=derived_id(login.account, found.rule, *origin),
        opened_ms=opened,
        rule=found.rule,
        limit=policy.allowed_ips if found.rule == "ips" else policy.allowed_countries,
        window=policy.time_window,
        mode=policy.mode,
        policy=_policy_record(policy),
        last_ms=found.instants[-1],
        count=_count(found.rule, found),
    )
    from_ms = max(now_ms, opened)
    if policy.can_block:
        incident.blocked_until_ms = from_ms + policy.block_time * MINUTE_MS
        state.episode, state.blocked_incident = None, incident
    else:
        state.episode = incident
    outputs = _add(state, incident, found.networks, rules, login.account, now_ms=now_ms, world=world)
    record = outputs[0][1]
    if incident.blocked_until_ms is not None:
        outputs.append(("blocks", _block(state, incident, record, from_ms)))
    recipients = policy.recipients(login.account) if policy.enforces else []
    if recipients:
        outputs.append(("notifications", _notification(record, recipients, now_ms)))
    return outputs


@lru_cache(maxsize=1 << 10)
def _policy_record(policy: EffectivePolicy) -> Part:
    """Remembered: most accounts share theirs."""
    return Part(policy.to_record())


def _block(state: AccountState, incident: Incident, record: dict[str, Any], from_ms: int) -> dict[str, Any]:
    until_ms = incident.blocked_until_ms
    assert until_ms is not None
    familiar = activity.familiar_networks(state, incident.policy["familiar_days"], incident.opened_ms)
    block = Block(derived_id("block", incident.id), from_ms, until_ms, incident.id, familiar)
    state.put_block(block)
    return block_record(block, record["account"], "blocked", until_ms, record["summary"], ACTOR)


def block_record(block: Block, account: str, status: str, until_ms: int, reason: str, actor: str) -> dict[str, Any]:
    """The Block record of a block, `blocked` or lifted (`open`)."""
    networks = [str(network) for network in block.except_networks] if status == "blocked" else []
    return {
        "id": block.id,
        "account": account,
        "state": status,
        "from": block.from_ms,
        "until": until_ms,
        "reason": reason,
        "incident": block.incident,
        "actor": actor,
        "except_networks": networks,
    }


def _notification(record: dict[str, Any], recipients: list[str], now_ms: int) -> dict[str, Any]:
    return {
        "id": derived_id("notification", record["id"]),
        "incident": record["id"],
        "account": record["account"],
        "recipients": recipients,
        "kind": "reported" if record["blocked_until"] is None else "blocked",
        "time": now_ms,
        "details": record,
    }


def _add(
    state: AccountState,
    incident: Incident,
    networks: Iterable[Network],
    rules: Rules,
    account: str,
    *,
    now_ms: int,
    world: World,
) -> Outputs:
    """Add networks to an incident; a revision if it is the first, brings a new network up to 64, or a doubling."""
    added = set(networks) - incident.members
    before, incident.ever = incident.ever, incident.ever + len(added)
    incident.members |= added
    if incident.listed is not None:
        incident.listed.add(added)
    doubled = (incident.ever // REVISED_FOR_EACH).bit_length() > (before // REVISED_FOR_EACH).bit_length()
    if not added or (before >= REVISED_FOR_EACH and not doubled):
        return []
    incident.revision += 1
    return [("incidents", evidence.incident_record(state, incident, rules, account, now_ms=now_ms, world=world))]
