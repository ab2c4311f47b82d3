"""loginwatch as a site runs it: each process by its command, before a real Dovecot and Postfix, on a real Kafka."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from streams.demo.processes import Child, Children, environment
from streams.settings import Settings
from tests.connectors.doors import KEY
from tests.connectors.dovecot import Dovecot, running_dovecot
from tests.connectors.postfix_server import PostfixServer, running_postfix
from tests.eventually import eventually
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port

PROCESSES = ("worker", "gateway", "postfix", "enforcement")
COUNTRIES = {"127.10.0.0/16": "DE", "127.20.0.0/16": "IT", "127.30.0.0/16": "BR", "127.40.0.0/16": "VN"}
"""Where the addresses of the loopback network are."""
READY_S = 60
STOP_S = 20


@dataclass
class Site:
    """All of it, running."""

    settings: Settings
    dovecot: Dovecot
    postfix: PostfixServer
    children: Children
    running: dict[str, Child] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start these processes, and wait until they say that they are ready."""
        for name in names:
            self.running[name] = self.children.start(name, self.settings)
        for name in names:
            eventually(lambda name=name: self._ready(name), READY_S, what=f"{name} is ready")

    def stop(self, *names: str) -> None:
        """As a supervisor does; they end well."""
        processes = {name: self.running.pop(name).process for name in names}
        for process in processes.values():
            process.terminate()
        for name, process in processes.items():
            assert process.wait(STOP_S) == 0, name

    def loginwatch(self, *arguments: str) -> Any:
        """What a command of the command line answers, in JSON."""
        command = [sys.executable, "-m", "streams.cli", "--json", *arguments]
        done = subprocess.run(command, env=environment(self.settings), capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return orjson.loads(done.stdout)

    def logins(self, user: str, address: str = "127.0.0.1") -> dict[str, str]:
        """Log in at all doors at the same time: "" where it works, else what the client is told."""
        doors = {name: partial(self.dovecot.login, service=name) for name in self.dovecot.ports}
        doors["smtp"] = self.postfix.login
        with ThreadPoolExecutor(len(doors)) as threads:
            said = {name: threads.submit(login, user, address=address) for name, login in doors.items()}
        return {name: future.result() for name, future in said.items()}

    def _ready(self, name: str) -> bool:
        child = self.running[name]
        assert child.process.poll() is None, f"{name} ended:\n{child.log.read_text()[-4000:]}"
        listen = self.settings.gateway_listen if name == "gateway" else getattr(self.settings, f"{name}_health_listen")
        try:
            with urllib.request.urlopen(f"http://{listen}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False


@contextmanager
def running_site(kafka: KafkaBroker, folder: Path) -> Iterator[Site]:
    """A site with everything in it, at work."""
    kafka.wipe()
    settings = kafka.with_topics(**_settings(folder))
    port = free_port()
    with (
        Children(folder) as children,
        running_dovecot(
            f"http://{settings.gateway_listen}/",
            KEY,
            doveadm_key=settings.enforcement_doveadm_key.get_secret_value(),
            doveadm_port=_port_of(settings.enforcement_doveadm_urls[0]),
            relay=port,
        ) as dovecot,
        running_postfix(f"inet:{settings.postfix_listen}", dovecot, port=port) as postfix,
    ):
        site = Site(settings, dovecot, postfix, children)
        site.start(*PROCESSES)
        yield site


def _settings(folder: Path) -> dict[str, object]:
    here = {
        name: f"127.0.0.1:{free_port()}"
        for name in (
            "gateway_listen",
            "postfix_listen",
            "worker_health_listen",
            "postfix_health_listen",
            "enforcement_health_listen",
        )
    }
    raw = {
        **here,
        "app": f"site-{os.getpid()}",
        "gateway_api_key": KEY,
        "enforcement_doveadm_urls": (f"http://127.0.0.1:{free_port()}",),
        "enforcement_doveadm_key": "a key for doveadm",
        "geo_databases": (str(_write_places(folder / "places.mmdb")),),
        "worker_session_timeout": 6,
        "worker_id": "one",
    }
    checked = Settings.model_validate(raw)
    return {name: getattr(checked, name) for name in raw}


def _write_places(path: Path) -> Path:
    writer = MMDBWriter(ip_version=6, database_type="Test-City", ipv4_compatible=True)
    for network, country in COUNTRIES.items():
        writer.insert_network(IPSet([network]), {"country": {"iso_code": country}})
    writer.to_db_file(str(path))
    return path


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
