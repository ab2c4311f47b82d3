"""What a canary's account must be like, from where it logs in, and what is made of an answer."""

from typing import Any

import pytest

from streams.connectors.canary_rules import DEMANDS, addresses, is_clean, shortfalls, strangers, why_not_blocked
from streams.core.addresses import cut, parse_address
from streams.core.policy import EffectivePolicy
from streams.core.refusal import Refused
from streams.settings import Settings

POLICY = EffectivePolicy.from_levels([("account:canary@example.org", DEMANDS)]).to_record()
NETWORKS = Settings().canary_networks


def view(*used: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"time": 1_000, "cutoff": None, "messages_24h": 0, "blocked_until": None, "networks": list(used), **changes}


def network(address: str = "192.0.2.1", **changes: Any) -> dict[str, Any]:
    return {
        "address": address,
        "network": f"{address}/32",
        "last": 900,
        "safe_network": None,
        "safe_scope": None,
        **changes,
    }


def test_the_policy_that_prepare_writes_is_enough() -> None:
    """With the longest wait that can be set, and whatever is set above."""
    above = EffectivePolicy.from_levels([("account:canary@example.org", DEMANDS)])
    assert shortfalls(above.to_record(), 60) == []
    assert None not in DEMANDS.to_record().values()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"time_window": 0}, "never be found"),
        ({"allowed_ips": 0}, "never be found"),
        ({"allowed_countries": 1}, "countries are counted"),
        ({"mode": "observe"}, "not be blocked"),
        ({"block_time": 0}, "not be blocked"),
        ({"block_time": 1}, "could end before canary_timeout, 60 s"),
        ({"notify": ["soc@example.org"]}, "somebody would be mailed"),
        ({"notify_sender": True}, "somebody would be mailed"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(changes: dict[str, Any], word: str) -> None:
    """One reason each."""
    [reason] = shortfalls({**POLICY, **changes}, 60)

    assert word in reason


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"allowed_ips": 50},
        {"ipv4_prefix": 24},
        {"ipv4_prefix": 8, "ipv6_prefix": 32},
        {"ipv6_prefix": 128, "allowed_ips": 9},
    ],
)
def test_addresses_are_in_different_networks_as_the_policy_counts_them(changes: dict[str, Any]) -> None:
    """One more than it allows, all in the configured networks."""
    policy = {**POLICY, **changes}

    found = addresses(NETWORKS, policy)

    prefixes = policy["ipv4_prefix"], policy["ipv6_prefix"]
    assert len({cut(parse_address(address), *prefixes) for address in found}) == policy["allowed_ips"] + 1 == len(found)
    assert strangers(view(*map(network, found)), NETWORKS) == ""


@pytest.mark.parametrize("networks", [(), ("192.0.2.0/31",), ("192.0.2.0/24", "192.0.2.7"), ("192.0.2.1",) * 9])
def test_too_few_networks_are_refused(networks: tuple[str, ...]) -> None:
    """What lies in one that was used already, or is there twice, is no further one."""
    with pytest.raises(Refused, match="canary_networks hold") as refused:
        addresses(networks, {**POLICY, "allowed_ips": 300})

    assert refused.value.reason == "policy"


def test_a_login_from_elsewhere_or_a_message_makes_an_account_somebodys() -> None:
    """Whichever comes first is named."""
    assert "sent 3 messages" in strangers(view(messages_24h=3), NETWORKS)
    assert "from 10.0.0.1" in strangers(view(network(), network("10.0.0.1")), NETWORKS)
    assert strangers(view(network(), network("2001:db8:5::1")), NETWORKS) == ""


def test_an_account_is_clean_without_logins_and_block() -> None:
    """Either is something that a round would trip over."""
    assert is_clean(view())
    assert not is_clean(view(network()))
    assert not is_clean(view(blocked_until=2_000))


@pytest.mark.parametrize(
    ("seen", "outcome", "word"),
    [
        (view(network()), "not_arrived", "1 of 2 logins"),
        (view(network(), network("192.0.2.2")), "not_blocked", "wrote no block"),
        (view(network(), network("192.0.2.2"), cutoff=899), "not_blocked", "wrote no block"),
        (view(network(), network("192.0.2.2"), cutoff=900), "clock", "clock is behind Kafka's"),
        (
            view(network(), network("192.0.2.2", safe_network="192.0.2.0/24", safe_scope="everyone")),
            "policy",
            "192.0.2.0/24 of everyone",
        ),
    ],
)
def test_what_the_worker_holds_says_why_no_block_came(seen: dict[str, Any], outcome: str, word: str) -> None:
    """Reports that are missing, a clock, a safe network, or the worker itself."""
    found, sentence = why_not_blocked(seen, ["192.0.2.1", "192.0.2.2"])

    assert (found, word in sentence) == (outcome, True), sentence
