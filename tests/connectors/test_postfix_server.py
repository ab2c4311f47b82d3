"""The Postfix door as a real Postfix sees it: messages counted, blocks and senders refused, mail flowing without us."""

import secrets
import socket
import tempfile
from pathlib import Path

import pytest

from streams.bus.embedded import EmbeddedBroker
from streams.settings import Settings
from tests.connectors.doors import block, read_all, wait_for, write_blocks
from tests.connectors.policy_clients import open_service, postfix_settings, write_policy
from tests.connectors.postfix_server import require_postfix, running_postfix, send
from tests.ports import free_port

pytestmark = pytest.mark.mail_servers
LOCKED = "Account locked because of suspicious logins. Please contact your help desk."


@pytest.fixture
def broker():
    require_postfix()
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.fixture
def settings(broker):
    return postfix_settings(broker.settings, postfix_listen=f"127.0.0.1:{free_port()}")


@pytest.fixture
def postfix(settings):
    with running_postfix(f"inet:{settings.postfix_listen}") as server:
        yield server


def test_messages_logins_blocks_and_senders_over_real_smtp(broker, settings, postfix):
    """One afternoon: mail is counted, a block stops an open session and a new one, an opening ends it, a policy forbids."""
    logins_too = settings.model_copy(update={"postfix_report_logins": True})
    with open_service(logins_too) as service, postfix.session(address="127.0.0.7") as alice:
        assert send(alice, recipients=("x@example.com", "y@example.com")) == "", postfix.log()
        assert send(alice, sender="Bounces@Example.net") == ""
        service.delivered(3)

        write_blocks(broker.settings, block(except_networks=["127.0.0.64/30"]))
        wait_for(lambda: service.count("loginwatch_blocks_held") == 1, "the block")
        refused = f"554 5.7.1 <alice@example.org>: Sender address rejected: {LOCKED}"
        assert send(alice) == refused
        with postfix.session() as again:
            assert send(again) == refused
        with postfix.session(address="127.0.0.65") as familiar:
            assert send(familiar) == ""
        with postfix.session("bob@example.org") as bob:
            assert send(bob, sender="bob@example.org") == ""

        write_blocks(broker.settings, block(state="open"))
        wait_for(lambda: service.count("loginwatch_blocks_held") == 0, "the opening")
        assert send(alice) == ""

        write_policy(broker.settings, "domain:example.org", match_username=True)
        wait_for(lambda: send(alice, sender="other@example.org") != "", "the policy")
        assert send(alice, sender="other@example.org") == (
            "554 5.7.1 <other@example.org>: Sender address rejected: "
            "You are logged in as alice@example.org and may only send from alice@example.org"
        )
        for sender in ("ALICE+lists@Example.org", "alice@example.org", ""):
            assert send(alice, sender=sender) == "", postfix.log()
        service.delivered(8 + 5)

    found = [record for _, record in read_all(broker.settings, "submissions")]
    first = next(record for record in found if record["recipients"] == 2)
    assert (first["account"], first["sender"], first["ip"]) == ("alice@example.org", "alice@example.org", "127.0.0.7")
    assert first["size"] == 27  # as sent, without the headers that Postfix adds
    assert first["queue_id"] in postfix.log()
    assert {record["sender"] for record in found} >= {"Bounces@Example.net", "ALICE+lists@Example.org", ""}
    logins = [login for _, login in read_all(broker.settings, "logins")]
    connections = [(login["account"][:5], login["ip"], login["failure"]) for login in logins]
    assert sorted(connections, key=str) == [
        ("alice", "127.0.0.1", "policy"), ("alice", "127.0.0.65", None), ("alice", "127.0.0.7", "policy"),
        ("alice", "127.0.0.7", None), ("bob@e", "127.0.0.1", None),
    ]  # fmt: skip
    assert "warning" not in postfix.log()


def test_a_521_ends_the_open_session(broker, settings, postfix):
    """By a setting: nothing else ends an SMTP session that was open before the block."""
    action = "521 5.7.1 Account locked. See https://help.example.org/locked"
    write_blocks(broker.settings, block())
    with open_service(settings.model_copy(update={"postfix_deny_action": action})):
        smtp = postfix.session()
        assert send(smtp).startswith("521 5.7.1 <alice@example.org>: Sender address rejected: Account locked.")
        assert smtp.sock is None


def test_without_the_service_mail_flows(broker, settings, postfix):
    """Stopped, and started again with a block in the middle of a session; Postfix's log says so."""
    with postfix.session() as alice:
        with open_service(settings):
            assert send(alice) == ""
        assert send(alice) == "", postfix.log()
        assert "connect to" in postfix.log()

        write_blocks(broker.settings, block())
        with open_service(settings):
            wait_for(lambda: send(alice).startswith("554 5.7.1"), "the block")


def test_a_service_that_hangs_holds_no_recipient_up_for_long(settings, postfix):
    """Postfix asks twice, then goes on; its log says so."""
    with postfix.session() as alice, socket.create_server(("127.0.0.1", int(settings.postfix_listen.split(":")[1]))):
        assert alice.mail("alice@example.org")[0] == 250
        assert alice.rcpt("x@example.com")[0] == 250
    assert "problem talking to server" in postfix.log(), postfix.log()


def test_a_unix_socket_in_the_queue_directory_serves_as_well(broker, settings):
    """With rights for Postfix's user."""
    with tempfile.TemporaryDirectory(prefix="policy-") as place:
        Path(place).chmod(0o755)
        path = Path(place) / secrets.token_hex(4)
        write_blocks(broker.settings, block())
        only_socket = settings.model_copy(
            update={"postfix_listen": "", "postfix_socket": str(path), "postfix_socket_mode": "0666"}
        )
        with open_service(only_socket) as service, running_postfix(f"unix:{path}") as server:
            with server.session() as alice:
                assert send(alice).startswith("554 5.7.1")
            with server.session("bob@example.org") as bob:
                assert send(bob, sender="bob@example.org") == ""
            service.delivered(1)
