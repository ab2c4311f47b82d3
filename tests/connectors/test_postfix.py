"""The Postfix door on the embedded broker: blocks and forbidden senders are refused, messages become Submissions."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.connectors.access_lists import FOREVER, Entry, Subject
from streams.connectors.postfix import Postfix
from streams.core.addresses import parse_network
from streams.errors import ConfigurationError
from streams.settings import Settings
from tests.connectors.doors import (
    CODEC,
    block,
    gateway_settings,
    now_ms,
    open_door,
    read_all,
    wait_for,
    write_blocks,
)
from tests.connectors.policy_clients import DUNNO, Client, open_service, postfix_settings, write_domain, write_policy
from tests.connectors.postfix_samples import RCPT, SAMPLES, end_of_data, request

ROOT = Path(__file__).parents[2]
LOCKED = Settings().postfix_deny_action
LISTED = Settings().postfix_list_action


@pytest.fixture
def broker():
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.fixture
def service(broker):
    with open_service(postfix_settings(broker.settings)) as service:
        yield service


@pytest.fixture
def client(service):
    return service.client()


def blocked(service, number=1):
    wait_for(lambda: service.count("loginwatch_blocks_held") == number, "the blocks")


def change(gateway, command, fields):
    """One change of the lists, acknowledged, as weakforced's clients ask for it."""
    body = json.dumps({"expire_secs": 3600, "reason": "a test", **fields}).encode()
    status, answer, _ = gateway.request("POST", f"/command/{command}", body)
    assert (status, answer) == (200, b'{"status":"ok"}')


def submissions(broker):
    return [record for _, record in read_all(broker.settings, "submissions")]


def test_a_block_refuses_in_the_open_connection_and_an_opening_lifts_it(broker, service, client):
    """At every step of SMTP; other accounts, sessions without a login and open networks are not touched."""
    assert client.ask() == DUNNO
    write_blocks(broker.settings, block(except_networks=["198.51.100.0/24", "2001:db8::/32"]))
    blocked(service)

    for state in ("MAIL", "RCPT", "DATA", "END-OF-MESSAGE"):
        assert client.ask(protocol_state=state) == LOCKED
    assert client.ask(sasl_username="ALICE@example.org") == LOCKED
    assert client.ask(client_address="unknown") == LOCKED
    assert client.ask(client_address="198.51.100.7") == DUNNO
    assert client.ask(client_address="2001:db8:5::77") == DUNNO
    assert client.ask(sasl_username="bob@example.org") == DUNNO
    assert client.ask(sasl_username="") == DUNNO
    assert [service.answers(kind) for kind in ("denied", "familiar", "allowed", "anonymous")] == [6, 2, 2, 1]

    write_blocks(broker.settings, block(state="open"))
    blocked(service, 0)
    assert client.ask() == DUNNO


def test_the_refusal_is_the_operators(broker):
    """A code that ends the connection, in the operator's words."""
    write_blocks(broker.settings, block())

    with open_service(
        postfix_settings(broker.settings, postfix_deny_action="521 5.7.1 Gesperrt: Hilfe für Sie")
    ) as service:
        assert service.client().ask() == "521 5.7.1 Gesperrt: Hilfe für Sie"


@pytest.mark.parametrize(
    ("fields", "others"),
    [
        ({"ip": "203.0.113.7"}, [{"client_address": "203.0.113.8"}]),
        ({"netmask": "203.0.113.0/24"}, [{"client_address": "198.51.100.7"}]),
        ({"login": "ALICE@example.org"}, [{"sasl_username": "bob@example.org"}]),
        (
            {"ip": "203.0.113.7", "login": "alice@example.org"},
            [{"client_address": "203.0.113.8"}, {"sasl_username": "bob@example.org"}],
        ),
    ],
    ids=["ip", "netmask", "login", "ip and login"],
)
def test_an_entry_of_the_gateways_black_list_refuses_here_too(broker, service, client, fields, others):
    """Added through the weakforced-compatible door, at every step, and only whom it names; a message is none."""
    with open_door(gateway_settings(broker.settings)) as gateway:
        change(gateway, "addBLEntry", fields)
        wait_for(lambda: client.ask() == LISTED, "the entry")

        assert client.ask(sasl_username="Alice@example.org") == LISTED
        assert client.ask(end_of_data(1)) == LISTED
        assert {client.ask(**other) for other in others} == {DUNNO}
        assert service.answers("blacklisted") >= 3
        assert service.count("loginwatch_access_entries") == 1

        change(gateway, "delBLEntry", fields)
        wait_for(lambda: client.ask() == DUNNO, "the entry to go")
    client.ask(end_of_data(2))
    service.delivered(1)
    assert [record["queue_id"] for record in submissions(broker)] == ["4E88A2300002"]


def test_the_white_list_goes_before_the_black_list_and_a_block_but_not_before_the_sender_policy(
    broker, service, client
):
    """As at the gateway; which senders an account may use is no question of suspicion."""
    write_blocks(broker.settings, block())
    write_policy(broker.settings, "everyone", match_username=True)
    blocked(service)
    with open_door(gateway_settings(broker.settings)) as gateway:
        change(gateway, "addBLEntry", {"login": "alice@example.org"})
        wait_for(lambda: client.ask() == LISTED, "the black list")
        change(gateway, "addWLEntry", {"ip": "203.0.113.7", "login": "alice@example.org"})
        wait_for(lambda: client.ask() == DUNNO, "the white list")

        assert client.ask(client_address="203.0.113.8") == LISTED
        assert client.ask(sender="x@example.com").startswith("REJECT 5.7.1 You are logged in as")
        assert service.answers("whitelisted") == 1

        change(gateway, "delWLEntry", {"ip": "203.0.113.7", "login": "alice@example.org"})
        change(gateway, "delBLEntry", {"login": "alice@example.org"})
        wait_for(lambda: client.ask() == LOCKED, "the block to be what is left")


def test_a_listed_address_is_refused_whatever_name_it_uses(broker):
    """A name that is no account's passes unjudged, but not from there; the refusal is the operator's."""
    settings = postfix_settings(broker.settings, postfix_list_action="521 5.7.1 Nicht von hier")
    entry = Entry("blacklist", Subject(parse_network("203.0.113.7"), None), "a test", "a test", now_ms(), FOREVER)
    producer = Producer(broker.settings)
    producer.send("access-lists", CODEC.encode("AccessEntry", entry.record()), key=entry.key)
    producer.close(20)

    with open_service(settings) as service:
        client = service.client()
        assert client.ask(sasl_username="alice") == "521 5.7.1 Nicht von hier"
        assert client.ask(sasl_username="alice", client_address="203.0.113.8") == DUNNO
        assert client.ask(sasl_username="") == DUNNO
        assert [service.answers(kind) for kind in ("blacklisted", "open_bad-account", "anonymous")] == [1, 1, 1]


def test_an_entry_that_cannot_be_read_changes_nothing(broker, service, client):
    """It is counted by its reason."""
    producer = Producer(broker.settings)
    producer.send("access-lists", b"{}", key="blacklist alice@example.org")
    producer.close(20)

    wait_for(lambda: service.count("loginwatch_access_unreadable_total", reason="missing-field") == 1, "the entry")
    assert client.ask() == DUNNO


@pytest.mark.parametrize(
    "changes",
    [
        {"postfix_deny_action": "OK"},
        {"postfix_list_action": "PERMIT"},
        {"postfix_deny_action": "REJECT a\nb"},
        {"postfix_listen": "", "postfix_socket": ""},
        {"postfix_listen": "somewhere"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(changes):
    """With the setting's name; nothing that lets a message pass is a refusal."""
    with pytest.raises(ConfigurationError, match="postfix_"):
        Postfix(postfix_settings(Settings(), **changes))


def test_senders_are_refused_by_the_effective_policy(broker, service, client):
    """Everyone, group, domain and account, the nearest scope decides; a policy taken back lets go."""
    write_domain(broker.settings, "example.org", "reseller")
    write_policy(broker.settings, "group:reseller", match_domain=True)
    wait_for(lambda: client.ask(sender="alice@example.com") != DUNNO, "the policy of the group")

    assert client.ask(sender="bob@example.org") == DUNNO
    assert client.ask(sender="alice@example.com") == (
        "REJECT 5.7.1 You are logged in as alice@example.org and may only send from addresses at example.org"
    )
    assert client.ask(sender="x@example.com", sasl_username="bob@other.example") == DUNNO

    write_policy(broker.settings, "account:alice@example.org", match_username=True)
    wait_for(lambda: client.ask(sender="bob@example.org") != DUNNO, "the policy of the account")
    assert client.ask(sender="bob@example.org").endswith("may only send from alice@example.org")
    for sender in ("", "Alice@Example.org", "alice+lists@example.org"):
        assert client.ask(sender=sender) == DUNNO
    assert client.ask(sender="alice@example.org", sasl_username="bob@example.org") == DUNNO

    write_policy(broker.settings, "account:alice@example.org")
    wait_for(lambda: client.ask(sender="bob@example.org") == DUNNO, "the policy to be taken back")
    assert service.count("loginwatch_senders_refused_total", demand="match_username") >= 1
    assert service.count("loginwatch_senders_refused_total", demand="match_domain") >= 1
    assert (read_all(broker.settings, "logins"), submissions(broker)) == ([], [])


def test_a_policy_that_cannot_be_used_changes_nothing(broker, service, client):
    """It is counted, and the one before stays in force."""
    write_policy(broker.settings, "everyone", match_username=True)
    wait_for(lambda: client.ask(sender="x@example.com") != DUNNO, "the policy")

    write_policy(broker.settings, "everyone", match_username=False, time_window=-5)
    wait_for(lambda: service.count("loginwatch_rules_unreadable_total", reason="bad-policy") == 1, "the bad one")

    assert client.ask(sender="x@example.com") != DUNNO


def test_an_accepted_message_becomes_one_submission(broker, service, client):
    """Keyed by the canonical account, counted once though several clauses ask, with the sender as the client gave it."""
    before = now_ms()
    client.ask(sasl_username="Alice@example.org")
    client.ask(end_of_data(1, sasl_username="Alice@example.org", protocol_state="DATA"))
    client.ask(end_of_data(1, sasl_username="Alice@example.org"))
    service.client().ask(end_of_data(1, sasl_username="Alice@example.org", policy_context="another"))
    client.ask(end_of_data(2, sender="Boss@Example.com", recipient_count=1, client_address="2001:DB8::1"))
    client.ask(end_of_data(3, sender=""))
    client.ask(end_of_data(4, sasl_username=""))
    service.delivered(3)

    (key, first), (_, second), (_, third) = sorted(
        read_all(broker.settings, "submissions"), key=lambda pair: pair[1]["queue_id"]
    )
    assert key == b"alice@example.org"
    assert before <= first.pop("time") <= now_ms()
    assert first == {
        "account": "alice@example.org", "sender": "Alice@example.org", "recipients": 3, "accepted": True,
        "id": "192.0.2.25/7d76.6b026f7c.747c8.1", "ip": "203.0.113.7", "queue_id": "4E88A2300001", "size": 311,
    }  # fmt: skip
    assert (second["sender"], second["recipients"], second["ip"]) == ("Boss@Example.com", 1, "2001:db8::1")
    assert third["sender"] == ""
    relations = [service.count("loginwatch_senders_total", relation=name) for name in ("own", "foreign", "null")]
    assert relations == [1, 1, 1]


def test_what_is_refused_is_no_submission(broker, service, client):
    """Neither a blocked account's message nor one with a forbidden sender."""
    write_blocks(broker.settings, block("bob@example.org"))
    write_policy(broker.settings, "everyone", match_username=True)
    wait_for(lambda: client.ask(sender="x@example.com") != DUNNO, "the policy")
    blocked(service)

    assert client.ask(end_of_data(1, sasl_username="bob@example.org")) == LOCKED
    assert client.ask(end_of_data(2, sender="x@example.com")) != DUNNO
    assert client.ask(end_of_data(3)) == DUNNO
    service.delivered(1)

    assert [record["queue_id"] for record in submissions(broker)] == ["4E88A2300003"]


def test_where_only_data_asks_messages_are_counted_there(broker):
    """By a setting; the request at the end of data is then none."""
    with open_service(postfix_settings(broker.settings, postfix_count_at="data")) as service:
        client = service.client()
        client.ask(end_of_data(1, protocol_state="DATA", size=0))
        client.ask(end_of_data(1))
        client.ask(end_of_data(2, protocol_state="BDAT", size=7))
        service.delivered(2)

    counted = {(record["recipients"], record["size"]) for record in submissions(broker)}
    assert counted == {(3, 0), (3, 7)}


def test_logins_are_reported_once_per_connection_if_asked_for(broker):
    """Not for every recipient, not for those whom Dovecot's submission service has reported, as refused when refused."""
    settings = postfix_settings(broker.settings, postfix_report_logins=True)
    write_blocks(broker.settings, block("bob@example.org"))
    with open_service(settings) as service:
        client, other = service.client(), service.client()
        for asked in (client, other, client):
            asked.ask()
            asked.ask(end_of_data(1))
        client.ask(client_port=40002, sasl_username="Alice@example.org")
        client.ask(client_port=40003, sasl_method="XCLIENT")
        client.ask(sasl_username="bob@example.org")
        client.ask(client_address="unknown", sasl_username="carol@example.org")
        service.delivered(5)

    logins = [login for _, login in read_all(broker.settings, "logins")]
    assert sorted((login["account"], login["success"], login["failure"]) for login in logins) == [
        ("alice@example.org", True, None), ("alice@example.org", True, None), ("bob@example.org", False, "policy"),
    ]  # fmt: skip
    assert {(login["ip"], login["service"], login["server"]) for login in logins} == {
        ("203.0.113.7", "smtp", "192.0.2.25")
    }
    assert len({login["id"] for login in logins}) == 3
    [(_, letter)] = read_all(broker.settings, "dead-letters")
    assert (letter["topic"], letter["reason"], letter["process"]) == ("logins", "bad-address", "postfix")


def test_by_default_no_login_is_reported(broker, service, client):
    """Dovecot reports its own."""
    client.ask(end_of_data(1))
    service.delivered(1)

    assert read_all(broker.settings, "logins") == []


def test_a_message_of_an_account_without_domain_is_a_dead_letter(broker, service, client):
    """It passes; the operator sees that default_domain is missing. With it, it is counted."""
    assert client.ask(end_of_data(1, sasl_username="alice")) == DUNNO
    service.delivered(1)
    [(_, letter)] = read_all(broker.settings, "dead-letters")
    assert (letter["topic"], letter["reason"]) == ("submissions", "bad-account")
    assert json.loads(letter["raw"])["queue_id"] == "4E88A2300001"
    assert service.answers("open_bad-account") == 1

    with open_service(postfix_settings(broker.settings, default_domain="example.org")) as second:
        second.client().ask(end_of_data(1, sasl_username="alice"))
        second.delivered(1)
    assert [record["account"] for record in submissions(broker)] == ["alice@example.org"]


def test_pipelined_and_half_requests_are_answered_in_order(broker, service, client):
    """However they arrive."""
    write_blocks(broker.settings, block())
    blocked(service)
    both = RCPT + b"garbage\n\n" + request(sasl_username="bob@example.org") + RCPT.replace(b"\n", b"\r\n")

    client.socket.sendall(both)
    assert [client.read() for _ in range(4)] == [LOCKED, DUNNO, DUNNO, LOCKED]
    for start in range(0, len(both), 100):
        client.socket.sendall(both[start : start + 100])
    assert [client.read() for _ in range(4)] == [LOCKED, DUNNO, DUNNO, LOCKED]
    assert service.answers("open_bad-request") == 2


def test_an_over_long_request_passes_and_an_endless_one_is_ended(broker, service):
    """The connection goes on after the one, with the answers in step; the other gets one answer and an end."""
    write_blocks(broker.settings, block())
    blocked(service)
    client, endless = service.client(), service.client()

    assert client.ask(helo_name="x" * 40_000) == DUNNO
    assert client.ask() == LOCKED
    assert service.answers("open_too-large") == 1

    try:
        for _ in range(40):
            endless.socket.sendall(b"x" * 65_536)
    except ConnectionError:
        pass
    assert endless.rest() in (b"", b"action=DUNNO\n\n")
    wait_for(lambda: service.count("loginwatch_door_refused_total", reason="too-large") == 1, "the end")


def test_a_client_that_goes_in_the_middle_harms_nobody(service, client):
    """It is counted."""
    half = service.client()
    half.socket.sendall(RCPT[:50])
    half.close()

    wait_for(lambda: service.count("loginwatch_door_refused_total", reason="broken") == 1, "the broken one")
    assert client.ask() == DUNNO


def test_connections_over_the_bound_are_closed(broker):
    """Those that are open go on; when one ends, another may come."""
    with open_service(postfix_settings(broker.settings, postfix_max_connections=8)) as service:
        clients = [service.client() for _ in range(8)]
        assert {client.ask() for client in clients} == {DUNNO}

        assert service.client().rest() == b""
        assert service.count("loginwatch_door_refused_total", reason="connections") == 1
        clients[0].close()
        wait_for(lambda: service.count("loginwatch_door_connections") == 7, "the end of one")
        assert service.client().ask() == DUNNO
        assert clients[1].ask() == DUNNO


def test_a_unix_socket_has_its_rights_and_is_removed_at_the_end(broker, tmp_path):
    """One that was left behind is taken over, one that is served is not, and a file is left alone."""
    path = tmp_path / "policy"
    settings = postfix_settings(
        broker.settings, postfix_listen="", postfix_socket=str(path), postfix_socket_mode="0622"
    )
    subprocess.run(
        [sys.executable, "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path], check=True
    )
    with open_service(settings) as service:
        assert stat.S_IMODE(path.stat().st_mode) == 0o622
        assert service.client(str(path)).ask() == DUNNO
        with pytest.raises(AssertionError, match="another process serves"), open_service(settings):
            pass
        assert service.client(str(path)).ask() == DUNNO
    assert not path.exists()

    path.write_text("precious")
    with pytest.raises(AssertionError, match="is no socket"), open_service(settings):
        pass
    assert path.read_text() == "precious"


def test_without_kafka_everything_passes_and_health_says_so(broker):
    """Not ready, 503, counted; live all the same. With Kafka back, the block is in force."""
    write_blocks(broker.settings, block())
    broker.down()
    with open_service(postfix_settings(broker.settings), ready=False) as service:
        client = service.client()
        assert client.ask() == DUNNO
        assert client.ask(end_of_data(1)) == DUNNO
        assert service.answers("open_not-ready") == 2
        status, page = service.health()
        assert (status, page["ready"], len(page["reasons"]) >= 2) == (503, False, True)
        assert service.health("live")[0] == 200

        broker.up()
        wait_for(lambda: client.ask() == LOCKED, "the block")
        service.delivered(1)
        wait_for(lambda: service.health() == (200, {"ready": True, "reasons": []}), "health")


def test_when_kafka_goes_the_service_answers_from_what_it_knows(broker, service, client):
    """It stays ready and refuses; health and metrics say that Kafka is away."""
    write_blocks(broker.settings, block())
    blocked(service)
    broker.down()

    def told():
        status, page = service.health()
        assert (status, page["ready"]) == (200, True)
        return page["reasons"]

    wait_for(told, "health to say it", seconds=60)
    assert client.ask() == LOCKED
    assert client.ask(end_of_data(1, sasl_username="bob@example.org")) == DUNNO
    assert service.count("loginwatch_kafka_up") == 0
    broker.up()
    service.delivered(1)


def test_a_fault_of_ours_lets_the_message_pass_and_a_fault_of_reporting_changes_no_answer(broker, service, client):
    """Counted, and the connection goes on."""
    write_blocks(broker.settings, block())
    blocked(service)

    service.postfix._reports.submit = None
    assert client.ask(end_of_data(1, sasl_username="bob@example.org")) == DUNNO
    assert service.count("loginwatch_door_refused_total", reason="fault") == 1
    service.postfix._report = None
    assert client.ask() == LOCKED
    service.postfix._rules = None
    assert client.ask(sasl_username="bob@example.org") == DUNNO
    service.postfix._blocks.ask = None
    assert client.ask() == DUNNO
    assert service.answers("open_fault") == 2
    del service.postfix._blocks.ask
    service.postfix._rules = type("Rules", (), {"close": lambda self: None})()


def test_a_stop_ends_idle_connections_answers_begun_requests_and_flushes(broker):
    """What is acknowledged by an answer reaches Kafka; new connections are refused."""
    with open_service(postfix_settings(broker.settings)) as service:
        idle, busy = service.client(), service.client()
        assert idle.ask(end_of_data(1)) == busy.ask(end_of_data(2)) == DUNNO
        half = end_of_data(3)
        busy.socket.sendall(half[:100])
        wait_for(lambda: any(one._reader.halfway for one in service.postfix._listener._connections), "the half")

        service.postfix.request_stop()
        assert idle.rest() == b""
        assert busy.ask(half[100:]) == DUNNO
        assert busy.rest() == b""
        service.close()
        with pytest.raises(ConnectionRefusedError):
            service.client()

    assert sorted(record["queue_id"][-1] for record in submissions(broker)) == ["1", "2", "3"]


def test_a_taken_port_is_named(broker, service):
    """With the setting to change."""
    with (
        pytest.raises(AssertionError, match="postfix_listen"),
        open_service(postfix_settings(broker.settings, postfix_listen=f"127.0.0.1:{service.postfix.port}")),
    ):
        pass


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=5)), max_size=5),
)
def test_mutated_requests_never_open_or_crash_anything(service, samples, changes):
    """Only DUNNO or a refusal is ever said, and the next client is served."""
    data = bytearray(b"".join(samples))
    for place, piece in changes:
        data[place % len(data) : place % len(data) + len(piece)] = piece
    client = service.client()
    client.socket.sendall(bytes(data))
    client.socket.shutdown(1)

    answers = client.rest()

    assert set(filter(None, answers.split(b"\n\n"))) <= {b"action=DUNNO"}
    assert service.answers("open_fault") == 0
    client.close()


def test_the_command_serves_until_sigterm(broker, tmp_path):
    """A process of its own: ready, asked over its unix socket, and a clean end."""
    path = tmp_path / "policy"
    write_blocks(broker.settings, block())
    environment = os.environ | {
        "LOGINWATCH_BOOTSTRAP_SERVERS": broker.settings.bootstrap_servers,
        "LOGINWATCH_PARTITIONS": "2",
        "LOGINWATCH_POSTFIX_LISTEN": "",
        "LOGINWATCH_POSTFIX_SOCKET": str(path),
        "LOGINWATCH_POSTFIX_HEALTH_LISTEN": "127.0.0.1:0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "postfix"], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )

    def connected():
        assert process.poll() is None
        try:
            return Client(str(path))
        except OSError:  # it is not there, or nobody listens yet
            return None

    try:
        client = wait_for(connected, "the socket")
        wait_for(lambda: client.ask() == LOCKED, "the block")
        client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, b"Traceback" in errors) == (0, False), errors
