"""`loginwatch incidents` on the embedded broker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.cli.incidents import latest
from streams.cli.store import Store
from streams.engine.engine import Engine
from streams.geo import NoPlaces
from streams.records.codec import Codec
from streams.topology import BY_NAME, INCIDENTS
from tests.cli.conftest import Loginwatch

START = 1_700_000_000_000
MINUTE = 60_000


def revisions(
    account: str, networks: int, start_ms: int = START, sent: Sequence[str] = ()
) -> Iterator[tuple[bytes, int]]:
    """The incident revisions of one account that sent so, then logs in from so many networks, as the engine writes them."""
    engine = Engine(codec=Codec(), places=NoPlaces(), lateness_ms=0)
    policy = {"scope": "everyone", "time_window": 60, "allowed_ips": 1, "block_time": 30, "actor": "x", "time": 1}
    engine.apply_table("policies", b"everyone", orjson.dumps(policy))
    for number, sender in enumerate(sent):
        message = {"time": start_ms, "account": account, "sender": sender, "recipients": 1, "accepted": True}
        engine.process("submissions", 0, number, start_ms, account.encode(), orjson.dumps(message))
    for number in range(networks):
        time = start_ms + number * MINUTE
        value = {"time": time, "account": account, "ip": f"192.0.2.{number}", "success": True, "service": "imap"}
        engine.process("logins", 0, number, time, account.encode(), orjson.dumps(value))
    for output in engine.take().outputs:
        if BY_NAME[output.topic] is INCIDENTS:
            yield output.value, output.timestamp_ms


@pytest.fixture
def two_accounts(store: Store) -> None:
    """One incident with three revisions, and a later one of another account with one."""
    for account, networks, start in (("anna@example.org", 4, START), ("ben@example.org", 2, START + 60 * MINUTE)):
        for value, _ in revisions(account, networks, start):
            store.write_raw(INCIDENTS.name, account, value)


@pytest.mark.usefixtures("two_accounts")
def test_incidents_are_listed_newest_first_in_their_last_revision(on_kafka: Loginwatch) -> None:
    """One row for each, however often it was revised."""
    found = on_kafka("incidents", "list", "--json").json
    table = on_kafka("incidents", "list").out

    assert [(row["account"], row["revision"]) for row in found] == [("ben@example.org", 1), ("anna@example.org", 3)]
    assert "2023-11-14T22:14:20Z" in table
    assert "Block ordered until" in table  # whether it is in force is not the incident's to say
    assert found[0]["summary"] in table


@pytest.mark.usefixtures("two_accounts")
def test_the_list_can_be_that_of_an_account_or_the_newest_few(on_kafka: Loginwatch) -> None:
    """--account takes any spelling of it; --limit keeps the newest; --since looks at when they were revised."""
    of_anna = on_kafka("incidents", "list", "--account", "ANNA@example.org", "--json").json
    newest = on_kafka("incidents", "list", "--limit", "1", "--json").json

    assert [row["account"] for row in of_anna] == ["anna@example.org"]
    assert [row["account"] for row in newest] == ["ben@example.org"]
    assert len(on_kafka("incidents", "list", "--since", "1h", "--json").json) == 2
    assert on_kafka("incidents", "list", "--since", "2999-01-01", "--json").json == []


@pytest.mark.usefixtures("two_accounts")
def test_an_incident_is_shown_with_its_evidence(on_kafka: Loginwatch) -> None:
    """Rule, count and limit, block, every network, and the policy with its origins."""
    [incident] = on_kafka("incidents", "list", "--account", "anna@example.org", "--json").json

    shown = on_kafka("incidents", "show", incident["id"])

    assert shown.code == 0
    assert "block ordered until" in shown.out
    for text in ("ips: 2 > 1 in 60 minutes", "192.0.2.0/32", "192.0.2.3/32", "everyone", "2023-11-14T22:44:20Z"):
        assert text in shown.out
    assert on_kafka("incidents", "show", incident["id"].upper(), "--json").json == incident


@pytest.mark.usefixtures("two_accounts")
def test_the_senders_that_a_thief_used_are_shown(on_kafka: Loginwatch, store: Store) -> None:
    """What is not printable is an escape: a sender is chosen by whoever sends."""
    sent = [("boss@example.com", 3), ("\u202emoc.elpmaxe@ssob", 2)]
    for value, _ in revisions("eve@example.org", 2, sent=[sender for sender, number in sent for _ in range(number)]):
        store.write_raw(INCIDENTS.name, "eve@example.org", value)
    [incident] = on_kafka("incidents", "list", "--account", "eve@example.org", "--json").json
    [other] = on_kafka("incidents", "list", "--account", "ben@example.org", "--json").json

    shown = on_kafka("incidents", "show", incident["id"]).out
    without = on_kafka("incidents", "show", other["id"]).out

    assert "5, 5 of them with foreign senders" in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "boss@example.com an address of another domain 3 2023-11-14T22:13:20Z 2023-11-14T22:13:20Z" in rows
    assert any(row.startswith("\\u202emoc.elpmaxe@ssob no address 2") for row in rows)
    assert "Foreign sender" not in without


def test_an_unknown_incident_is_not_found(on_kafka: Loginwatch) -> None:
    """Code 4, and where to look."""
    answer = on_kafka("incidents", "show", "00000000-0000-0000-0000-000000000000")

    assert answer.code == 4
    assert "loginwatch incidents list" in answer.err


def test_the_highest_revision_wins_whatever_the_order() -> None:
    """A revision that a worker wrote again after a crash does not hide a later one."""
    one, two = ({"id": "a", "revision": number} for number in (1, 2))

    assert latest([two, one]) == [two]


def test_follow_prints_each_new_revision(embedded: EmbeddedBroker, store: Store) -> None:
    """Only what comes after its start, a line each, until Ctrl-C; then code 130."""
    for value, _ in revisions("before@example.org", 2):
        store.write_raw(INCIDENTS.name, "before@example.org", value)
    environment = {**os.environ, "LOGINWATCH_BOOTSTRAP_SERVERS": embedded.bootstrap_servers}
    following = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "incidents", "follow", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with following:
        try:
            assert following.stdout is not None
            assert following.stderr is not None
            assert following.stderr.readline() == b"Waiting for incidents; Ctrl-C ends.\n"
            for value, _ in revisions("anna@example.org", 3):
                store.write_raw(INCIDENTS.name, "anna@example.org", value)
            lines: list[Any] = [orjson.loads(following.stdout.readline()) for _ in range(2)]
            following.send_signal(signal.SIGINT)
            following.wait(20)
        finally:
            following.kill()

    assert [(line["account"], line["revision"]) for line in lines] == [("anna@example.org", 1), ("anna@example.org", 2)]
    assert following.returncode == 130
