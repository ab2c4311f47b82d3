"""`loginwatch account export` and `account erase`."""

from pathlib import Path

from streams.bus.embedded import EmbeddedBroker
from streams.cli.store import Store
from streams.core.policy import FIELDS
from streams.panel.store import Store as PanelStore
from streams.panel.store.follower import Follower
from tests.cli.conftest import Loginwatch
from tests.cli.small_worker import SmallWorker
from tests.panel.store.feeding import content

USER, OTHER = "user@example.org", "other@example.org"
WAIT = ("--wait", "20")


def logins(store: Store, account: str, numbers: range) -> None:
    """Logins of one account from as many networks."""
    for number in numbers:
        value = {"time": 1_700_000_000_000 + number, "account": account, "ip": f"192.0.2.{number}", "success": True}
        store.write(
            "logins",
            account,
            value | {"service": "imap"} | dict.fromkeys(("id", "session", "server", "client", "failure")),
        )


def test_an_export_has_all_that_is_known_of_the_account_and_of_nobody_else(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker
) -> None:
    """Its state, its own rules, and every record that is kept under its name."""
    on_kafka("policy", "set", f"account:{USER}", "--time-window", "60", "--allowed-ips", "1", "--block-time", "5")
    on_kafka("safe", "add", f"account:{USER}", "198.51.100.0/24", "--description", "home")
    on_kafka("safe", "add", f"account:{OTHER}", "203.0.113.0/24", "--description", "not hers")
    logins(store, USER, range(2))
    logins(store, OTHER, range(2, 5))
    with SmallWorker(embedded.settings):
        on_kafka("account", "block", USER, "--minutes", "5", *WAIT)
        known = on_kafka("account", "export", USER, *WAIT).json

    assert (known["account"], known["state"]["account"]) == (USER, USER)
    assert known["policy"]["allowed_ips"] == 1
    assert [row["description"] for row in known["safe_networks"]] == ["home"]
    assert [line["value"]["ip"] for line in known["records"]["logins"]] == ["192.0.2.0", "192.0.2.1"]
    assert known["records"]["blocks"]
    assert known["records"]["account-commands"][0]["value"]["action"] == "block"
    assert OTHER not in str(known)


def test_an_erased_account_is_forgotten_and_what_remains_is_said(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker
) -> None:
    """Rules and block end in tombstones, the worker starts anew; logins stay on their topic for their seven days."""
    on_kafka("policy", "set", f"account:{USER}", "--time-window", "60", "--allowed-ips", "9")
    on_kafka("safe", "add", f"account:{USER}", "198.51.100.0/24", "--description", "home")
    logins(store, USER, range(2))
    with SmallWorker(embedded.settings):
        on_kafka("account", "block", USER, "--minutes", "5", *WAIT)
        erased = on_kafka("account", "erase", USER, "--yes", "--json", *WAIT).json
        view = on_kafka("account", "show", USER, "--json", *WAIT).json

    tables = store.tables()
    blocks = [record.value is None for record in store.history("blocks")]
    remaining = {row["topic"]: row for row in erased["remaining"]}
    assert erased["confirmed"] is True
    assert (view["networks"], view["blocked_until"], view["cutoff"]) == ([], None, None)
    assert (tables.policies, tables.safe_networks) == ({}, {})
    assert blocks == [False, False, True]
    assert remaining["logins"]["records"] == 2
    assert remaining["logins"]["until"] > 1_700_000_000_000 + 7 * 86_400_000


def test_rules_that_another_tool_wrote_its_own_way_are_the_accounts(on_kafka: Loginwatch, store: Store) -> None:
    """An export has them, and after an erasure they are in force nowhere: they are deleted where they lie."""
    scope = "account:User@Example.org"
    values = {"actor": "x", "time": 1, "description": "home", "expires": None}
    store.write("policies", scope, {**dict.fromkeys(FIELDS), "scope": scope, "allowed_ips": 7, "actor": "x", "time": 1})
    store.write("safe-networks", f"{scope} 192.0.2.1", {"scope": scope, "network": "192.0.2.1", **values})
    entry = {
        "list": "blacklist",
        "network": None,
        "account": "User@Example.org",
        "reason": "",
        "time": 1,
        "expires": None,
    }
    store.write("access-lists", "blacklist User@Example.org", {**entry, "actor": "x"})

    known = on_kafka("account", "export", USER, "--wait", "0").json
    erased = on_kafka("account", "erase", USER, "--yes", "--json", "--wait", "0").json

    assert known["policy"]["allowed_ips"] == 7
    assert [row["network"] for row in known["safe_networks"]] == ["192.0.2.1/32"]
    assert len(known["access_entries"]) == 1
    keys = {
        ("policies", scope),
        ("safe-networks", f"{scope} 192.0.2.1"),
        ("access-lists", "blacklist User@Example.org"),
    }
    assert {(row["topic"], row["key"]) for row in erased["rules"]} == keys
    assert store.tables().book.effective(USER).allowed_ips == 0
    last = {
        (r.topic, (r.key or b"").decode()): r.value for r in store.history("policies", "safe-networks", "access-lists")
    }
    assert last == dict.fromkeys(keys)


def test_an_erased_account_is_gone_from_a_panel_that_reads_on(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    """It is behind when the rows are deleted: neither the erasing's own records nor a rebuild bring any back; a new block does."""
    env = {"panel_database": str(tmp_path / "panel.sqlite")}
    on_kafka("policy", "set", f"account:{USER}", "--time-window", "60", "--allowed-ips", "9")
    on_kafka("safe", "add", f"account:{USER}", "198.51.100.0/24", "--description", "home")
    with SmallWorker(embedded.settings), PanelStore(env["panel_database"]) as panel:
        on_kafka("account", "block", USER, "--minutes", "5", *WAIT)
        read_on(embedded, store, panel)
        known = str(content(panel))
        on_kafka("account", "erase", USER, "--yes", "--panel", *WAIT, env=env)
        read_on(embedded, store, panel)
        erased = str(content(panel))
        on_kafka("panel", "rebuild", "--yes", env=env)
        read_on(embedded, store, panel)
        rebuilt = str(content(panel))
        on_kafka("account", "block", USER, "--minutes", "5", *WAIT)
        read_on(embedded, store, panel)
        blocked_again = content(panel)["block"]

    assert USER in known
    assert (USER in erased, USER in rebuilt) == (False, False)
    assert len(blocked_again) == 1


def read_on(embedded: EmbeddedBroker, store: Store, panel: PanelStore) -> None:
    """A panel's follower reads everything that is on the topics, and stops."""
    follower = Follower(embedded.settings, store.codec, panel)
    follower.start()
    try:
        assert follower.caught_up.wait(30), follower.problem()
    finally:
        follower.stop()


def test_erasing_asks_first(on_kafka: Loginwatch, store: Store) -> None:
    """A no changes nothing."""
    answer = on_kafka("account", "erase", USER, stdin="n\n")

    assert answer.code == 1
    assert "cannot be brought back" in answer.err
    assert list(store.history("account-commands")) == []
