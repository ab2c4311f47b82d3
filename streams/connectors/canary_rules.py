"""
What the canary's account must be like, and from where it logs in. Pure.

Decision: an account that anybody uses is left alone: its logins and its messages show in what the worker holds of it, and a
round that would delete them is not begun.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from streams.core.addresses import Network, contains, cut, format_address, parse_address, parse_network
from streams.core.policy import Policy
from streams.core.refusal import Refused

View = Mapping[str, Any]
"""An AccountView."""
ADDRESS_BITS = 128
DEMANDS = Policy(
    time_window=10,
    allowed_ips=3,
    allowed_countries=0,
    ignored_countries=(),
    block_time=5,
    notify=(),
    notify_sender=False,
    match_username=False,
    match_domain=False,
    familiar_days=0,
    ipv4_prefix=32,
    ipv6_prefix=64,
    mode="enforce",
)
"""What `loginwatch canary prepare` writes: caught at the fourth network, locked for five minutes at most, nobody is mailed."""


def shortfalls(policy: Mapping[str, Any], timeout_s: float) -> list[str]:
    """What an effective policy (as EffectivePolicy.to_record) lacks for a canary, half a sentence each; empty = nothing."""
    found = []
    if not policy["time_window"] or not policy["allowed_ips"]:
        found.append("no window or number of networks is set, so it would never be found")
    if policy["allowed_countries"]:
        found.append("countries are counted, so it might be found before its last login")
    if policy["mode"] != "enforce" or not policy["block_time"]:
        found.append("it would not be blocked")
    elif policy["block_time"] * 60 <= timeout_s:
        found.append(f"its block of {policy['block_time']} min could end before canary_timeout, {timeout_s:g} s")
    if policy["notify"] or policy["notify_sender"]:
        found.append("somebody would be mailed at every round")
    return found


def addresses(networks: Sequence[str], policy: Mapping[str, Any]) -> list[str]:
    """
    One address in each of so many networks as this policy allows, and one more; taken from `networks` in turn.

    >>> addresses(["192.0.2.0/24", "2001:db8::/32"], {"allowed_ips": 2, "ipv4_prefix": 32, "ipv6_prefix": 64})
    ['192.0.2.1', '2001:db8:0:1::1', '192.0.2.2']

    Raises Refused when the networks do not hold as many.
    """
    wanted = policy["allowed_ips"] + 1
    prefixes = policy["ipv4_prefix"], policy["ipv6_prefix"]
    found: dict[Network, str] = {}
    ways = [islice(_addresses_in(parse_network(text), *prefixes), wanted) for text in networks]
    while ways and len(found) < wanted:
        for way in ways.copy():
            address = next(way, None)
            if address is None:
                ways.remove(way)
            elif len(found) < wanted:
                found.setdefault(cut(address, *prefixes), format_address(address))
    if len(found) < wanted:
        raise Refused(
            "policy",
            f"canary_networks hold {len(found)} networks of the size that the policy counts, and {wanted} are needed:"
            " name more, or run `loginwatch canary prepare`",
        )
    return list(found.values())


def _addresses_in(network: Network, ipv4_prefix: int, ipv6_prefix: int) -> Iterator[int]:
    """An address of each counted network inside this one; the first of many is left out, since it looks like the whole."""
    prefix = max(network.prefix, cut(network.number, ipv4_prefix, ipv6_prefix).prefix)
    size, number = 1 << (ADDRESS_BITS - prefix), 1 << (prefix - network.prefix)
    for index in range(int(number > 1), number):
        yield network.number + index * size + int(size > 1)


def strangers(view: View, networks: Sequence[str]) -> str:
    """What this account has done that no canary does, as a sentence's end; empty = nothing."""
    if view["messages_24h"]:
        return f"it sent {view['messages_24h']} messages in the last 24 hours"
    ours = [parse_network(text) for text in networks]
    for used in view["networks"]:
        address = Network(parse_address(used["address"]), ADDRESS_BITS)
        if not any(contains(network, address) for network in ours):
            return f"it logged in from {used['address']}, which is not in canary_networks"
    return ""


def is_clean(view: View) -> bool:
    """Whether nothing is left of an earlier round."""
    return not view["networks"] and view["blocked_until"] is None


def last_login_age_ms(view: View) -> int | None:
    """How long before the view was made the account logged in last; None if it never did."""
    last = max((used["last"] for used in view["networks"]), default=None)
    return None if last is None else view["time"] - last


def why_not_blocked(view: View, sent: Sequence[str]) -> tuple[str, str]:
    """Outcome and sentence for logins that all were reported, and were followed by no block in time."""
    networks = view["networks"]
    safe = [used for used in networks if used["safe_network"]]
    cutoff = view["cutoff"]
    if len(networks) < len(sent):
        return "not_arrived", (
            f"the worker has seen {len(networks)} of {len(sent)} logins: do the gateway's reports reach Kafka"
            " (its /health/ready, loginwatch_reports_total), and is the worker behind?"
        )
    if safe:
        return "policy", (
            f"{safe[0]['network']} is safe ({safe[0]['safe_network']} of {safe[0]['safe_scope']}), so it does not count:"
            " take it out, or set canary_networks"
        )
    if cutoff is not None and any(used["last"] <= cutoff for used in networks):
        return "clock", (
            "logins made after the reset are dated before it: the gateway's clock is behind Kafka's; set it right"
        )
    return "not_blocked", (
        f"the worker has seen all {len(sent)} logins and wrote no block that is on the topic `blocks`: see its log, and"
        " `loginwatch account show`"
    )
