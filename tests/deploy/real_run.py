"""
A real run to be looked at: processes of loginwatch on the embedded broker, people at the door, and Debian's Prometheus, which
scrapes them with the configuration that `deploy/prometheus` ships, only faster and at the ports of this run.
"""

import http.client
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import SecretStr

from streams.cli.health import LISTENS
from streams.demo.processes import Child, Children
from streams.settings import Settings
from tests.connectors.doors import GOOD, KEY
from tests.connectors.policy_clients import Client
from tests.eventually import eventually
from tests.ports import Port
from tests.worker.harness import send
from tests.worker.records import CODEC, login, now_ms, policy

SHIPPED = Path(__file__).parents[2] / "deploy/prometheus"
PROCESSES = ("worker", "gateway", "postfix", "mailer", "alerts", "panel")
SCRAPE_S = 0.5
READY_S = 90
ADDRESSES = [f"198.51.100.{number}" for number in range(4)]
"""One more than `tests.worker.records.policy` allows."""


class RealRun:
    """Processes and Prometheus; leaving the `with` block ends all of them."""

    def __init__(self, settings: Settings, folder: Path, smtp_port: int) -> None:
        self._folder = folder
        self._ports = [Port() for _ in range(len(PROCESSES) + 2)]
        numbers = iter([port.number for port in self._ports])
        here = {LISTENS[name]: f"127.0.0.1:{next(numbers)}" for name in PROCESSES}
        self._prometheus = f"127.0.0.1:{next(numbers)}"
        raw = {
            **here,
            "postfix_listen": f"127.0.0.1:{next(numbers)}",
            "gateway_api_key": SecretStr(KEY),
            "mail_from": "loginwatch@example.org",
            "smtp_port": smtp_port,
            "smtp_tls": "none",
            "panel_database": SecretStr(str(folder / "panel.sqlite")),
            "worker_id": "one",
        }
        self.settings = settings.model_copy(update=raw)
        self._children = Children(folder)
        self._running: dict[str, Child] = {}
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._children.__enter__()
        try:
            send(self.settings, [policy(allowed_ips=3)])
            for name in PROCESSES:
                self._running[name] = self._children.start(name, self.settings)
            self._start_prometheus()
            for name in PROCESSES:
                eventually(lambda name=name: self._is_ready(name), READY_S, what=f"{name} is ready")
            eventually(self._is_watched, READY_S, what="Prometheus has looked at all of them")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(30)
        self._children.stop()
        for port in self._ports:
            port.release()

    def kill(self, name: str) -> None:
        """As a power cut does."""
        process = self._running[name].process
        process.kill()
        process.wait()

    def log_in(self, accounts: Sequence[str]) -> None:
        """Each account from too many networks, at Dovecot's door; and one mail of each, at Postfix's."""
        door = http.client.HTTPConnection(self.settings.gateway_listen, timeout=20)
        postfix = Client(int(self.settings.postfix_listen.rpartition(":")[2]))
        for account in accounts:
            for address in ADDRESSES:
                _ask(door, "allow", account, address)
                _ask(door, "report", account, address, success=True, policy_reject=False)
            postfix.ask(sasl_username=account, sender=account)
        door.close()
        postfix.close()

    def things_that_happen(self) -> None:
        """What a fleet has now and then: bytes that are no login, a login under a wrong key, a clock that is ahead, an order."""
        _, _, login_of_another = login("user0@example.org", "192.0.2.1")
        ahead = login("user0@example.org", "192.0.2.1", time=now_ms() + 3_600_000)
        send(self.settings, [("logins", b"user0@example.org", b"?"), ("logins", b"another", login_of_another), ahead])
        order = {"time": now_ms(), "id": "1", "account": "other@example.org", "action": "block", "actor": "admin"}
        unset = {"reason": None, "minutes": 5, "forget": False}
        send(self.settings, [("account-commands", b"other@example.org", CODEC.encode("AccountCommand", order | unset))])

    def scrapes(self) -> int:
        """How often Prometheus has looked at the gateway since all were ready."""
        [found] = self.query('count_over_time(up{process="gateway"}[1h])')
        return int(found["value"][1])

    def series(self, scrapes: int) -> dict[str, list[str]]:
        """Everything of the last scrapes: by series a value for each, `_` where it had none."""
        found = self.query(f'{{__name__=~"up|loginwatch_.+"}}[{(scrapes + 10) * SCRAPE_S * 2:g}s]')
        last = max(float(at) for each in found for at, _ in each["values"])
        table = {}
        for each in found:
            values = ["_"] * scrapes
            for at, value in each["values"]:
                place = scrapes - 1 - round((last - float(at)) / SCRAPE_S)
                if place >= 0:
                    values[place] = value
            labels = dict(each["metric"])
            name = labels.pop("__name__")
            table[name + "{" + ", ".join(f'{key}="{text}"' for key, text in labels.items()) + "}"] = values
        return table

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers now. AssertionError with its words for what it cannot parse."""
        return self.ask("query", query=expression)["result"]

    def ask(self, what: str, **arguments: str) -> Any:
        """The data of an answer of Prometheus' API."""
        url = f"http://{self._prometheus}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{what} {arguments}: {error.read().decode()}") from error

    def _is_ready(self, name: str) -> bool:
        child = self._running[name]
        assert child.process.poll() is None, f"{name} ended:\n{child.log.read_text()[-4000:]}"
        try:
            with urllib.request.urlopen(f"http://{self._listen(name)}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _is_watched(self) -> bool:
        try:
            return len(self.query("up == 1")) == len(PROCESSES)
        except OSError:  # it does not listen yet
            return False

    def _listen(self, name: str) -> str:
        """Where a process serves its health and metrics."""
        return str(getattr(self.settings, LISTENS[name]))

    def _start_prometheus(self) -> None:
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {
            "scrape_interval": f"{SCRAPE_S * 1000:g}ms",
            "evaluation_interval": "1s",
            "scrape_timeout": "500ms",
        }
        config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            job["static_configs"] = [each for each in job["static_configs"] if each["labels"]["process"] in PROCESSES]
            for group in job["static_configs"]:
                group["targets"] = [self._listen(group["labels"]["process"])]
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={path}", f"--web.listen-address={self._prometheus}"]
        command += [f"--storage.tsdb.path={self._folder / 'tsdb'}", "--log.level=warn"]
        with (self._folder / "prometheus.log").open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _ask(door: http.client.HTTPConnection, command: str, account: str, address: str, **more: object) -> None:
    fields = {**GOOD, "login": account, "remote": address, "session_id": f"{account} {address}", **more}
    door.request("POST", f"/?command={command}", json.dumps(fields), {"X-API-Key": KEY})
    answer = door.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
