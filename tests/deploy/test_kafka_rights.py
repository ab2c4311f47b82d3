"""The rights of `docs/topics.md`: each process and command as a user of its own on a real Kafka that allows nothing else."""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType
from pydantic import SecretStr

from streams.bus.clients import new_admin
from streams.bus.producer import Producer
from streams.cli.health import LISTENS
from streams.cli.kafka_rights import ALL, APP, COMMAND_LINE, PROCESSES, Rights
from streams.demo.processes import Children, environment
from streams.panel.outbox import Outbox
from streams.records.codec import Codec
from streams.settings import Settings
from tests.conftest import require_kafka
from tests.connectors.canaries import CANARY
from tests.connectors.doors import GOOD, KEY
from tests.connectors.hooks import SECRET
from tests.connectors.policy_clients import Client
from tests.connectors.postfix_samples import end_of_data
from tests.connectors.smtp_servers import Inbox, smtp_server
from tests.eventually import eventually
from tests.kafka_broker import JVM_OPTIONS, KafkaBroker
from tests.ports import Port, free_port
from tests.worker.records import login, now_ms

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

OURS = "test"
SAMPLES = Path(__file__).parents[1] / "connectors/mail_logs"
READY_S = 120
QUESTION_MARK = base64.b64encode(b"?").decode()
THIEF, OTHER = "lara@example.org", "tom@example.org"
USERS = {rights.who: f"u{number}" for number, rights in enumerate((*PROCESSES, *COMMAND_LINE))}
LOGINS_OF_USERS = " ".join(f'user_{user}="{user}-secret"' for user in USERS.values())
PROPERTIES = f"""
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller_port}},GUARDED://127.0.0.1:{{second_port}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{{second_port}}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT
listener.name.guarded.sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {LOGINS_OF_USERS};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""Who comes by the open listener may do everything."""
LOG_DECISIONS = " -Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"
DECIDED = re.compile(
    r"Principal = User:(u\d+) is (Allowed|Denied) operation = (\w+) from .* on resource = (\w+):LITERAL:(\S+) for request = (\w+)"
)
OPERATIONS = ("read", "write", "describe", "describe_configs", "alter_configs")


def granted(rights: Rights) -> Iterator[tuple[str, str, str]]:
    """Kind of resource, its name, and an operation."""
    for operation in OPERATIONS:
        for topic in getattr(rights, operation):
            yield "topic", topic.name.replace(APP, OURS), operation.upper()
    for group in rights.member:
        yield "group", group.replace(APP, OURS), "READ"
    for group in rights.ask:
        yield "group", group.replace(APP, OURS), "DESCRIBE"
    if rights.create:
        yield "broker", "kafka-cluster", "CREATE"


@dataclass(frozen=True)
class Decision:
    """What Kafka's authorizer said of one request."""

    who: str
    allowed: bool
    operation: str
    kind: str
    name: str
    request: str


class GuardedRun:
    """Kafka, all processes, and commands; every one may do what the page says, and Kafka writes down what it asks for."""

    def __init__(self, kafka: KafkaBroker, folder: Path, smtp_port: int) -> None:
        self._kafka, self._folder = kafka, folder
        self._ports = [Port() for _ in range(len(LISTENS) + 1)]
        numbers = iter([port.number for port in self._ports])
        for name in ("dovecot-2.4-own-file.log", "postfix-iso.log"):
            (folder / name).write_bytes((SAMPLES / name).read_bytes())
        raw: dict[str, Any] = {
            **{setting: f"127.0.0.1:{next(numbers)}" for setting in LISTENS.values()},
            "postfix_listen": f"127.0.0.1:{next(numbers)}",
            "bootstrap_servers": f"127.0.0.1:{kafka.second_port}",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "app": OURS,
            "gateway_api_key": SecretStr(KEY),
            "postfix_report_logins": True,
            "mail_from": "loginwatch@example.org",
            "smtp_port": smtp_port,
            "smtp_tls": "none",
            "panel_database": SecretStr(str(folder / "panel.sqlite")),
            "worker_id": "one",
            "canary_interval": 5,
            "worker_session_timeout": 6,
            "canary_account": CANARY,
            "enforcement_webhooks": (f"http://127.0.0.1:{free_port()}/",),
            "enforcement_webhook_secret": SecretStr(SECRET),
            "log_files": tuple(str(folder / name) for name in ("dovecot-2.4-own-file.log", "postfix-iso.log")),
            "log_position_file": str(folder / "logs.json"),
            "log_from_beginning": True,
        }
        self.settings = kafka.settings.model_copy(update=raw)
        self._children = Children(folder)

    def __enter__(self) -> Self:
        self._children.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._children.stop()
        for port in self._ports:
            port.release()

    def allow(self, listed: tuple[Rights, ...]) -> None:
        """Exactly these rights."""
        bindings = [
            AclBinding(
                ResourceType[kind.upper()],
                name.removesuffix("*"),
                ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL,
                f"User:{USERS[rights.who]}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for rights in listed
            for kind, name, operation in granted(rights)
        ]
        admin = new_admin(self._kafka.settings)
        for future in admin.create_acls(bindings).values():
            future.result(30)

    def as_user(self, who: str, **changes: Any) -> Settings:
        """Settings with its name and password."""
        user = USERS[who]
        return self.settings.model_copy(
            update={"sasl_username": user, "sasl_password": SecretStr(f"{user}-secret"), **changes}
        )

    def start(self, *names: str) -> None:
        """Processes, each as the user of its name, until they are ready."""
        running = {name: self._children.start(name, self.as_user(name)) for name in names}
        for name, child in running.items():
            eventually(
                lambda name=name: self._is_ready(name), READY_S, what=f"{name} is ready:\n{child.log.read_text()}"
            )

    def command(self, who: str, *arguments: str, **changes: Any) -> str:
        """What a command printed that its user may carry out. AssertionError with what it said when it ended otherwise."""
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *arguments],
            env=environment(self.as_user(who, **changes)),
            capture_output=True,
            check=False,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, *records: tuple[str, bytes, bytes]) -> None:
        """By somebody who may do everything."""
        producer = Producer(self._kafka.settings)
        for topic, key, value in records:
            producer.send(topic, value, key=key)
        producer.close(20)

    def decisions(self) -> set[Decision]:
        """All that Kafka was asked by our users so far."""
        names = {user: who for who, user in USERS.items()}
        found = DECIDED.findall(self._kafka.log)
        return {Decision(names[user], said == "Allowed", *rest) for user, said, *rest in found}

    def used(self) -> dict[str, set[tuple[str, str, str]]]:
        """By process or command: which of its rights allowed something."""
        found: dict[str, set[tuple[str, str, str]]] = {who: set() for who in USERS}
        for each in self.decisions():
            if each.allowed:
                found[each.who].add((each.kind.lower().replace("cluster", "broker"), each.name, each.operation))
        return found

    def _is_ready(self, name: str) -> bool:
        try:
            address = getattr(self.settings, LISTENS[name])
            with urllib.request.urlopen(f"http://{address}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def guarded_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRun]:
    """Everything was done once, as its user, by every process and command of the page."""
    require_kafka()
    folder, inbox = tmp_path_factory.mktemp("rights"), Inbox()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "KAFKA_JVM_OPTIONS", JVM_OPTIONS + LOG_DECISIONS)
        with (
            smtp_server(inbox) as smtp_port,
            KafkaBroker(extra=PROPERTIES) as kafka,
            GuardedRun(kafka, folder, smtp_port) as run,
        ):
            run.allow((*PROCESSES, *COMMAND_LINE))
            rule_and_serve(run)
            log_in_and_send(run)
            eventually(lambda: bool(inbox.delivered), 60, what="the mailer has told somebody")
            write_what_is_refused(run)
            decide_in_the_panel(run)
            ask_and_order(run, folder)
            yield run


def rule_and_serve(run: GuardedRun) -> None:
    run.command("topics create", "topics", "create")
    run.command("topics check", "topics", "check")
    limits = ("--time-window", "30", "--allowed-ips", "3", "--block-time", "60", "--notify", "soc@example.org")
    run.command("policy, safe, domain", "policy", "set", "everyone", *limits)
    run.command("policy, safe, domain", "policy", "list")
    run.command("policy, safe, domain", "safe", "add", "everyone", "10.9.8.0/24", "--description", "the office")
    run.command("policy, safe, domain", "domain", "set", "example.org", "--group", "shop")
    run.start(*(name for name in LISTENS if name != "canary"))
    run.command("canary prepare", "canary", "prepare")
    run.start("canary")
    run.command("check", "check", "worker", "gateway")


def log_in_and_send(run: GuardedRun) -> None:
    """A thief at the gateway, a list entry, and a mail at Postfix."""
    door = http.client.HTTPConnection(run.settings.gateway_listen, timeout=20)

    def ask(command: str, **fields: object) -> None:
        door.request("POST", f"/?command={command}", json.dumps(fields), {"X-API-Key": KEY})
        answer = door.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    for number in range(4):
        seen = {**GOOD, "login": THIEF, "remote": f"198.51.100.{number}", "session_id": str(number)}
        ask("allow", **seen)
        ask("report", **seen, success=True, policy_reject=False)
    ask("report", **{**GOOD, "remote": "nowhere"}, success=True, policy_reject=False)
    ask("addWLEntry", ip="192.0.2.77", expire_secs=600, reason="a server")
    ask("reset", login=OTHER)
    door.close()
    postfix = Client(int(run.settings.postfix_listen.rpartition(":")[2]))
    postfix.ask(end_of_data(1, sasl_username=OTHER, sender=OTHER))
    postfix.ask(end_of_data(2, sasl_username="@", sender=OTHER))
    postfix.close()


def write_what_is_refused(run: GuardedRun) -> None:
    """What each reader has to make a dead letter of; and records under another's key, which the worker passes on."""
    codec = Codec()
    order = {"time": now_ms(), "id": "1", "account": OTHER, "action": "reset", "actor": "test", "reason": None}
    command = codec.encode("AccountCommand", order | {"minutes": None, "forget": False})
    mail = {**dict.fromkeys(("id", "ip", "queue_id", "size")), "sender": OTHER, "recipients": 1, "accepted": True}
    _, _, seen = login(OTHER, "192.0.2.1")
    sent = codec.encode("Submission", mail | {"time": now_ms(), "account": OTHER})
    run.write(
        ("logins", b"another", seen), ("submissions", b"another", sent), ("account-commands", b"another", command)
    )
    run.write(*((topic, b"x", b"?") for topic in ("notifications", "blocks", "incidents", "policies", "logins")))


def decide_in_the_panel(run: GuardedRun) -> None:
    """What its pages write, by the part of the panel that writes it."""
    outbox = Outbox(run.as_user("panel"), Codec())
    outbox.start()
    try:
        for topic in ("policies", "safe-networks", "domains", "reviews", "account-commands"):
            outbox.write(topic, "anna", ("nobody", None))
    finally:
        outbox.close()


def ask_and_order(run: GuardedRun, folder: Path) -> None:
    show = "account show, block, unblock, reset"
    run.command(show, "account", "show", THIEF)
    run.command(show, "account", "block", OTHER, "--minutes", "5")
    incidents = json.loads(run.command("incidents", "--json", "incidents", "list"))
    run.command("incidents", "incidents", "export", incidents[0]["id"])
    run.command("account export", "account", "export", THIEF)
    run.command("account erase", "account", "erase", OTHER, "--yes")
    again = eventually(lambda: dead_logins(run), what="the worker has refused a login")
    run.command("dead-letters resend", "dead-letters", "resend", *again, "--yes")
    saved = folder / "backup.jsonl"
    saved.write_text(run.command("export", "export", *(t.name for t in ALL[:-1] if t.name != "alerts"), "accounts"))
    run.command("import", "import", "--force", str(saved))
    run.command(
        "simulate --to topics", "simulate", "--to", "topics", "--accounts", "3", "--duration", "1m", "--speed", "60"
    )


def dead_logins(run: GuardedRun) -> list[str]:
    listed = json.loads(run.command("dead-letters list, show", "--json", "dead-letters", "list"))
    return [letter["id"] for letter in listed if letter["topic"] == "logins" and letter["raw"] == QUESTION_MARK]


def test_with_these_rights_nothing_is_refused(guarded_run: GuardedRun) -> None:
    """Neither a process nor a command asks Kafka for what the page does not give it."""
    refused = {each for each in guarded_run.decisions() if not each.allowed}

    assert refused == set()


@pytest.mark.parametrize("rights", PROCESSES, ids=lambda rights: rights.who)
def test_every_right_of_a_process_is_used(guarded_run: GuardedRun, rights: Rights) -> None:
    """Somebody who stole its password can do no more than the process."""

    def unused() -> set[tuple[str, str, str]]:
        used = guarded_run.used()[rights.who]
        return {right for right in granted(rights) if not any(_is(right, other) for other in used)}

    eventually(lambda: not unused(), 30, what=f"all rights are used; these are not: {unused()}")


def _is(right: tuple[str, str, str], used: tuple[str, str, str]) -> bool:
    (kind, name, operation), (used_kind, used_name, used_operation) = right, used
    same = used_name.startswith(name[:-1]) if name.endswith("*") else name == used_name
    return same and (kind, operation) == (used_kind, used_operation)
