"""
Before the first login: the simulated people, the settings of the processes, the rules on their topics, and readiness.
"""

import asyncio
import secrets
import time

import aiohttp
from pydantic import SecretStr

from streams.bus.producer import Producer
from streams.demo import rules
from streams.demo.processes import ChildError, Children
from streams.demo.waiting import pause
from streams.records.codec import Codec
from streams.settings import Settings
from streams.simulator.people import Population
from streams.simulator.simulation import Options, Simulation
from streams.topology import POLICIES, SAFE_NETWORKS

TUESDAY_10H_MS = 1_767_690_000_000
"""People do what they do on a Tuesday morning at ten (6 January 2026), whenever the demo is shown."""
TEMPO = 60.0
"""Mail clients poll so many times more often than in life, so that a minute shows what an hour holds."""
MOST_LOGINS_PER_S = 150.0
GUESSES = 0.05
ENDLESS_S = 12 * 3600
READY_S = 90.0
FLUSH_S = 10.0
GEO_FILE = "world.mmdb"
PANEL_FILE = "panel.sqlite"


def simulate_people(seed: int, accounts: int, seconds: float | None) -> Simulation:
    """The people and thieves of one showing; however many people there are, the door is not flooded."""
    options = Options(
        TUESDAY_10H_MS,
        int(1000 * (seconds or ENDLESS_S)),
        tempo=TEMPO,
        takeovers=rules.plans(seconds, accounts),
        guesses=GUESSES,
    )
    simulation = Simulation(Population(seed, accounts), options)
    if simulation.natural_rate() * TEMPO > MOST_LOGINS_PER_S:
        simulation.set_rate(MOST_LOGINS_PER_S)
    return simulation


def child_settings(settings: Settings, children: Children, smtp_port: int) -> Settings:
    """The settings given, with the demo's own broker, files, ports and secret."""
    return settings.model_copy(
        update={
            "geo_databases": (str(children.folder / GEO_FILE),),
            "gateway_api_key": SecretStr(secrets.token_urlsafe(24)),
            "gateway_allow_anonymous": False,
            "gateway_listen": children.listen(settings.gateway_listen),
            "worker_health_listen": children.listen(settings.worker_health_listen),
            "mailer_health_listen": children.listen(settings.mailer_health_listen),
            **_panel_settings(settings, children),
            "mail_from": "loginwatch@example.org",
            "mail_rate": 1000,
            "smtp_host": "127.0.0.1",
            "smtp_port": smtp_port,
            "smtp_tls": "none",
            "smtp_username": "",
            "schema_registry_url": "",
            "gateway_tls_cert_file": "",
            "geo_owner_databases": (),
        }
    )


def _panel_settings(settings: Settings, children: Children) -> dict[str, object]:
    """A panel of its own for this demo: an empty database, and nothing of a site's names, keys and single sign-on."""
    return {
        "panel_listen": children.listen(settings.panel_listen),
        "panel_database": SecretStr(str(children.folder / PANEL_FILE)),
        "panel_url": "",
        "panel_tls_cert_file": "",
        "panel_tls_key_file": "",
        "panel_secure_cookies": "auto",
        "panel_second_factor": "optional",
        "panel_trusted_proxies": (),
        "panel_oidc_issuer": "",
        "panel_oidc_ca_file": "",
    }


def publish_rules(settings: Settings, codec: Codec, now_ms: int) -> None:
    """Put policies and safe networks on their topics. Raises DeliveryError."""
    producer = Producer(settings)
    for topic, record, rows in (
        (POLICIES, "Policy", rules.policies(now_ms)),
        (SAFE_NETWORKS, "SafeNetwork", rules.safe_networks(now_ms)),
    ):
        for key, row in rows:
            producer.send(topic.name, codec.encode(record, row), key=key, timestamp_ms=now_ms)
    producer.close(FLUSH_S)


def listens(settings: Settings) -> dict[str, str]:
    """Where each process serves its health and metrics."""
    return {
        "worker": settings.worker_health_listen,
        "gateway": settings.gateway_listen,
        "mailer": settings.mailer_health_listen,
        "panel": settings.panel_listen,
    }


def sign_in_link(settings: Settings) -> str:
    """A link to the demo's panel that signs its owner in, once. Call it when the panel has made its database."""
    # the web framework is slow to import, and the processes should not wait for it
    from streams.panel.people import owners  # noqa: PLC0415
    from streams.panel.store import Store  # noqa: PLC0415

    with Store(settings.panel_database.get_secret_value()) as store:
        return owners.sign_in_link(store, settings, rules.ACTOR, actor=rules.ACTOR, make=True)


async def until_ready(settings: Settings, children: Children, stop: asyncio.Event) -> bool:
    """Wait until every process says that it is ready; False when `stop` came first. Raises ChildError."""
    waiting = {name: f"http://{listen}/health/ready" for name, listen in listens(settings).items()}
    deadline = time.monotonic() + READY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while waiting and not stop.is_set():
            children.check()
            waiting = {name: url for name, url in waiting.items() if not await _is_ready(session, url)}
            if waiting and time.monotonic() > deadline:
                raise ChildError(f"not ready after {READY_S:.0f} s: {', '.join(waiting)}; see the logs")
            await pause(stop, 0.1)
    return not stop.is_set()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
