"""`loginwatch check`: each answer with what is wrong and what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from streams.cli.check import EVERY
from streams.cli.health import LISTENS
from streams.settings import Settings
from streams.topology import TOPICS
from tests.cli.conftest import Loginwatch
from tests.kafka_broker import KafkaBroker
from tests.ports import Port

NOBODY = {"bootstrap_servers": "127.0.0.1:1", "smtp_port": "1", "smtp_tls": "none"}
"""Neither Kafka nor a mail server: only for what is said of Kafka, for which `check` waits its 5 s."""


@pytest.fixture
def mail_server() -> Iterator[int]:
    """The port of an SMTP server that takes everything."""
    port = Port()
    controller = Controller(Sink(), hostname="127.0.0.1", port=port.number, ready_timeout=60)
    controller.start()
    yield port.number
    controller.stop()
    port.release()


def findings(answer: object) -> dict[str, tuple[str, str]]:
    """State and sentence by subject."""
    return {found["subject"]: (found["state"], found["sentence"]) for found in answer}  # type: ignore[attr-defined]


def test_every_question_is_asked_though_all_fail(loginwatch: Loginwatch) -> None:
    """Kafka away, no secret, no mail server, no sender: each with what to do, and code 1."""
    nobody = NOBODY | {"worker_health_listen": "127.0.0.1:1", "panel_listen": "127.0.0.1:1"}
    answer = loginwatch("check", "--json", env=nobody)
    found = findings(answer.json)

    assert answer.code == 1
    assert found["settings"][0] == "ok"
    running = [row["sentence"] for row in answer.json if row["subject"] == "running"]
    assert running[0].startswith("no worker answers at http://127.0.0.1:1 (worker_health_listen): ")
    assert running[-1].startswith("no panel answers at http://127.0.0.1:1 (panel_listen): ")
    assert found["kafka"] == ("wrong", found["kafka"][1])
    assert "Check bootstrap_servers" in found["kafka"][1]
    assert found["gateway"][0] == "wrong"
    assert "set gateway_api_key" in found["gateway"][1]
    assert [row["sentence"][:9] for row in answer.json if row["subject"] == "mail"] == ["no sender", "127.0.0.1"]
    assert found["mail"][0] == "wrong"
    assert "check smtp_host" in found["mail"][1]
    assert found["geo"] == ("remark", found["geo"][1])
    assert "topics" not in found


def test_only_what_a_process_needs_is_checked(on_kafka: Loginwatch) -> None:
    """A machine with only the gateway has no mail server to reach."""
    found = findings(on_kafka("check", "gateway", "--json", env={"gateway_api_key": "a-long-secret"}).json)

    assert found["gateway"][0] == "ok"
    assert "a-long-secret" not in found["gateway"][1]
    assert "mail" not in found
    assert "geo" not in found


@pytest.mark.parametrize(
    ("env", "state"),
    [
        ({}, "ok"),
        ({"postfix_listen": "[::1]:9105"}, "ok"),
        ({"postfix_listen": "", "postfix_socket": "/run/policy"}, "ok"),
        ({"postfix_listen": "0.0.0.0:9105"}, "remark"),
        ({"postfix_listen": "mx.example.org:9105"}, "remark"),
        ({"postfix_listen": ""}, "wrong"),
        ({"postfix_deny_action": "OK"}, "wrong"),
    ],
)
def test_a_policy_service_that_cannot_work_or_is_open_to_others_is_shown(
    on_kafka: Loginwatch, env: dict[str, str], state: str
) -> None:
    """It knows no secret, so an address that others may reach is worth a remark."""
    found = findings(on_kafka("check", "postfix", "--json", env=env).json)

    assert found["postfix"][0] == state, found["postfix"]


def test_a_log_reader_that_cannot_read_or_keep_its_place_is_shown(on_kafka: Loginwatch, tmp_path: Path) -> None:
    """Logs, their zone, and the directory of the position file."""
    log = tmp_path / "mail.log"
    log.touch()
    good = {"log_files": f"{log},-", "log_position_file": str(tmp_path / "logs.json")}

    states = [
        findings(on_kafka("check", "logs", "--json", env=good | change).json)["logs"][0]
        for change in (
            {},
            {"log_files": ""},
            {"log_files": str(tmp_path / "none")},
            {"log_position_file": str(tmp_path / "none" / "logs.json")},
            {"log_timezone": "Mars/Olympus"},
        )
    ]

    assert states == ["ok", "remark", "wrong", "wrong", "wrong"]


def test_a_mail_server_that_answers_is_fine(on_kafka: Loginwatch, mail_server: int) -> None:
    """A session is opened, no mail is sent."""
    env = {"smtp_port": str(mail_server), "smtp_tls": "none", "mail_from": "loginwatch@example.org"}

    found = findings(on_kafka("check", "mailer", "--json", env=env).json)

    assert found["mail"] == ("ok", f"127.0.0.1 port {mail_server} takes mails (smtp_tls none)")


def test_a_registry_that_is_away_is_named(on_kafka: Loginwatch) -> None:
    """With its address and what to check."""
    env = {"schema_registry_url": "http://127.0.0.1:1"}

    found = findings(on_kafka("check", "worker", "--json", env=env).json)

    assert found["registry"][0] == "wrong"
    assert "http://127.0.0.1:1" in found["registry"][1]


def test_a_geo_database_that_cannot_be_read_is_named(on_kafka: Loginwatch, tmp_path) -> None:
    """With the file."""
    found = findings(on_kafka("check", "worker", "--json", env={"geo_databases": str(tmp_path / "no.mmdb")}).json)

    assert found["geo"][0] == "wrong"
    assert "no.mmdb" in found["geo"][1]


def test_an_unknown_process_is_refused(loginwatch: Loginwatch) -> None:
    """With the names that there are."""
    answer = loginwatch("check", "wroker")

    assert answer.code == 2
    assert "'wroker' is no process: choose from worker, gateway, postfix, mailer" in " ".join(answer.err.split())


def test_whatever_health_asks_is_checked() -> None:
    """A process that does not start is seen by both."""
    assert set(EVERY) == set(LISTENS)


def test_a_panel_that_does_not_run_is_shown(on_kafka: Loginwatch, unused_port: int) -> None:
    """Asked alone, as any other process."""
    answer = on_kafka("check", "panel", "--json", env={"panel_listen": f"127.0.0.1:{unused_port}"})

    assert findings(answer.json)["running"][0] == "remark"
    assert findings(answer.json)["running"][1].startswith(f"no panel answers at http://127.0.0.1:{unused_port} ")


DETECTS = ("--time-window", "60", "--allowed-ips", "3", "--block-time", "30")
TOLD = ("--notify", "soc@example.org")


@pytest.mark.parametrize(
    ("orders", "untold"),
    [
        ([("everyone", *DETECTS)], "everyone"),
        ([("everyone", *DETECTS, *TOLD)], ""),
        ([("everyone", *DETECTS, "--notify-sender")], ""),
        ([("everyone", *DETECTS, "--mode", "observe")], ""),
        (
            [("everyone", *DETECTS, "--mode", "observe"), ("domain:example.org", "--mode", "enforce")],
            "domain:example.org",
        ),
        ([("everyone", *TOLD), ("group:a", *DETECTS), ("group:a/b", "--notify", "")], "group:a/b"),
        ([("everyone", "--time-window", "60")], ""),
        ([("account:canary@example.org", *DETECTS)], ""),
    ],
)
def test_a_block_that_nobody_is_told_of_is_remarked(
    on_kafka: Loginwatch, orders: list[tuple[str, ...]], untold: str
) -> None:
    """By what holds where a policy is set, inherited or not; the canary's blocks are for nobody."""
    for order in orders:
        on_kafka("policy", "set", *order)

    found = findings(on_kafka("check", "worker", "--json", env={"canary_account": "canary@example.org"}).json)

    state, sentence = found["policies"]
    assert state == ("remark" if untold else "ok")
    assert (f"; nobody is told of incidents where {untold} enforce(s)" in sentence) == bool(untold)


def test_of_many_scopes_that_tell_nobody_a_few_are_named(on_kafka: Loginwatch) -> None:
    """A provider has thousands of domains."""
    for number in range(5):
        on_kafka("policy", "set", f"domain:d{number}.example.org", *DETECTS)

    state, sentence = findings(on_kafka("check", "worker", "--json").json)["policies"]

    assert state == "remark"
    assert "domain:d0.example.org, domain:d1.example.org, domain:d2.example.org and 2 more" in sentence


@pytest.mark.kafka
def test_all_is_well_on_a_real_kafka(
    loginwatch: Loginwatch, kafka: KafkaBroker, kafka_settings: Settings, mail_server: int
) -> None:
    """Topics as they should be; without a policy that is a remark, with one it is fine; code 0."""
    env = {
        "bootstrap_servers": kafka.settings.bootstrap_servers,
        "partitions": str(kafka_settings.partitions),
        "app": kafka_settings.app,
        "gateway_api_key": "a-long-secret",
        "smtp_port": str(mail_server),
        "smtp_tls": "none",
        "mail_from": "loginwatch@example.org",
    }

    loginwatch("topics", "create", env=env)
    before = loginwatch("check", "--json", env=env)
    loginwatch("policy", "set", "everyone", *DETECTS, *TOLD, env=env)
    after = loginwatch("check", "--json", env=env)

    assert (before.code, findings(before.json)["policies"][0]) == (0, "remark")
    assert (after.code, findings(after.json)["policies"][0]) == (0, "ok")
    assert findings(after.json)["topics"] == (
        "ok",
        f"all {len(TOPICS) + 1}, {kafka_settings.partitions} partitions by account",
    )
