"""The panel as a process: a real listener on a free port."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import h11
import httpx
import pytest
from pydantic import SecretStr

from streams.bus.embedded import EmbeddedBroker
from streams.errors import ConfigurationError, ListenError
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


BODY = b"POST /sign-in HTTP/1.1\r\nHost: panel.test\r\nContent-Length: 50000\r\n\r\n"
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: panel.test\r\n\r\n"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: ", id="head"),
        pytest.param(BODY, id="body"),
        pytest.param(WHOLE + b"GET / HT", id="second head"),
        pytest.param(WHOLE + BODY, id="second body"),
    ],
)
def test_a_connection_whose_request_is_not_whole_in_time_is_cut_off(
    running: PanelServer, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens many and says little keeps nobody away for long; a connection whose request was whole goes on."""
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=60)) as usual:
        assert _is_alive(usual)
        monkeypatch.setattr("streams.panel.connection.LIMITS_S", {h11.IDLE: 0.5, h11.SEND_BODY: 0.5})
        with socket.create_connection(("127.0.0.1", running.port), 60) as slow:
            slow.sendall(part)
            eventually(lambda: _is_cut_off(slow, b"x" if part else b""), 20, what="the slow one is cut off")

        usual.auto_open = 0
        assert _is_alive(usual)


def _is_alive(connection: HTTPConnection) -> bool:
    connection.request("GET", "/health/live")
    return b"live" in connection.getresponse().read()


def _is_cut_off(client: socket.socket, more: bytes) -> bool:
    """Whether the other end has closed; where not, it gets a little more."""
    try:
        client.sendall(more)
        client.settimeout(0.05)
        while client.recv(65536):
            continue
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def test_an_address_that_is_taken_is_a_sentence(embedded: EmbeddedBroker, tmp_path: Path) -> None:
    """What is wrong, with which setting; its code leads to a restart."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match="panel_listen: cannot listen"):
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
