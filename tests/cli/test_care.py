"""`loginwatch account export` and `account erase`."""

from streams.bus.embedded import EmbeddedBroker
from streams.cli.store import Store
from tests.cli.conftest import Loginwatch
from tests.cli.small_worker import SmallWorker

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


def test_erasing_asks_first(on_kafka: Loginwatch, store: Store) -> None:
    """A no changes nothing."""
    answer = on_kafka("account", "erase", USER, stdin="n\n")

    assert answer.code == 1
    assert "cannot be brought back" in answer.err
    assert list(store.history("account-commands")) == []
