"""Who did what: from records, and from the panel itself."""

from streams.panel.store import EVERYTHING, Store, Visible, audit
from tests.panel.store.feeding import fill, items
from tests.panel.store.population import START_MS, Population, Record

POPULATION = Population(41)


def command(account: str, action: str, **fields: object) -> tuple[str, str, Record]:
    record: Record = {"time": START_MS, "id": f"{action}-{account}", "account": account, "action": action}
    record |= {"actor": "help@example.org", "reason": "a call", "minutes": None}
    return "account-commands", account, {**record, **fields}


def deeds(store: Store, visible: Visible = EVERYTHING, **wanted: object) -> list[audit.Deed]:
    with store.reading() as connection:
        return list(audit.every(connection, visible, audit.Wanted(**wanted)))  # type: ignore[arg-type]


def test_each_change_of_a_rule_is_kept_with_what_was_before(store: Store) -> None:
    """The topic keeps the last one; the audit all, over a wipe of the read model too."""
    scope = "domain:one.example"
    first, second = POPULATION.policy(scope), {**POPULATION.policy(scope), "allowed_ips": 9, "time": START_MS + 1}
    fill(store, [("policies", scope, first), ("policies", scope, second), ("policies", scope, None)], batch=2)

    store.wipe_read_model()

    told = {deed.action: deed for deed in deeds(store)}
    changes = [(deed.before or {}, deed.after or {}) for deed in deeds(store, action="policy.set")]
    assert [(before.get("allowed_ips"), after.get("allowed_ips")) for before, after in changes] == [(3, 9), (None, 3)]
    assert told["policy.inherit"].before == {"time_window": 60, "allowed_ips": 9}
    assert told["policy.inherit"].after is None


def test_questions_are_no_deeds_and_orders_are(store: Store) -> None:
    """Who blocked whom, for how long and why; looking at an account changes nothing."""
    told = [command("a@one.example", "describe"), command("a@one.example", "block", minutes=30)]
    told += [command("b@two.example", "reset")]
    fill(store, told)

    found = deeds(store, account="a@one.example")

    assert [(deed.action, deed.actor, deed.reason, deed.after) for deed in found] == [
        ("account.block", "help@example.org", "a call", {"minutes": 30})
    ]
    assert {deed.account for deed in deeds(store, Visible.of(["domain:two.example"]))} == {"b@two.example"}
    assert deeds(store, Visible()) == []


def test_a_removal_is_by_whom_its_header_names(store: Store) -> None:
    """A tombstone has no fields, so its writer says who it was beside it."""
    (removal,) = items([("domains", "one.example", None)])
    assert removal.actor == ""
    fill(store, [("domains", "one.example", {"domain": "one.example", "group": "a"})])

    assert [(deed.action, deed.after) for deed in deeds(store, action="domain.")] == [("domain.set", {"group": "a"})]


def test_the_panels_own_events_stand_beside_the_records(store: Store) -> None:
    """Sign-ins for those who see everything; what concerns a scope for its readers too; filters and pages over both."""
    fill(store, [command("a@one.example", "block")])
    with store.writing() as connection:
        audit.note(connection, time_ms=START_MS + 1, actor="me@example.org", action="sign_in", address="192.0.2.1")
        audit.note(
            connection,
            time_ms=START_MS + 2,
            actor="me@example.org",
            action="invite",
            subject="you@example.org",
            scope="group:a/b",
            detail={"role": "reader"},
        )

    assert [deed.action for deed in deeds(store)] == ["panel.invite", "panel.sign_in", "account.block"]
    assert [deed.after for deed in deeds(store, Visible.of(["group:a"]))] == [{"role": "reader"}]
    assert [deed.address for deed in deeds(store, action="panel.sign_in")] == ["192.0.2.1"]
    assert [deed.action for deed in deeds(store, actor="me@example.org", until_ms=START_MS + 2)] == ["panel.sign_in"]
    assert [deed.action for deed in deeds(store, scope="group:a/b", since_ms=START_MS)] == ["panel.invite"]
    with store.reading() as connection:
        page = audit.listed(connection, EVERYTHING, audit.Wanted(), size=2)
        assert len(audit.listed(connection, EVERYTHING, audit.Wanted(), size=2, cursor=page.next).rows) == 1
