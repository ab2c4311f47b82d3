"""The records that the model writes, without the words made for people."""

from typing import Any

from tests.model.account import Account, Block, Incident
from tests.model.tables import Policy
from tests.model.values import derived_id

Record = dict[str, Any]


def incident_record(account: Account, incident: Incident, now_ms: int) -> Record:
    """What was fixed at the first revision, and the activity as it is now."""
    kept = account.networks()
    by_country: dict[str | None, int] = {}
    for activity in kept.values():
        country = activity.last.country
        by_country[country] = by_country.get(country, 0) + len(activity.logins)
    return {
        "id": incident.id,
        "revision": incident.revision,
        "account": account.name,
        "opened": incident.opened,
        "rule": incident.rule,
        "count": incident.count,
        "limit": incident.limit,
        "window": incident.window,
        "blocked_until": incident.blocked_until,
        "mode": incident.mode,
        "networks": [one.record for network, one in kept.items() if network in incident.members],
        "countries": [
            {"country": country, "logins": by_country[country]}
            for country in sorted(by_country, key=lambda country: country or "")
        ],
        **account.messages.record(now_ms),
        "policy": incident.policy.record,
        "revised": now_ms,
        "ignored_logins": account.ignored,
        "networks_ever": incident.ever,
    }


def block_record(account: Account, block: Block, state: str, actor: str) -> Record:
    """The record Block."""
    return {
        "id": block.id,
        "account": account.name,
        "state": state,
        "from": block.begins,
        "until": block.until,
        "incident": block.incident.id if block.incident else None,
        "actor": actor,
        "except_networks": [str(network) for network in block.except_networks],
    }


def notification_record(account: Account, incident: Incident, policy: Policy) -> Record:
    """The record Notification, without its time and details."""
    return {
        "id": derived_id("notification", incident.id),
        "incident": incident.id,
        "account": account.name,
        "recipients": policy.recipients(account.name),
        "kind": "reported" if incident.blocked_until is None else "blocked",
    }
