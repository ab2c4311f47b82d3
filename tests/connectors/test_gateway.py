"""The gateway on the embedded broker: reports become logins, blocks become denials, and nothing waits for Kafka."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.bus.embedded import EmbeddedBroker
from streams.connectors.gateway import Gateway
from streams.errors import ConfigurationError, ListenError
from streams.settings import Settings
from tests.connectors.doors import (
    GOOD,
    KEY,
    Door,
    block,
    gateway_settings,
    now_ms,
    open_door,
    read_all,
    wait_for,
    write_blocks,
)
from tests.kafka_clients import kafka_clients, uncollected

PASSED = {"status": 0, "msg": "ok"}
TAKEN = {"status": "ok"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker():
    with EmbeddedBroker(Settings(partitions=2)) as broker:
        yield broker


@pytest.fixture
def door(broker):
    with open_door(gateway_settings(broker.settings)) as door:
        yield door


def delivered(door, number):
    wait_for(
        lambda: door.count("loginwatch_reports_total", outcome="delivered") == number, f"{number} acknowledgements"
    )


def test_a_report_becomes_a_login_under_its_account(broker, door):
    """The record is keyed by the canonical account, stamped on arrival, and has a short id of its own."""
    before = now_ms()
    assert door.ask("report", login="Alice@Example.org", success=True, policy_reject=False) == TAKEN
    assert door.ask("report", login="alice@example.org", success=False, policy_reject=False) == TAKEN
    delivered(door, 2)

    (key, first), (_, second) = sorted(read_all(broker.settings, "logins"), key=lambda pair: not pair[1]["success"])
    assert key == b"alice@example.org"
    assert before <= first["time"] <= now_ms()
    assert {name: first[name] for name in ("account", "ip", "success", "service", "session", "server", "failure")} == {
        "account": "alice@example.org", "ip": "192.0.2.10", "success": True, "service": "imap",
        "session": "AD3usNVg/tJ/AAAB", "server": "127.0.0.1", "failure": None,
    }  # fmt: skip
    assert (second["success"], len(second["id"])) == (False, 16)
    assert first["id"] != second["id"]


def test_a_block_denies_within_the_view_and_an_opening_lifts_it(broker, door):
    """Both questions of a login get the same answer; other accounts and familiar networks are not touched."""
    assert door.ask("allow") == PASSED
    write_blocks(broker.settings, block(except_networks=["198.51.100.0/24"]))

    wait_for(lambda: door.ask("allow") != PASSED, "the block to arrive")
    status, body, headers = door.request("POST", "/?command=allow", json.dumps(GOOD).encode())
    message = Settings().gateway_deny_message
    assert (status, body) == (200, b'{"status":-1,"msg":"' + message.encode() + b'"}')
    assert headers["Content-Length"] == str(len(body))
    assert door.ask("allow") == {"status": -1, "msg": message}
    assert door.ask("allow", login="ALICE@example.org") == {"status": -1, "msg": message}
    assert door.ask("allow", remote="") == {"status": -1, "msg": message}
    assert door.ask("allow", remote="198.51.100.7") == PASSED
    assert door.ask("allow", login="bob@example.org") == PASSED
    assert door.count("loginwatch_door_answers_total", answer="familiar") == 1

    write_blocks(broker.settings, block(state="open"))
    wait_for(lambda: door.ask("allow") == PASSED, "the block to be lifted")


def test_blocks_from_before_the_start_are_known_when_ready(broker):
    """A gateway is ready only when it has loaded what is on the topic."""
    write_blocks(broker.settings, block(), block("bob@example.org", until=now_ms() - 1))

    with open_door(gateway_settings(broker.settings)) as door:
        assert door.ask("allow")["status"] == -1
        assert door.ask("allow", login="bob@example.org") == PASSED
        assert door.count("loginwatch_blocks_held") == 1


def test_our_own_denials_and_doveadm_are_no_logins_of_the_user(broker, door):
    """A denied login is a failed one by policy; `doveadm auth test` is none; a failure without a name is only counted."""
    door.ask("report", success=False, policy_reject=True)
    door.ask("report", success=True, policy_reject=False, protocol="doveadm", remote="")
    door.ask("report", success=False, policy_reject=False, login="")
    delivered(door, 1)

    [(_, login)] = read_all(broker.settings, "logins")
    assert (login["success"], login["failure"]) == (False, "policy")
    assert read_all(broker.settings, "dead-letters") == []
    for outcome in ("policy", "not_a_login", "unusable_failure"):
        assert door.count("loginwatch_reports_total", outcome=outcome) == 1


def test_a_success_that_cannot_be_used_is_a_dead_letter_without_secrets(broker, door):
    """It has the form of a Login, ready to be mended; what is no report leaves only its size."""
    door.ask("report", success=True, login="alice")
    door.ask("report", success=True, remote="nowhere")
    door.ask("report", success=None)
    door.request("POST", "/command/report", b'{"login": "x", "pwhash": "0ea9"')
    delivered(door, 4)

    letters = [letter for _, letter in read_all(broker.settings, "dead-letters")]
    assert sorted(letter["reason"] for letter in letters) == ["bad-account", "bad-address", "bad-json", "bad-success"]
    assert not any(b"0ea9" in letter["raw"] or b"pwhash" in letter["raw"] for letter in letters)
    raw = {letter["reason"]: json.loads(letter["raw"]) for letter in letters}
    assert (raw["bad-account"]["account"], raw["bad-account"]["success"]) == ("alice", True)
    assert raw["bad-json"]["bytes"] == 31


def test_a_default_domain_completes_short_names(broker):
    """With the setting, `alice` is asked, blocked and reported as alice@example.org."""
    write_blocks(broker.settings, block())

    with open_door(gateway_settings(broker.settings, default_domain="example.org")) as door:
        assert door.ask("allow", login="alice")["status"] == -1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"[]", "not-an-object"),
        (b"{}", "bad-login"),
        (b'{"login":""}', "bad-account"),
    ],
)
def test_an_odd_question_passes_in_exact_form_and_is_counted(door, body, reason):
    """Dovecot would let the login pass anyway: we do it visibly."""
    status, answered, _ = door.request("POST", "/?command=allow", body)

    assert (status, answered) == (200, b'{"status":0,"msg":"ok"}')
    assert door.count("loginwatch_door_answers_total", answer=f"open_{reason}") == 1


def test_any_bytes_are_answered_exactly(broker):
    """Fuzz over the wire: a question always passes, what is no report is refused, on a connection that stays usable."""
    with open_door(gateway_settings(broker.settings)) as door:

        @hypothesis_settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.sampled_from(("allow", "report")), st.binary(max_size=400))
        def ask(command, body):
            status, answered, _ = door.request("POST", f"/command/{command}", body)
            if command == "allow":
                assert (status, answered) == (200, b'{"status":0,"msg":"ok"}')
            else:
                assert (status, json.loads(answered)["status"]) == (500, "failure")

        ask()


def test_without_kafka_at_the_start_everybody_passes_visibly(broker):
    """Not ready, live, counted; and ready by itself once Kafka is there."""
    write_blocks(broker.settings, block())
    broker.down()
    door = Door(gateway_settings(broker.settings, gateway_listen="127.0.0.1:0"))
    door.start_unready()

    assert door.ask("allow") == PASSED
    assert door.count("loginwatch_door_answers_total", answer="open_not-ready") == 1
    assert door.request("GET", "/health/live")[0] == 200
    status, body, _ = door.request("GET", "/health/ready")
    assert (status, json.loads(body)["ready"]) == (503, False)
    assert json.loads(body)["reasons"]
    broker.up()
    wait_for(lambda: door.request("GET", "/health/ready")[0] == 200, "readiness", 60)
    assert door.ask("allow")["status"] == -1
    assert door.stop() == 0


def test_without_kafka_it_answers_and_buffers_and_delivers_later(broker, door):
    """Known blocks go on denying, reports wait, health says so, and nothing is lost when Kafka is back."""
    write_blocks(broker.settings, block())
    wait_for(lambda: door.ask("allow") != PASSED, "the block to arrive")
    broker.down()

    for number in range(5):
        assert door.ask("report", success=True, login=f"user{number}@example.org") == TAKEN
    assert door.ask("allow")["status"] == -1
    assert door.count("loginwatch_reports_buffered") == 5

    def complaint():
        status, body, _ = door.request("GET", "/health/ready")
        assert status == 200, "a gateway that answers from what it knows is ready"
        return "5 reports wait for Kafka" in " ".join(json.loads(body)["reasons"])

    wait_for(complaint, "health to mention the waiting reports", 60)
    assert door.count("loginwatch_kafka_up") == 0
    broker.up()
    delivered(door, 5)
    assert len(read_all(broker.settings, "logins")) == 5
    wait_for(lambda: door.count("loginwatch_kafka_up") == 1, "Kafka to be called up again")


def test_a_full_buffer_drops_and_counts(broker):
    """Reports over the bound are lost, but the door answers and says how many; what was lost is not sent after all, later."""
    clients = kafka_clients()
    with (
        uncollected(),
        open_door(gateway_settings(broker.settings, gateway_buffer=100, gateway_drain_timeout=1)) as door,
    ):
        broker.down()
        for number in range(130):
            assert door.ask("report", success=True, login=f"user{number}@example.org") == TAKEN

        assert door.count("loginwatch_reports_total", outcome="dropped") == 30
        assert door.stop() == 0
        assert door.count("loginwatch_reports_total", outcome="lost") == 100
        wait_for(lambda: kafka_clients() <= clients, "what it sends with to end")


def test_a_stop_sends_what_waits(broker):
    """Reports taken just before the stop are on the topic after it."""
    with open_door(gateway_settings(broker.settings)) as door:
        for number in range(50):
            door.ask("report", success=True, login=f"user{number}@example.org")
        assert door.stop() == 0
        assert door.stop() == 0, "asked again, it has stopped already"

    assert len(read_all(broker.settings, "logins")) == 50


def test_sigterm_ends_the_process_with_zero(broker, tmp_path):
    """As a supervisor stops it: the process drains and exits with 0."""
    code = (
        "import sys; from streams.connectors.gateway import serve; from streams.settings import load_settings;"
        "sys.exit(serve(load_settings(), ready=lambda gateway: print(gateway.port, flush=True)))"
    )
    environment = {**os.environ, "LOGINWATCH_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "LOGINWATCH_PARTITIONS": "2",
                   "LOGINWATCH_GATEWAY_LISTEN": "127.0.0.1:0", "LOGINWATCH_GATEWAY_API_KEY": KEY}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.strip().isdigit() for line in lines), "it never became ready"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gateway_api_key": ""}, "needs a secret"),
        ({"gateway_allow_anonymous": True}, "contradict"),
        ({"gateway_listen": "nowhere"}, "gateway_listen"),
        ({"gateway_listen": "127.0.0.1:99999"}, "gateway_listen"),
        ({"gateway_tls_cert_file": "no-such-file.pem"}, "no-such-file.pem"),
    ],
)
def test_it_refuses_to_start_so(changes, sentence):
    """A configuration that cannot work or protects nobody is refused with what to do."""
    with pytest.raises(ConfigurationError, match=sentence):
        Gateway(gateway_settings(Settings(), **changes))


def test_a_used_port_is_refused(broker, door):
    """The error names the setting, and its code leads to a restart: what holds the port may be gone soon."""
    second = Door(gateway_settings(broker.settings, gateway_listen=f"127.0.0.1:{door.port}"))
    second.start_unready(fails=True)

    assert isinstance(second.error, ListenError)
    assert "gateway_listen" in str(second.error)


def test_metrics_and_health_need_no_secret(door):
    """A scraper and a supervisor have none."""
    assert json.loads(door.request("GET", "/health/live", headers={})[1]) == {"live": True, "reasons": []}
    assert json.loads(door.request("GET", "/health/ready", headers={})[1]) == {"ready": True, "reasons": []}
    status, page, headers = door.request("GET", "/metrics", headers={})
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    for name in (b"loginwatch_view_lag", b"loginwatch_kafka_up", b"loginwatch_blocks_held", b"loginwatch_door_seconds"):
        assert name in page
