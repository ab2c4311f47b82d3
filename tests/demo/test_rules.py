"""The demo's policies and schedule."""

from streams.core.policy import parse_policy
from streams.demo import rules
from streams.records.codec import Codec
from streams.simulator.thieves import KINDS


def test_the_rules_are_valid_records() -> None:
    """Policies and safe networks can be written to their topics, and the policies mean something."""
    codec = Codec()
    for key, policy in rules.policies(1_000):
        assert policy["scope"] == key
        assert codec.decode("Policy", codec.encode("Policy", policy)) == policy
        parse_policy(policy)
    for key, network in rules.safe_networks(1_000):
        assert key == f"{network['scope']} {network['network']}"
        assert codec.decode("SafeNetwork", codec.encode("SafeNetwork", network)) == network


def test_every_kind_of_thief_comes_within_the_story() -> None:
    """In forty seconds each kind comes at least once, early enough to be caught; a shorter demo is told faster."""
    for seconds in (40, 20, 80):
        plans = rules.plans(seconds, 300)
        assert {plan.kind for plan in plans} == set(KINDS)
        assert all(plan.start_ms <= seconds * 1000 * 0.6 for plan in plans)


def test_a_demo_without_end_goes_on_with_thieves() -> None:
    """After the story another thief comes about every minute, as long as there are accounts."""
    plans = rules.plans(None, 1000)

    assert len(plans) > 100
    assert len(rules.plans(None, 20)) == 5
    assert len(rules.plans(None, 1)) == 1
