"""Decisions as records on the topics of the embedded broker: rights, scopes, values, conflicts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.tail import tail
from streams.core.addresses import parse_network
from streams.core.policy import FIELDS
from streams.core.refusal import Refused
from streams.panel.decisions import WHATEVER, Decisions
from streams.panel.outbox import Outbox
from streams.panel.panel import Panel
from streams.panel.problems import Conflict, DecisionError, Forbidden, NotFound
from streams.panel.rights import Reader, Role
from streams.panel.store import EVERYTHING, audit, rules
from streams.panel.words import words_of
from streams.records.codec import Codec
from streams.topology import BY_NAME
from tests.cli.small_worker import SmallWorker
from tests.eventually import eventually
from tests.panel.store.feeding import produce
from tests.panel.store.population import Population
from tests.panel.visitors import Clock, Site

OWN, FOREIGN = "domain:example.org", "domain:other.example"
ACCOUNT, STRANGER = "user@example.org", "user@other.example"


def decide(site: Site, role: Role = Role.ADMINISTRATOR, *scopes: str) -> Decisions:
    reader = Reader(1, "anna@example.org", role, scopes or (OWN, "group:shops"))
    return site.panel.decisions(reader, words_of("en"))


@pytest.fixture
def written(embedded: EmbeddedBroker) -> Callable[[str], list[Any]]:
    """Everything on a topic, as (key, record, actor in the header)."""

    def read(topic: str) -> list[Any]:
        found = []
        for record in tail(embedded.settings, [BY_NAME[topic]]):
            value = None if record.value is None else Codec().decode(BY_NAME[topic].record, record.value)
            found.append(((record.key or b"").decode(), value, dict(record.headers).get("actor", b"").decode()))
        return found

    return read


def test_a_policy_is_written_and_read_at_once(live_site: Site, written: Callable[[str], list[Any]]) -> None:
    """The record has the reader as actor, and the store has it when the decision returns."""
    decide(live_site).set_policy("domain:Example.ORG", {"allowed_ips": 3, "time_window": 60, "notify": []}, None)

    [(key, record, actor)] = written("policies")
    stored = live_site.panel.stored_policy(OWN)

    assert (key, record["allowed_ips"], record["notify"], record["mode"]) == (OWN, 3, [], None)
    assert (record["actor"], actor) == ("anna@example.org", "anna@example.org")
    assert stored is not None
    assert stored.policy.allowed_ips == 3


def test_a_policy_that_changed_meanwhile_is_not_overwritten(live_site: Site) -> None:
    """Whoever saw an older one, or none, is told who saved and when; whoever saw this one may change it."""
    first = decide(live_site)
    first.set_policy(OWN, {"allowed_ips": 3}, None)
    stored = live_site.panel.stored_policy(OWN)
    assert stored is not None

    for seen in (None, stored.time_ms - 1):
        with pytest.raises(Conflict) as conflict:
            first.set_policy(OWN, {"allowed_ips": 5}, seen)
        assert conflict.value.by == "anna@example.org"
        assert conflict.value.at_ms == stored.time_ms
    first.set_policy(OWN, {"allowed_ips": 5}, stored.time_ms)

    changed = live_site.panel.stored_policy(OWN)
    assert changed is not None
    assert changed.policy.allowed_ips == 5


def test_what_was_removed_meanwhile_has_nobody_and_no_time(live_site: Site) -> None:
    """So that whoever is told can say at the next try that they saw none."""
    with pytest.raises(Conflict) as conflict:
        decide(live_site).set_policy(OWN, {"allowed_ips": 3}, 1)

    assert "removed" in conflict.value.sentence
    assert (conflict.value.by, conflict.value.at_ms) == (None, None)


def test_of_two_panels_on_a_database_one_saves_and_the_other_is_told(embedded: EmbeddedBroker, database: str) -> None:
    """The comparison and the write are one step for all panels."""
    settings = embedded.settings.model_copy(update={"panel_database": SecretStr(database)})
    with closing(Panel(settings)) as one, closing(Panel(settings)) as other:
        for panel in (one, other):
            panel.start()
            assert panel.follower.caught_up.wait(30)
        together = Barrier(2, timeout=60)

        def attempt(decisions: Decisions) -> str:
            try:
                decisions.set_policy(OWN, {"allowed_ips": 3}, None)
            except Conflict:
                return "told"
            except DecisionError:  # the other's is not read back yet: try again in a moment
                return ""
            return "saved"

        def save(panel: Panel) -> str:
            decisions = decide(Site(panel, Clock()))
            together.wait()
            return eventually(lambda: attempt(decisions), 30)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(save, (one, other))) == ["saved", "told"]


def test_while_a_policy_is_not_read_back_no_other_is_judged(live_site: Site) -> None:
    """What it would be compared with is not there yet: the second one is asked to try again."""
    live_site.panel.follower.stop()
    decide(live_site).set_policy(OWN, {"allowed_ips": 3}, None)

    with pytest.raises(DecisionError, match="not finished yet"):
        decide(live_site).set_policy(OWN, {"allowed_ips": 7}, None)


def test_inherit_and_reset(live_site: Site, written: Callable[[str], list[Any]]) -> None:
    """Reset writes zeros; inheriting everything is a tombstone whose header says who."""
    decide(live_site).reset_policy(OWN, None)
    decide(live_site).inherit(OWN, WHATEVER)

    (_, zeros, _), (key, nothing, actor) = written("policies")

    assert (zeros["time_window"], zeros["allowed_ips"], zeros["ignored_countries"]) == (0, 0, [])
    assert (key, nothing, actor) == (OWN, None, "anna@example.org")
    assert live_site.panel.stored_policy(OWN) is None


def test_safe_networks_come_and_go(live_site: Site, written: Callable[[str], list[Any]]) -> None:
    """Marked in canonical form, unmarked by whoever may; what is not marked cannot be unmarked."""
    desk = decide(live_site, Role.HELP_DESK)
    desk.add_safe(f"account:{ACCOUNT}", "192.0.2.7/24", "the hotel", None)
    desk.remove_safe(f"account:{ACCOUNT}", "192.0.2.0/24")

    [(key, record, _), (removed, nothing, actor)] = written("safe-networks")

    assert (record["network"], record["description"]) == ("192.0.2.0/24", "the hotel")
    assert (removed, nothing, actor) == (key, None, "anna@example.org")
    with pytest.raises(NotFound):
        desk.remove_safe(f"account:{ACCOUNT}", "192.0.2.0/24")
    with live_site.panel.store.reading() as connection:
        deeds = audit.listed(connection, EVERYTHING, audit.Wanted(action="safe.")).rows
    assert [deed.action for deed in deeds] == ["safe.remove", "safe.add"]


SPELLED: list[tuple[str, str, dict[str, Any]]] = [
    ("policies", "domain:Example.ORG.", {"allowed_ips": 2}),
    ("safe-networks", f"{OWN} 192.0.2.7/24", {"network": "192.0.2.7/24", "description": "x", "expires": None}),
    ("domains", "EXAMPLE.org", {"domain": "EXAMPLE.org", "group": "shops/a"}),
]
"""Rules as another tool may write them."""


@pytest.mark.parametrize("takes_away", [True, False])
def test_rules_that_another_tool_wrote_its_own_way_are_replaced(
    live_site: Site, embedded: EmbeddedBroker, written: Callable[[str], list[Any]], takes_away: bool
) -> None:
    """Compaction goes by the key as it is written: what lay under another one would be in force after the next start."""
    whole = {"scope": "domain:EXAMPLE.org", "actor": "x", "time": 1}
    produce(embedded, [(topic, key, {**dict.fromkeys(FIELDS), **whole, **row}) for topic, key, row in SPELLED])
    panel, network = live_site.panel, "192.0.2.0/24"
    eventually(lambda: panel.group_of("example.org") and panel.has_safe_network(OWN, parse_network(network)))
    stored = eventually(lambda: panel.stored_policy(OWN))
    assert stored is not None

    boss = decide(live_site, Role.ADMINISTRATOR, "everything")
    if takes_away:
        boss.inherit(OWN, WHATEVER)
        boss.remove_safe(OWN, network)
        boss.set_group("example.org", None)
    else:
        boss.set_policy(OWN, {"allowed_ips": 3}, stored.time_ms)
        boss.add_safe(OWN, network, "head office", None)
        boss.set_group("example.org", "shops/b")

    canonical = {"policies": OWN, "safe-networks": f"{OWN} {network}", "domains": "example.org"}
    for topic, key, _ in SPELLED:
        kept = {name: row is not None for name, row, _ in written(topic)}
        assert kept == {key: False, canonical[topic]: not takes_away}
        eventually(lambda topic=topic: panel.spellings(topic, [canonical[topic]]) == {})
    eventually(lambda: panel.has_safe_network(OWN, parse_network(network)) is not takes_away)
    eventually(lambda: panel.group_of("example.org") == (None if takes_away else "shops/b"))


def test_orders_reach_the_worker_and_it_is_asked(live_site: Site, embedded: EmbeddedBroker) -> None:
    """A block that is ordered here shows in what the worker answers; without a worker there is no answer."""
    desk = decide(live_site, Role.HELP_DESK)
    assert desk.describe(ACCOUNT) is None

    with SmallWorker(embedded.settings):
        desk.block(ACCOUNT, 30, "strange mails")
        blocked = next(view for view in iter(lambda: desk.describe(ACCOUNT), object()) if view)
        desk.unblock(ACCOUNT, "")
        desk.reset(ACCOUNT, "all clear")
        opened = desk.describe(ACCOUNT)

    assert blocked["blocked_until"] is not None
    assert opened is not None
    assert opened["blocked_until"] is None


def test_a_review_is_of_an_incident_that_is_there(live_site: Site, embedded: EmbeddedBroker) -> None:
    """The account is that of the incident, whatever anybody says; unknown incidents and verdicts are refused."""
    [incident] = Population(1).incident(account=ACCOUNT)
    produce(embedded, [("incidents", ACCOUNT, incident)])
    desk = decide(live_site, Role.HELP_DESK)
    eventually(lambda: live_site.panel.account_of_incident(incident["id"]))
    with pytest.raises(Refused, match="verdict"):
        desk.review(incident["id"], "fine", "")
    with pytest.raises(NotFound):
        desk.review("no such incident", "travelling", "")
    with pytest.raises(NotFound):
        decide(live_site, Role.HELP_DESK, FOREIGN).review(incident["id"], "travelling", "")

    desk.review(incident["id"], "travelling", "  on holiday ")

    from streams.panel.store import incidents

    with live_site.panel.store.reading() as connection:
        found = incidents.one(connection, EVERYTHING, incident["id"])
    assert found is not None
    assert [(review.verdict, review.note, review.actor) for review in found.reviews] == [
        ("travelling", "on holiday", "anna@example.org")
    ]


def test_domains_move_between_groups_that_one_has(live_site: Site) -> None:
    """Both ends must be one's own; a list is written whole or not at all."""
    boss = decide(live_site, Role.ADMINISTRATOR, "everything")
    boss.set_groups([("example.org", "shops/a"), ("B.example", "shops/b")])
    local = decide(live_site)

    local.set_group("b.example", "shops/a")
    with pytest.raises(NotFound):
        local.set_groups([("b.example", "shops/b"), ("other.example", "shops/b")])
    with pytest.raises(NotFound):
        local.set_group("b.example", "elsewhere")
    with pytest.raises(Forbidden):
        local.set_group("b.example", None)

    assert live_site.panel.group_of("b.example") == "shops/a"
    boss.set_group("b.example", None)
    assert live_site.panel.group_of("b.example") is None


def test_a_domain_leaves_no_group_that_is_somebody_elses(live_site: Site) -> None:
    """Who has the domain and a group of their own cannot take it there, one or many, and may leave it where it is."""
    boss = decide(live_site, Role.ADMINISTRATOR, "everything")
    boss.set_groups([("example.org", "reseller-b"), ("b.example", "shops/b")])
    local = decide(live_site)

    with pytest.raises(NotFound):
        local.set_group("example.org", "shops")
    with pytest.raises(NotFound):
        local.set_groups([("b.example", "shops"), ("example.org", "shops/a")])

    assert live_site.panel.group_of("example.org") == "reseller-b"
    assert live_site.panel.group_of("b.example") == "shops/b"


def calls(scope: str, account: str) -> Iterator[tuple[str, Callable[[Decisions], object]]]:
    """Every decision, about one scope or account."""
    domain = account.rpartition("@")[2]
    yield "set_policy", lambda d: d.set_policy(scope, {"allowed_ips": 1}, None)
    yield "inherit", lambda d: d.inherit(scope, None)
    yield "reset_policy", lambda d: d.reset_policy(scope, None)
    yield "add_safe", lambda d: d.add_safe(scope, "192.0.2.0/24", "why", None)
    yield "remove_safe", lambda d: d.remove_safe(scope, "192.0.2.0/24")
    yield "block", lambda d: d.block(account, None, "")
    yield "unblock", lambda d: d.unblock(account, "")
    yield "reset", lambda d: d.reset(account, "")
    yield "describe", lambda d: d.describe(account)
    yield "set_group", lambda d: d.set_group(domain, "shops")
    yield "set_groups", lambda d: d.set_groups([(domain, "shops")])


def test_every_decision_demands_scope_and_right_itself(site: Site) -> None:
    """Whatever its caller has checked: a foreign scope is not found, a missing right is forbidden."""
    public = {name for name in vars(Decisions) if not name.startswith("_")}
    named = {name for name, _ in calls(OWN, ACCOUNT)}
    assert public == named | {"review"}  # the review has a test of its own

    for name, call in calls(FOREIGN, STRANGER):
        with pytest.raises(NotFound):
            call(decide(site))
        assert name in public
    for name, call in calls(OWN, ACCOUNT):
        if name != "describe":
            with pytest.raises(Forbidden):
                call(decide(site, Role.READER))
    for _, call in calls("everyone", STRANGER):
        with pytest.raises(NotFound):
            call(decide(site))


def test_only_rules_of_one_account_are_the_help_desks(site: Site) -> None:
    """A safe network of a whole domain is a rule."""
    with pytest.raises(Forbidden):
        decide(site, Role.HELP_DESK).add_safe(OWN, "192.0.2.0/24", "why", None)


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.set_policy("nonsense", {}, None),
        lambda d: d.set_policy(OWN, {"allowed_ips": 51}, None),
        lambda d: d.set_policy(OWN, {"notify": ["no address"]}, None),
        lambda d: d.add_safe(OWN, "192.0.2.0/33", "why", None),
        lambda d: d.add_safe(OWN, "192.0.2.0/24", " ", None),
        lambda d: d.add_safe(OWN, "192.0.2.0/24", "why", 5),
        lambda d: d.block(ACCOUNT, 0, ""),
        lambda d: d.block(ACCOUNT, 43_201, ""),
        lambda d: d.block(ACCOUNT, 5, "x" * 501),
        lambda d: d.block("no@body@", 5, ""),
        lambda d: d.set_group("not a domain", "shops"),
        lambda d: d.set_group("example.org", "shops//a"),
    ],
)
def test_values_that_cannot_be_used_are_refused_before_anything_is_written(
    site: Site, call: Callable[[Decisions], object]
) -> None:
    """The core's own sentence; Kafka is not even asked (there is none here)."""
    with pytest.raises(Refused):
        call(decide(site))


def test_without_kafka_nothing_is_promised(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever decides is told that it did not happen."""
    monkeypatch.setattr("streams.panel.outbox.ACKNOWLEDGED_WITHIN_S", 0.3)
    outbox = Outbox(site.panel.settings, Codec())
    outbox.start()
    site.panel.outbox = outbox

    with pytest.raises(DecisionError):
        decide(site).reset_policy(OWN, None)

    with site.panel.store.reading() as connection:
        assert rules.policy(connection, EVERYTHING, OWN) is None
    outbox.close()
