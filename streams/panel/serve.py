"""
The panel as a process: it listens, says how it is, and drains when it is told to stop.

Decision: uvicorn with its own handling of signals taken out: a stop first ends the streams of open pages, then answers what
is under way for at most `panel_drain_timeout`, then lets go of Kafka and the database.
"""

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import structlog
import uvicorn

from streams.bus.health import cannot_listen, parse_listen
from streams.errors import ConfigurationError
from streams.panel.app import make_app
from streams.panel.connection import Connection
from streams.panel.panel import Panel
from streams.settings import Settings

LOG = structlog.get_logger(__name__)
MOST_CONNECTIONS = 1_000
BACKLOG = 256
KEEP_ALIVE_S = 30
MOST_HEADER_BYTES = 32_768
LOOK_EVERY_S = 0.2


class PanelServer:
    """
    A panel that listens. `run` serves until `request_stop` or, in the main thread, SIGTERM or SIGINT.

    Raises ConfigurationError or ListenError when it cannot listen so.
    """

    def __init__(self, settings: Settings, *, panel: Panel | None = None) -> None:
        self._socket = _listening(settings)
        try:
            self.panel = panel or Panel(_with_port(settings, self.port))
            self._server = _Server(_config(settings, self.panel))
        except BaseException:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def run(self, ready: Callable[["PanelServer"], None] | None = None) -> None:
        """Serve until stopped. `ready` is called once, when the read model has what was on the topics at start."""
        self.panel.start()
        LOG.info("panel listens", address=self.panel.address, port=self.port)
        try:
            asyncio.run(self._main(ready))
        finally:
            self.panel.close()
            self._socket.close()
            LOG.info("panel stopped")

    def request_stop(self) -> None:
        """Ask for the end of `run`, from any thread or a signal."""
        self.panel.store.changes.close()
        self._server.should_exit = True

    async def _main(self, ready: Callable[["PanelServer"], None] | None) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.request_stop)
        saying = asyncio.create_task(self._say_ready(ready))
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            saying.cancel()

    async def _say_ready(self, ready: Callable[["PanelServer"], None] | None) -> None:
        while not await asyncio.to_thread(self.panel.follower.caught_up.wait, LOOK_EVERY_S):
            continue
        LOG.info("panel ready")
        if ready is not None:
            ready(self)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are dealt with by the panel: uvicorn would raise them again before Kafka is let go of."""
        yield


def serve(settings: Settings, *, ready: Callable[[PanelServer], None] | None = None) -> int:
    """Run a panel until SIGTERM or SIGINT; the exit code."""
    PanelServer(settings).run(ready)
    return 0


def _with_port(settings: Settings, port: int) -> Settings:
    """The settings with the port that is listened on, where any free one was asked for."""
    host = settings.panel_listen.rpartition(":")[0]
    return settings.model_copy(update={"panel_listen": f"{host}:{port}"})


def _config(settings: Settings, panel: Panel) -> uvicorn.Config:
    config = uvicorn.Config(
        make_app(panel),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.panel_drain_timeout,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        ssl_certfile=settings.panel_tls_cert_file or None,
        ssl_keyfile=settings.panel_tls_key_file or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        panel.close()
        raise ConfigurationError(f"panel_tls_cert_file or panel_tls_key_file cannot be used: {error}") from error
    return config


def _listening(settings: Settings) -> socket.socket:
    host, port = parse_listen(settings.panel_listen, "panel_listen")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(settings.panel_listen, "panel_listen", error) from error
