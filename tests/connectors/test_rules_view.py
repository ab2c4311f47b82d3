"""The sender rules of every account, from the records of `policies` and `domains`."""

import threading

import pytest

from streams.bus.record import Record
from streams.connectors import rules_view
from streams.connectors.rules_view import ANY_SENDER, RulesView, SenderRules
from streams.errors import RegistryUnavailableError
from tests.connectors.doors import CODEC, now_ms
from tests.connectors.policy_clients import UNSET

NAME = SenderRules(match_username=True, match_domain=False)
DOMAIN = SenderRules(match_username=False, match_domain=True)
ALICE = "alice@example.org"


def policy(scope, **fields):
    value = {"scope": scope, **UNSET, **fields, "actor": "test", "time": now_ms()}
    return Record("policies", 0, 0, 0, scope.encode(), CODEC.encode("Policy", value) if fields else None, True)


def member(domain, group):
    value = CODEC.encode("Domain", {"domain": domain, "group": group})
    return Record("domains", 0, 0, 0, domain.encode(), value, True)


@pytest.fixture
def bad():
    return []


@pytest.fixture
def rules(bad):
    return RulesView(CODEC, "", bad.append)


def test_nothing_is_demanded_where_nothing_is_set(rules):
    """Any sender may be used."""
    assert rules.of(ALICE) == ANY_SENDER == (False, False)


def test_the_nearest_scope_decides_field_by_field(rules):
    """Everyone, group, domain, account; what a nearer scope sets to no is no."""
    for record in (
        policy("everyone", match_domain=True),
        member("example.org", "a/b"),
        policy("group:a", match_username=True),
    ):
        rules.apply(record)
    assert rules.of(ALICE) == (True, True)
    assert rules.of("x@other.example") == DOMAIN

    rules.apply(policy("domain:example.org", match_domain=False))
    assert rules.of(ALICE) == NAME
    rules.apply(policy(f"account:{ALICE}", match_username=False))
    assert rules.of(ALICE) == ANY_SENDER
    assert rules.of("bob@example.org") == NAME


def test_what_is_kept_is_forgotten_at_every_change(rules):
    """A policy that is changed or taken back holds at once, also for accounts asked before."""
    rules.apply(policy("everyone", match_username=True))
    assert rules.of(ALICE) == NAME
    assert rules.of(ALICE) is rules.of("bob@example.org")

    rules.apply(policy("everyone", match_username=False, match_domain=True))
    assert rules.of(ALICE) == DOMAIN
    rules.apply(policy("everyone"))
    assert rules.of(ALICE) == ANY_SENDER


def test_a_record_that_cannot_be_used_changes_nothing(rules, bad):
    """Its reason is told."""
    rules.apply(policy("everyone", match_username=True))
    rules.apply(Record("policies", 0, 1, 0, b"everyone", b"\xc3\x01garbage", True))
    rules.apply(Record("policies", 0, 1, 0, None, None, True))
    rules.apply(policy("everyone", time_window=-1)._replace(key=b"everyone"))

    assert rules.of(ALICE) == NAME
    assert len(bad) == 3


def test_a_registry_that_is_away_is_waited_for(bad, monkeypatch):
    """What a record says is unknown without its schema, and it must not be passed over."""
    monkeypatch.setattr(rules_view, "REGISTRY_RETRY_S", 0.01)
    tries = []

    class Away:
        def decode(self, record, raw):
            tries.append(record)
            if len(tries) < 3:
                raise RegistryUnavailableError("away")
            return CODEC.decode(record, raw)

    rules = RulesView(Away(), "", bad.append)
    rules.apply(policy("everyone", match_username=True))
    assert (rules.of(ALICE), len(tries)) == (NAME, 3)

    tries.clear()
    rules.close()
    rules.apply(policy("everyone", match_username=False))
    assert bad == ["registry-unavailable"]


def test_asking_while_records_arrive_never_keeps_an_old_answer(rules):
    """One thread applies, another asks: after the last record the answer is the last one's."""
    stop = threading.Event()
    seen = []

    def ask():
        while not stop.is_set():
            seen.append(rules.of(ALICE))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(300):
            rules.apply(policy(f"account:{ALICE}"))
            rules.apply(policy("everyone", match_username=number % 2 == 0, match_domain=number % 2 == 1))
            rules.apply(policy(f"account:{ALICE}", match_username=True))
        rules.apply(policy(f"account:{ALICE}"))
    finally:
        stop.set()
        asking.join(60)

    assert rules.of(ALICE) == DOMAIN
    assert set(seen) <= {ANY_SENDER, NAME, DOMAIN, SenderRules(True, True)}


def test_a_policy_taken_back_between_two_looks_is_no_fault(rules):
    """The account is looked at again."""

    class TakenBack(dict):
        def __getitem__(self, scope):
            self.pop(scope, None)
            return super().__getitem__(scope)

    rules.apply(policy("everyone", match_username=True))
    rules._book.policies = TakenBack(rules._book.policies)

    assert rules.of(ALICE) == ANY_SENDER


def test_an_answer_from_before_a_change_is_not_used_after_it(rules):
    """Also when the change came while the answer was made."""
    effective = rules._book.effective

    def overtaken(account):
        found = effective(account)
        rules.apply(policy("everyone", match_domain=True))
        return found

    rules._book.effective = overtaken
    assert rules.of(ALICE) == ANY_SENDER
    rules._book.effective = effective
    assert rules.of(ALICE) == DOMAIN
