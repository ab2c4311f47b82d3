"""
The running product for a browser: `loginwatch panel` as a process on a free port, an embedded broker with the records
that a worker would have written, and a small worker that answers.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.bus.producer import Producer
from streams.bus.tail import tail
from streams.panel.rights import Role
from streams.panel.store import Store, people
from streams.records.codec import Codec
from streams.settings import Settings
from streams.topology import BY_NAME
from tests.cli.small_worker import SmallWorker
from tests.eventually import eventually
from tests.kafka_broker import PARTITIONS
from tests.panel.pages import records
from tests.panel.store.feeding import Told
from tests.panel.visitors import PASSWORD, quick_passwords
from tests.ports import free_port

DOMAIN = "example.org"
THIEF, TRAVELLER, COMMUTER = (f"{name}@{DOMAIN}" for name in ("ann", "bob", "carla"))
HOTEL = "198.51.100.7"
ADMINISTRATOR, OWNER = f"newcomer@{DOMAIN}", f"owner@{DOMAIN}"
CODEC = Codec()
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Scene:
    """What runs, and what stands on its topics."""

    def __init__(self, address: str, settings: Settings, process: "subprocess.Popen[bytes]") -> None:
        self.address = address
        self.settings = settings
        self.process = process

    def written(self, topic: str) -> list[dict[str, Any]]:
        """Every record of a topic, tombstones aside."""
        name = BY_NAME[topic].record
        found = tail(self.settings, [BY_NAME[topic]])
        return [CODEC.decode(name, record.value) for record in found if record.value is not None]

    def incident_of(self, account: str) -> str:
        """The path of the page of an account's incident."""
        found = next(item for item in self.written("incidents") if item["account"] == account)
        return f"/incidents/{found['id']}"


@contextmanager
def scene() -> Iterator[Scene]:
    """A panel that has read everything; ended in any case."""
    with (
        tempfile.TemporaryDirectory(prefix="panel-") as folder,
        EmbeddedBroker(Settings(partitions=PARTITIONS)) as broker,
    ):
        listen = f"127.0.0.1:{free_port()}"
        database = SecretStr(str(Path(folder) / "panel.sqlite"))
        settings = broker.settings.model_copy(update={"panel_database": database, "panel_listen": listen})
        process = _started(settings, Path(folder) / "panel.log")
        try:
            tell(settings, story(time.time_ns() // 1_000_000))
            with SmallWorker(settings):
                _add_people(settings)
                eventually(lambda: _is_ready(listen), 90, what=f"the panel is ready: {_log(folder)}")
                yield Scene(f"http://{listen}", settings, process)
        finally:
            process.terminate()
            process.wait(30)


def tell(settings: Settings, told: Iterable[Told]) -> None:
    """Write records to their topics, as of now."""
    now_ms = time.time_ns() // 1_000_000
    producer = Producer(settings)
    for topic, key, value in told:
        raw = None if value is None else CODEC.encode(BY_NAME[topic].record, value)
        producer.send(topic, raw, key=key, timestamp_ms=now_ms)
    producer.flush(30)
    producer.close()


def story(now_ms: int) -> list[Told]:
    """A takeover, a journey and a commuter, with the rules that they were judged by, some logins and old cases."""
    thief = records.taken_over(now_ms - HOUR_MS, THIEF, "1")
    traveller = records.travelling(now_ms - 3 * HOUR_MS, TRAVELLER, "2")
    commuter = records.travelling(now_ms - 5 * HOUR_MS, COMMUTER, "3")
    before = [
        records.travelling(now_ms - days * 24 * HOUR_MS - days * HOUR_MS, f"user{days}@{DOMAIN}", f"{10 + days}")
        for days in range(1, 9)
    ]
    rules = [
        records.policy("everyone", time_window=60, allowed_ips=8, allowed_countries=4, block_time=1440),
        records.policy(f"domain:{DOMAIN}", allowed_ips=3, notify=["postmaster@example.org"]),
        records.domain(DOMAIN, "shops/north"),
        records.domain("second.example", "shops"),
        records.safe(f"domain:{DOMAIN}", "100.64.7.0/24"),
    ]
    reviews: list[Told] = [("reviews", found["account"], records.review(found)) for found in before]
    return [
        *(_dated(item, now_ms - 40 * HOUR_MS) for item in rules),
        *(told for found in (*before, commuter, traveller, thief) for told in records.told(found)),
        *reviews,
        *_logins(now_ms),
    ]


def _logins(now_ms: int) -> list[Told]:
    """What the worker knows of the traveller: below the limit, so that it opens no incident of its own."""
    return [
        (
            "logins",
            TRAVELLER,
            {"time": now_ms - ago * MINUTE_MS, "account": TRAVELLER, "ip": address, "success": True, "service": "imap"}
            | dict.fromkeys(("id", "session", "server", "client", "failure")),
        )
        for address, ago in (("192.0.2.44", 9), (HOTEL, 4))
    ]


def _dated(told: Told, time_ms: int) -> Told:
    topic, key, value = told
    return topic, key, {**value, "time": time_ms} if value and "time" in value else value


def _add_people(settings: Settings) -> None:
    """An administrator of the domain, and an owner; both sign in with PASSWORD."""
    password_hash = quick_passwords().hash(PASSWORD)
    with Store(settings.panel_database.get_secret_value()) as store, store.writing() as connection:
        for name, role, scope in (
            (ADMINISTRATOR, Role.ADMINISTRATOR, f"domain:{DOMAIN}"),
            (OWNER, Role.OWNER, "everything"),
        ):
            people.create(
                connection, name=name, role=role.value, scopes=(scope,), now_ms=1, password_hash=password_hash
            )


def _started(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGINWATCH_")}
    given = {
        "LOGINWATCH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "LOGINWATCH_PARTITIONS": str(settings.partitions),
        "LOGINWATCH_PANEL_DATABASE": settings.panel_database.get_secret_value(),
        "LOGINWATCH_PANEL_LISTEN": settings.panel_listen,
    }
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "panel"], env=kept | given, stdout=out, stderr=subprocess.STDOUT
        )


def _is_ready(listen: str) -> bool:
    try:
        return httpx.get(f"http://{listen}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _log(folder: str) -> Path:
    return Path(folder) / "panel.log"
