"""`loginwatch safe` on the embedded broker."""

import pytest

from streams.cli.store import Store
from streams.topology import SAFE_NETWORKS
from tests.cli.conftest import Loginwatch


def test_a_safe_network_is_added_listed_and_removed(on_kafka: Loginwatch, store: Store) -> None:
    """Under its canonical key, whatever the spelling of scope and network."""
    added = on_kafka(
        "safe", "add", "domain:EXAMPLE.org", "192.0.2.77/24", "--description", " head office ", "--json"
    ).json
    listed = on_kafka("safe", "list", "--json").json
    removed = on_kafka("safe", "remove", "domain:example.org", "::ffff:192.0.2.1/120")

    assert added["network"] == "192.0.2.0/24"
    assert added["description"] == "head office"
    assert listed == [added]
    assert removed.out == "192.0.2.0/24 is no longer safe for domain:example.org.\n"
    keys = [record.key for record in store.history(SAFE_NETWORKS.name)]
    assert keys == [b"domain:example.org 192.0.2.0/24"] * 2
    assert on_kafka("safe", "list", "--json").json == []


def test_a_network_that_another_tool_wrote_its_own_way_is_listed_and_removed(
    on_kafka: Loginwatch, store: Store
) -> None:
    """Under the name that it is obeyed by, and its record is deleted where it lies."""
    key, values = (
        "account:User@Example.org 192.0.2.7/24",
        {"description": "x", "actor": "x", "time": 1, "expires": None},
    )
    store.write("safe-networks", key, {"scope": "account:User@Example.org", "network": "192.0.2.7/24", **values})

    [listed] = on_kafka("safe", "list", "--scope", "account:user@example.org", "--json").json
    removed = on_kafka("safe", "remove", "account:user@example.org", "192.0.2.0/24")

    assert (listed["scope"], listed["network"]) == ("account:user@example.org", "192.0.2.0/24")
    assert removed.code == 0
    last = {record.key: record.value for record in store.history(SAFE_NETWORKS.name)}
    assert last[key.encode()] is None
    assert on_kafka("safe", "list", "--json").json == []


def test_adding_replaces_what_another_tool_wrote_of_it(on_kafka: Loginwatch, store: Store) -> None:
    """Compaction goes by the key as it is written: the old description would be in force after the next start."""
    key, values = "domain:EXAMPLE.org 192.0.2.7/24", {"description": "x", "actor": "x", "time": 1, "expires": None}
    store.write("safe-networks", key, {"scope": "domain:EXAMPLE.org", "network": "192.0.2.7/24", **values})

    on_kafka("safe", "add", "domain:example.org", "192.0.2.0/24", "--description", "head office")

    kept = {record.key: record.value is not None for record in store.history(SAFE_NETWORKS.name)}
    assert kept == {key.encode(): False, b"domain:example.org 192.0.2.0/24": True}
    [row] = on_kafka("safe", "list", "--json").json
    assert row["description"] == "head office"


def test_adding_again_replaces_description_and_expiry(on_kafka: Loginwatch) -> None:
    """One network of one scope is one record."""
    on_kafka("safe", "add", "everyone", "2001:db8::/48", "--description", "old", "--expires", "2d")
    on_kafka("safe", "add", "everyone", "2001:DB8::/48", "--description", "new")

    [row] = on_kafka("safe", "list", "--json").json

    assert (row["description"], row["expires"]) == ("new", None)


def test_an_expiry_is_a_time_ahead(on_kafka: Loginwatch) -> None:
    """A date is midnight UTC of that day."""
    row = on_kafka(
        "safe", "add", "everyone", "192.0.2.1", "--description", "x", "--expires", "2999-01-01", "--json"
    ).json

    assert row["expires"] == 32_472_144_000_000
    assert "2999-01-01T00:00:00Z" in on_kafka("safe", "list").out


def test_the_list_can_be_that_of_a_scope_or_of_an_account(on_kafka: Loginwatch) -> None:
    """An account has those of all its scopes."""
    for scope in ("everyone", "domain:example.org", "domain:example.net", "account:user@example.org"):
        on_kafka("safe", "add", scope, "192.0.2.0/24", "--description", "x")

    of_account = on_kafka("safe", "list", "--account", "user@example.org", "--json").json
    of_scope = on_kafka("safe", "list", "--scope", "domain:example.net", "--json").json

    assert {row["scope"] for row in of_account} == {"everyone", "domain:example.org", "account:user@example.org"}
    assert {row["scope"] for row in of_scope} == {"domain:example.net"}


def test_what_is_not_safe_cannot_be_removed(on_kafka: Loginwatch) -> None:
    """Code 4: it does not exist."""
    answer = on_kafka("safe", "remove", "everyone", "192.0.2.0/24")

    assert answer.code == 4
    assert "192.0.2.0/24 is not marked safe for everyone" in answer.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["everyone", "192.0.2.0/24"], "--description"),
        (["everyone", "192.0.2.0/24", "--description", " "], "needs a description"),
        (["everyone", "192.0.2.0/24", "--description", "x" * 501], "needs a description"),
        (["everyone", "192.0.2.0/33", "--description", "x"], "'192.0.2.0/33' is not a network"),
        (["everyone", "office", "--description", "x"], "'office' is not a network"),
        (["nowhere", "192.0.2.0/24", "--description", "x"], "'nowhere' is no scope"),
        (["everyone", "192.0.2.0/24", "--description", "x", "--expires", "never"], "--expires 'never' is no time"),
        (["everyone", "192.0.2.0/24", "--description", "x", "--expires", "2001-01-01"], "is over already"),
    ],
)
def test_what_cannot_be_trusted_is_refused(loginwatch: Loginwatch, arguments: list[str], sentence: str) -> None:
    """Each refusal says what and why, with code 2, before Kafka is asked."""
    answer = loginwatch("safe", "add", *arguments, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 2
    assert sentence in answer.err
