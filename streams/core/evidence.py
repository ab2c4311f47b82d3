"""The evidence: what an incident shows of an account, and what a view of the account answers."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streams.core.addresses import Network, Order, format_address
from streams.core.book import Rules
from streams.core.incidents import Incident
from streams.core.listed import Listed
from streams.core.overview import total_logins
from streams.core.policy import MINUTE_MS
from streams.core.presence import present_networks, restarts, safe_covers
from streams.core.state import AccountState, Kept
from streams.core.values import Part

if TYPE_CHECKING:
    from streams.core.episodes import World

WORDS = {"ips": "networks", "countries": "countries"}


def incident_record(
    state: AccountState, incident: Incident, rules: Rules, account: str, *, now_ms: int, world: "World"
) -> dict[str, Any]:
    """One revision of an incident, with everything that explains it."""
    countries = logins_by_country(state)
    return {
        "id": incident.id,
        "revision": incident.revision,
        "account": account,
        "opened": incident.opened_ms,
        "rule": incident.rule,
        "count": incident.count,
        "limit": incident.limit,
        "window": incident.window,
        "blocked_until": incident.blocked_until_ms,
        "mode": incident.mode,
        "networks": _members(state, incident, world),
        "countries": countries,
        **_messages(state, now_ms),
        "summary": summary(incident),
        "policy": incident.policy,
        "revised": now_ms,
        "distinct_countries": sum(1 for item in countries if item["country"] is not None),
        "ignored_logins": state.ignored_logins,
        "networks_ever": incident.ever,
        "left_out": _left_out(state, incident, rules),
    }


def summary(incident: Incident) -> str:
    """The rule in words, for instance `4 networks > 3 allowed within 60 minutes`."""
    minutes = "1 minute" if incident.window == 1 else f"{incident.window} minutes"
    return f"{incident.count} {WORDS[incident.rule]} > {incident.limit} allowed within {minutes}"


def view_record(
    state: AccountState, rules: Rules, account: str, request: str, *, now_ms: int, world: "World"
) -> dict[str, Any]:
    """The answer to `describe`: the account as the worker that owns it sees it."""
    block = state.block if state.block is not None and state.block.holds(now_ms) else None
    present = present_networks(state, now_ms, rules)
    return {
        "request": request,
        "account": account,
        "time": now_ms,
        "blocked_until": block.until_ms if block else None,
        "block": block.id if block else None,
        "block_incident": block.incident if block else None,
        "incident": _open_incident(state, rules, now_ms),
        "cutoff": state.counts_from_ms if state.counts_from_ms >= 0 else None,
        **_messages(state, now_ms),
        "ignored_logins": state.ignored_logins,
        "policy": rules.policy.to_record(),
        "networks": [_view_network(kept, rules, kept.network in present, world) for kept in _sorted(state)],
    }


def _open_incident(state: AccountState, rules: Rules, now_ms: int) -> str | None:
    """The incident of an episode that a login of now could go on; it is forgotten only when the next login is read."""
    episode = state.episode
    if episode is None or restarts(state, rules) or now_ms >= episode.last_ms + episode.window * MINUTE_MS:
        return None
    return episode.id


def _messages(state: AccountState, now_ms: int) -> dict[str, Any]:
    """What was sent in 24 hours, and as whom if not as the account."""
    messages = state.messages
    if not messages.quarters:
        return {"messages_24h": 0, "foreign_messages_24h": 0, "foreign_senders": []}
    return {
        "messages_24h": messages.in_24h(now_ms),
        "foreign_messages_24h": messages.foreign_24h(now_ms),
        "foreign_senders": messages.senders_24h(now_ms),
    }


def logins_by_country(state: AccountState) -> list[Part]:
    """Listed logins of the kept networks by country, unknown (None) first."""
    totals = total_logins(state.networks.values()) if state.overview is None else state.overview.logins
    return [_country_record(country, totals[country]) for country in sorted(totals, key=lambda code: code or "")]


@lru_cache(maxsize=1 << 12)
def _country_record(country: str | None, logins: int) -> Part:
    """Remembered: there are few countries, and from most come few logins."""
    return Part({"country": country, "logins": logins})


def _sorted(state: AccountState) -> list[Kept]:
    return [state.networks[network] for network in sorted(state.networks, key=_order)]


def _order(network: Network) -> Order:
    return network.order


def _members(state: AccountState, incident: Incident, world: "World") -> list[Part]:
    """The networks that took part and are kept, in order. Only those are shown anew that changed since the last revision."""
    listed = incident.listed
    if listed is None:
        listed = incident.listed = Listed(incident.members)
    for network in listed.changed & state.networks.keys():
        listed.show(network, Part(_network_record(state.networks[network], world)))
    return listed.shown()


def _network_record(kept: Kept, world: "World") -> dict[str, Any]:
    address = format_address(kept.address)
    place = world.place(address)
    return {
        "network": str(kept.network),
        "country": kept.country,
        "first": kept.first_ms,
        "last": kept.last_ms,
        "address": address,
        "service": kept.service,
        "logins": kept.logins,
        "days": kept.different_days,
        "city": place.city,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "owner": place.owner,
    }


def _view_network(kept: Kept, rules: Rules, counted: bool, world: "World") -> dict[str, Any]:
    safe = rules.safe_cover(kept.network)
    return {
        **_network_record(kept, world),
        "counted": counted,
        "safe_network": str(safe.network) if safe else None,
        "safe_scope": safe.scope if safe else None,
        "safe_description": safe.description if safe else None,
    }


def _left_out(state: AccountState, incident: Incident, rules: Rules) -> list[dict[str, Any]]:
    """Networks used within a window before the incident that a safe network kept out of the count."""
    since = incident.opened_ms - incident.window * MINUTE_MS
    covers = safe_covers(state, rules)
    left_out = []
    for network in sorted(covers, key=_order):
        kept, safe = state.networks[network], covers[network]
        if kept.last_ms > since:
            left_out.append(
                {
                    "network": str(kept.network),
                    "country": kept.country,
                    "first": kept.first_ms,
                    "last": kept.last_ms,
                    "logins": kept.logins,
                    "safe_network": str(safe.network),
                    "scope": safe.scope,
                    "description": safe.description,
                }
            )
    return left_out
