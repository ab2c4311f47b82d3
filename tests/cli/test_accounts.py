"""`loginwatch account`: questions and orders, answered by the engine over the embedded broker."""

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.cli import accounts
from streams.cli.moments import now_ms
from streams.cli.session import Session
from streams.cli.store import Store
from streams.topology import COMMANDS
from tests.cli.conftest import Loginwatch
from tests.cli.small_worker import SmallWorker
from tests.connectors.policy_clients import open_service, postfix_settings
from tests.connectors.postfix_samples import end_of_data
from tests.eventually import eventually


def login(store: Store, account: str, ip: str, time_ms: int) -> None:
    """Put one login on its topic."""
    record = {
        "time": time_ms,
        "account": account,
        "ip": ip,
        "success": True,
        "service": "imap",
        "id": None,
        "session": None,
        "server": None,
        "client": None,
        "failure": None,
    }
    store.write("logins", account, record)


def test_an_account_is_shown_with_status_networks_and_policy(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker
) -> None:
    """What the worker holds, networks with their safe marks, and each field of the policy with its origin."""
    now = now_ms()
    on_kafka("policy", "set", "everyone", "--time-window", "60", "--allowed-ips", "3")
    on_kafka("safe", "add", "domain:example.org", "192.0.2.0/24", "--description", "head office")
    login(store, "user@example.org", "192.0.2.7", now - 2000)
    login(store, "user@example.org", "198.51.100.9", now - 1000)

    with SmallWorker(embedded.settings):
        answer = on_kafka("account", "show", "User@Example.org", "--wait", "20")
        view = on_kafka("account", "show", "user@example.org", "--wait", "20", "--json").json

    assert answer.code == 0
    assert "status                         open" in answer.out
    assert "safe: 192.0.2.0/24 of domain:example.org (head office)" in answer.out
    assert "198.51.100.9/32" in answer.out
    assert ["time_window", "60", "everyone"] in [line.split() for line in answer.out.splitlines()]
    assert [network["counted"] for network in view["networks"]] == [False, True]


def test_an_account_is_shown_with_the_senders_it_used(
    on_kafka: Loginwatch, store: Store, embedded: EmbeddedBroker
) -> None:
    """How many messages, and as whom; beyond those that are told apart only the number."""
    now = now_ms()
    for number in range(18):
        message = {
            "time": now,
            "account": "user@example.org",
            "sender": f"news-{number % 17}@example.com" if number else "user@example.org",
            "recipients": 1,
            "accepted": True,
            **dict.fromkeys(("id", "ip", "queue_id", "size")),
        }
        store.write("submissions", "user@example.org", message)

    with SmallWorker(embedded.settings):
        show = ("account", "show", "user@example.org", "--wait", "20")
        eventually(lambda: on_kafka(*show, "--json").json["messages_24h"] == 18)
        view = on_kafka(*show, "--json").json
        shown = on_kafka(*show).out

    assert "18, 17 of them with foreign senders" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["others", "1"] in rows
    assert len([row for row in rows if row and row[0].startswith("news-")]) == 16 == len(view["foreign_senders"])


def test_a_message_that_passed_the_postfix_door_as_somebody_else_is_shown(
    on_kafka: Loginwatch, embedded: EmbeddedBroker
) -> None:
    """From Postfix's question at the end of the data to what the help desk sees; the same message once."""
    with open_service(postfix_settings(embedded.settings)) as service:
        for number, sender in ((1, "Boss@Example.com"), (2, "Alice+shop@example.org")):
            assert service.client().ask(end_of_data(number, sender=sender)) == "DUNNO"
        service.delivered(2)
    with open_service(postfix_settings(embedded.settings)) as restarted:
        restarted.client().ask(end_of_data(1, sender="Boss@Example.com"))
        restarted.delivered(1)

    with SmallWorker(embedded.settings):
        show = ("account", "show", "alice@example.org", "--wait", "20")
        eventually(lambda: on_kafka(*show, "--json").json["messages_24h"] == 2)
        shown = on_kafka(*show).out

    assert "2, 1 of them with foreign senders" in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert [row for row in rows if row.startswith("boss@example.com an address of another domain 1 ")] != []


def test_an_answer_to_somebody_else_is_not_ours(embedded: EmbeddedBroker) -> None:
    """All answers are on one topic; the request's id tells them apart."""
    run = Session(flags={"bootstrap_servers": embedded.bootstrap_servers}, config_file=None, json=True)
    others = [f"other-{number}@example.org" for number in range(20)]

    with run.store.answers() as answers, SmallWorker(embedded.settings):
        for other in others:
            accounts.send(run, other, "describe")
        view = accounts.ask(run, "user@example.org", 20)
        unasked = answers.ask("an id that nobody sends", lambda: None, 0.1)

    assert view is not None
    assert view["account"] == "user@example.org"
    assert unasked is None


def test_nobody_answers_is_a_sentence(on_kafka: Loginwatch) -> None:
    """Without a worker the question ends with code 69 and what to look at."""
    answer = on_kafka("account", "show", "user@example.org", "--wait", "0.2")

    assert answer.code == 69
    assert "no worker answered about user@example.org within 0.2 s" in answer.err
    assert "loginwatch check" in answer.err


def test_block_unblock_and_reset_are_confirmed_by_the_worker(on_kafka: Loginwatch, embedded: EmbeddedBroker) -> None:
    """An order is done when the worker says what the account is now."""
    wait = ("--wait", "20")
    with SmallWorker(embedded.settings):
        blocked = on_kafka(
            "account", "block", "user@example.org", "--minutes", "5", "--reason", "test", *wait, "--json"
        ).json
        shown = on_kafka("account", "show", "user@example.org", *wait)
        unblocked = on_kafka("account", "unblock", "user@example.org", *wait)
        reset = on_kafka("account", "reset", "user@example.org", "--yes", *wait)

    view = blocked["view"]
    assert blocked["confirmed"] is True
    assert 4 * 60_000 <= view["blocked_until"] - view["time"] <= 5 * 60_000
    assert "(by hand)" in shown.out
    assert unblocked.out == "user@example.org is not blocked.\n"
    assert reset.out == "user@example.org is not blocked.\n"


def test_an_order_without_a_worker_is_recorded(on_kafka: Loginwatch, store: Store) -> None:
    """It is carried out later, and the command says so; the record names the actor, the reason and the minutes."""
    answer = on_kafka("account", "block", "USER@example.org", "--minutes", "5", "--reason", "phished", "--wait", "0")

    [record] = store.history(COMMANDS.name)
    row = store.decode(record)
    assert row is not None
    assert answer.code == 0
    assert "no worker has confirmed it yet" in answer.out
    assert record.key == b"user@example.org"
    assert (row["account"], row["action"]) == ("user@example.org", "block")
    assert (row["minutes"], row["reason"]) == (5, "phished")
    assert row["actor"]


def test_a_reset_asks_first(on_kafka: Loginwatch, store: Store) -> None:
    """Anything but yes ends it with code 1, and nothing is written."""
    answer = on_kafka("account", "reset", "user@example.org", stdin="n\n")

    assert answer.code == 1
    assert "Delete all activity of user@example.org?" in answer.err
    assert list(store.history(COMMANDS.name)) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "user"], "account 'user' has no domain"),
        (["show", "@example.org"], "empty local part"),
        (["show", "us\x07er@example.org"], "control characters"),
        (["block", "user@example.org", "--minutes", "0"], "--minutes 0 must be from 1 to 43200"),
        (["block", "user@example.org", "--minutes", "43201"], "--minutes 43201 must be from 1 to 43200"),
    ],
)
def test_orders_that_cannot_be_carried_out_are_refused(
    loginwatch: Loginwatch, arguments: list[str], sentence: str
) -> None:
    """Each refusal says what and why, with code 2, before Kafka is asked."""
    answer = loginwatch("account", *arguments, env={"bootstrap_servers": "127.0.0.1:1"})

    assert answer.code == 2
    assert sentence in answer.err
