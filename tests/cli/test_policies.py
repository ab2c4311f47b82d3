"""`loginwatch policy` on the embedded broker."""

import pytest

from streams.cli.store import Store
from streams.core.policy import FIELDS
from streams.topology import POLICIES
from tests.cli.conftest import Loginwatch


def test_a_policy_is_set_and_shown(on_kafka: Loginwatch) -> None:
    """The README's line: what is written is what is shown, with who and when."""
    done = on_kafka(
        "policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "3", "--notify", "soc@example.org"
    )
    shown = on_kafka("policy", "show", "everyone", "--json").json

    assert done.code == 0
    assert done.out == "everyone now sets: time_window 60, allowed_ips 3, notify soc@example.org.\n"
    set_fields = {name: shown[name] for name in FIELDS if shown[name] is not None}
    assert set_fields == {"time_window": 60, "allowed_ips": 3, "notify": ["soc@example.org"]}
    assert shown["actor"]
    assert shown["time"] > 0


def test_only_the_named_fields_change(on_kafka: Loginwatch) -> None:
    """A second `set` keeps what the first one set, and --unset lets one field inherit again."""
    on_kafka("policy", "set", "domain:example.org", "--time-window", "60", "--ignored-countries", "FR, ro de")
    on_kafka("policy", "set", "domain:EXAMPLE.org.", "--allowed-ips", "4", "--unset", "time-window", "--match-domain")

    shown = on_kafka("policy", "show", "domain:example.org", "--json").json

    assert {name: shown[name] for name in FIELDS if shown[name] is not None} == {
        "allowed_ips": 4,
        "ignored_countries": ["DE", "FR", "RO"],
        "match_domain": True,
    }


def test_an_empty_text_sets_an_empty_list(on_kafka: Loginwatch) -> None:
    """Nobody to notify here, whoever is above: that is not the same as unset."""
    on_kafka("policy", "set", "domain:example.org", "--notify", "", "--ignored-countries", "")

    shown = on_kafka("policy", "show", "domain:example.org", "--json").json

    assert shown["notify"] == []
    assert shown["ignored_countries"] == []


def test_a_policy_that_another_tool_wrote_its_own_way_is_the_policy(on_kafka: Loginwatch, store: Store) -> None:
    """Shown, merged with and taken away under the name that it is obeyed by; nothing stays under the other key."""
    other = "account:User@Example.org"
    unset = dict.fromkeys(FIELDS)
    store.write(
        "policies", other, {**unset, "scope": other, "allowed_ips": 2, "time_window": 60, "actor": "x", "time": 1}
    )

    shown = on_kafka("policy", "show", "account:user@example.org", "--json").json
    listed = on_kafka("policy", "list", "--json").json
    on_kafka("policy", "set", "account:user@example.org", "--block-time", "5")
    effective = on_kafka("policy", "effective", "user@example.org", "--json").json

    assert (shown["scope"], shown["allowed_ips"]) == ("account:user@example.org", 2)
    assert listed == [shown]
    assert [effective[name] for name in ("time_window", "allowed_ips", "block_time")] == [60, 2, 5]
    kept = {record.key: record.value is not None for record in store.history(POLICIES.name)}
    assert kept == {other.encode(): False, b"account:user@example.org": True}


@pytest.mark.parametrize("command", ["inherit", "reset"])
def test_what_is_taken_away_is_so_under_every_key(on_kafka: Loginwatch, store: Store, command: str) -> None:
    """Compaction goes by the key as it is written: what lay under another one would be in force after the next start."""
    other = "domain:EXAMPLE.org."
    store.write("policies", other, {**dict.fromkeys(FIELDS), "scope": other, "allowed_ips": 2, "actor": "x", "time": 1})

    on_kafka("policy", command, "domain:example.org")

    kept = {record.key: record.value is not None for record in store.history(POLICIES.name)}
    assert kept == {other.encode(): False, b"domain:example.org": command == "reset"}


def test_inherit_leaves_a_tombstone(on_kafka: Loginwatch, store: Store) -> None:
    """Superior Level Settings: the scope has no record any more."""
    on_kafka("policy", "set", "everyone", "--time-window", "60")

    answer = on_kafka("policy", "inherit", "everyone")

    assert "inherits" in answer.out
    last = list(store.history(POLICIES.name))[-1]
    assert (last.key, last.value) == (b"everyone", None)
    assert on_kafka("policy", "show", "everyone").code == 4


def test_unsetting_the_last_field_leaves_a_tombstone_too(on_kafka: Loginwatch, store: Store) -> None:
    """A record that sets nothing is no record."""
    on_kafka("policy", "set", "everyone", "--mode", "observe")
    on_kafka("policy", "set", "everyone", "--unset", "mode")

    assert list(store.history(POLICIES.name))[-1].value is None


def test_reset_switches_everything_off_and_leaves_prefixes_and_mode(on_kafka: Loginwatch) -> None:
    """Zeros, whatever is above; what counts as a network is not reset."""
    on_kafka("policy", "set", "everyone", "--time-window", "60", "--ipv4-prefix", "24", "--mode", "observe")
    on_kafka("policy", "reset", "domain:example.org")

    shown = on_kafka("policy", "effective", "user@example.org", "--json").json

    assert (shown["time_window"], shown["origins"]["time_window"]) == (0, "domain:example.org")
    assert (shown["ipv4_prefix"], shown["origins"]["ipv4_prefix"]) == (24, "everyone")
    assert (shown["mode"], shown["origins"]["mode"]) == ("observe", "everyone")


def test_the_effective_policy_names_the_origin_of_each_field(on_kafka: Loginwatch) -> None:
    """Account, domain, both levels of the group, everyone, and the default."""
    on_kafka("domain", "set", "example.org", "--group", "reseller/customer")
    on_kafka("policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "3", "--block-time", "30")
    on_kafka("policy", "set", "group:reseller", "--allowed-ips", "4", "--allowed-countries", "2")
    on_kafka("policy", "set", "group:reseller/customer", "--allowed-countries", "5")
    on_kafka("policy", "set", "account:user@example.org", "--block-time", "0")

    shown = on_kafka("policy", "effective", "User@Example.ORG", "--json").json
    table = on_kafka("policy", "effective", "user@example.org").out

    assert shown["account"] == "user@example.org"
    assert shown["origins"]["time_window"] == "everyone"
    assert (shown["allowed_ips"], shown["origins"]["allowed_ips"]) == (4, "group:reseller")
    assert (shown["allowed_countries"], shown["origins"]["allowed_countries"]) == (5, "group:reseller/customer")
    assert (shown["block_time"], shown["origins"]["block_time"]) == (0, "account:user@example.org")
    assert shown["origins"]["mode"] == "default"
    assert ["allowed_ips", "4", "group:reseller"] in [line.split() for line in table.splitlines()]


def test_the_list_shows_every_scope_and_what_is_not_obeyed(on_kafka: Loginwatch, store: Store) -> None:
    """A foreign writer's invalid record is named, not hidden; the old one stays in force."""
    on_kafka("policy", "set", "everyone", "--time-window", "60")
    store.write_raw(POLICIES.name, "everyone", b'{"scope": "everyone", "time_window": -1, "actor": "x", "time": 1}')

    answer = on_kafka("policy", "list")

    assert "time_window=60" in answer.out
    assert "not obeyed: policies 'everyone'" in answer.err
    assert "time_window" in answer.err


def test_the_default_domain_completes_account_names(on_kafka: Loginwatch) -> None:
    """With the setting, `account:user` is that user of the default domain."""
    answer = on_kafka("policy", "set", "account:user", "--time-window", "5", env={"default_domain": "example.org"})

    assert answer.out.startswith("account:user@example.org now sets")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["everybody", "--time-window", "60"], "'everybody' is no scope"),
        (["account:user", "--time-window", "60"], "account 'user' has no domain"),
        (["domain:-", "--time-window", "60"], "'-' is not a domain name"),
        (["group:a//b", "--time-window", "60"], "'a//b' is not a group"),
        (["everyone"], "nothing to change"),
        (["everyone", "--time-window", "43201"], "time_window is 43201, but must be a whole number from 0 to 43200"),
        (["everyone", "--time-window", "-1"], "time_window is -1"),
        (["everyone", "--time-window", "soon"], "--time-window"),
        (["everyone", "--allowed-ips", "51"], "allowed_ips is 51"),
        (["everyone", "--ipv4-prefix", "33"], "ipv4_prefix is 33"),
        (["everyone", "--ipv6-prefix", "0"], "ipv6_prefix is 0"),
        (["everyone", "--block-time", "99999"], "block_time is 99999"),
        (["everyone", "--ignored-countries", "FR, Spain"], "'Spain' is not an ISO 3166 country code"),
        (["everyone", "--notify", "nobody"], "'nobody' is not an e-mail address"),
        (["everyone", "--notify", "a@b.c\x1b[2J"], "is not an e-mail address"),
        (["everyone", "--mode", "kill"], "mode is 'kill', but must be enforce or observe"),
        (["everyone", "--unset", "limit"], "there is no such field"),
        (["everyone", "--mode", "observe", "--unset", "mode"], "mode is both set and unset"),
    ],
)
def test_what_cannot_be_set_is_refused_before_kafka_is_asked(
    loginwatch: Loginwatch, arguments: list[str], sentence: str
) -> None:
    """Each refusal says what and why, with code 2; no broker is needed to hear it."""
    answer = loginwatch("policy", "set", *arguments, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 2
    assert sentence in answer.err
    assert "\x1b[2J" not in answer.err
