"""The panel as a process: a real listener on a free port."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.errors import ConfigurationError
from streams.panel.people import owners
from streams.panel.serve import PanelServer
from streams.settings import Settings
from tests.eventually import eventually
from tests.panel.visitors import token_of


def settings_of(broker: EmbeddedBroker, path: Path, **values: Any) -> Settings:
    given = {"panel_database": SecretStr(str(path / "panel.sqlite")), "panel_listen": "127.0.0.1:0"}
    return broker.settings.model_copy(update={**given, **values})


@pytest.fixture
def running(embedded: EmbeddedBroker, tmp_path: Path) -> Iterator[PanelServer]:
    """A panel that has caught up, in a thread."""
    server = PanelServer(settings_of(embedded, tmp_path, panel_hosts=("panel.test",)))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield server
    finally:
        server.request_stop()
        thread.join(60)
    assert not thread.is_alive()


def client_of(server: PanelServer, *, host: str = "panel.test") -> httpx.Client:
    """A browser at its address, which asks for `host` and is patient on a busy machine."""
    return httpx.Client(timeout=60, base_url=f"http://127.0.0.1:{server.port}", headers={"Host": host})


def test_a_panel_serves_and_says_how_it_is(running: PanelServer) -> None:
    """Pages, metrics and health on one port; its own name is in no header."""
    with client_of(running) as client:
        page = client.get("/sign-in")
        health = client.get("/health/ready")
        metrics = client.get("/metrics").text

    assert page.status_code == 200
    assert "server" not in page.headers
    assert (health.status_code, health.json()) == (200, {"ready": True, "reasons": []})
    assert 'loginwatch_panel_requests_total{page="/sign-in",status="200"} 1.0' in metrics
    assert "loginwatch_panel_follower_lag_records 0.0" in metrics or "loginwatch_panel_follower_lag 0.0" in metrics


def test_readiness_says_why_not(running: PanelServer, embedded: EmbeddedBroker) -> None:
    """A broker that is away is a reason, in a sentence, until it is back; the process lives on."""
    with client_of(running, host=f"127.0.0.1:{running.port}") as client:
        eventually(lambda: client.get("/health/ready").status_code == 200, 60)
        embedded.down()
        health = eventually(lambda: (found := client.get("/health/ready")).status_code == 503 and found, 60)
        alive = client.get("/health/live").status_code
        embedded.up()
        eventually(lambda: client.get("/health/ready").status_code == 200, 60)

    assert "may be old" in " ".join(health.json()["reasons"])
    assert alive == 200


def test_a_stop_ends_open_pages(running: PanelServer) -> None:
    """A page that listens for news does not hold the process for its whole life."""
    store = running.panel.store
    link = owners.sign_in_link(store, running.panel.settings, None, actor="test", make=True)
    path = link[link.index("/welcome/") :]
    with client_of(running) as client:
        token = token_of(client.get(path).text)
        assert client.post(path, data={"csrf": token}).status_code == 303
        with client.stream("GET", "/incidents/news") as news:
            assert news.status_code == 200
            running.request_stop()
            for _ in news.iter_raw():
                pass


def test_sigterm_drains_and_ends_with_code_0(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """As a supervisor stops it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "LOGINWATCH_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "LOGINWATCH_PANEL_DATABASE": str(tmp_path / "panel.sqlite"),
        "LOGINWATCH_PANEL_LISTEN": f"127.0.0.1:{port}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "panel"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        eventually(lambda: _answers(port), 60)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


def test_an_address_that_is_taken_is_a_sentence(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """What is wrong, with which setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="panel_listen: cannot listen"):
            PanelServer(settings_of(embedded, tmp_path, panel_listen=listen))


def test_a_certificate_that_is_not_there_is_a_sentence(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """Rather than a trace."""
    with pytest.raises(ConfigurationError, match="panel_tls_cert_file"):
        PanelServer(settings_of(embedded, tmp_path, panel_tls_cert_file=str(tmp_path / "none.pem")))


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.HTTPError:
        return False
