"""The HTTP server of processes without one."""

import errno
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from streams.bus.health import HealthServer, cannot_listen, parse_listen
from streams.errors import ConfigurationError, ListenError, LoginwatchError
from streams.metrics import DEAD_LETTERS, Metrics


class Process:
    """A process with a health server, whose reasons the test sets."""

    def __init__(self, listen: str = "127.0.0.1:0") -> None:
        self.reasons: list[str] = []
        self.stalled: list[str] = []
        self.metrics = Metrics("worker")
        self.server = HealthServer(
            listen, metrics=self.metrics, ready=lambda: self.reasons, live=lambda: self.stalled, setting="here"
        )

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        host = self.server.address.rpartition(":")[0].strip("[]")
        connection = http.client.HTTPConnection(host, self.server.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    with made.server:
        yield made


def test_a_process_without_reasons_is_ready_and_alive(process: Process) -> None:
    """200 and an empty list."""
    status, headers, body = process.ask("/health/ready")

    assert (status, headers["Content-Type"], json.loads(body)) == (
        200,
        "application/json",
        {"ready": True, "reasons": []},
    )
    assert json.loads(process.ask("/health/live")[2]) == {"live": True, "reasons": []}


def test_reasons_are_told_with_503(process: Process) -> None:
    """Ready and alive are two questions."""
    process.reasons = ["the view of blocks may be old: no broker"]

    status, _, body = process.ask("/health/ready?verbose")

    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": process.reasons})
    assert process.ask("/health/live")[0] == 200
    process.stalled = ["no progress for 60 s"]
    assert process.ask("/health/live")[0] == 503


def test_metrics_are_served_as_prometheus_reads_them(process: Process) -> None:
    """With its content type, and the counters of this process."""
    process.metrics.of(DEAD_LETTERS, reason="bad_ip").inc()

    status, headers, body = process.ask("/metrics")

    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'loginwatch_dead_letters_total{reason="bad_ip"} 1.0' in body


def test_head_has_the_headers_of_get_and_no_body(process: Process) -> None:
    """As load balancers ask."""
    status, headers, body = process.ask("/health/ready", "HEAD")

    assert (status, headers["Content-Length"], body) == (200, str(len(process.ask("/health/ready")[2])), b"")


@pytest.mark.parametrize("path", ["/", "/health", "/metrics/", "/../etc/passwd", "/health/ready/x"])
def test_everything_else_is_not_found(process: Process, path: str) -> None:
    """And says nothing of what there is."""
    assert process.ask(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_and_head_are_answered(process: Process, method: str) -> None:
    """Nothing can be changed here."""
    assert process.ask("/metrics", method)[0] == 501


GIANTS = [
    b"GET /" + b"x" * 100_000,
    b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"GET /metrics HTTP/1.1\r\n" + (b"X: " + b"y" * 1_000 + b"\r\n") * 20 + b"\r\n",
]


@pytest.mark.parametrize("request_", GIANTS, ids=["path", "headers", "bytes"])
def test_a_giant_request_is_cut_off_and_the_next_is_answered(process: Process, request_: bytes) -> None:
    """Bounded in bytes, whatever the client sends."""
    with socket.create_connection(("127.0.0.1", process.server.port), 10) as connection:
        try:
            connection.sendall(request_)
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
    assert b" 200 " not in answer

    assert process.ask("/health/live")[0] == 200


def test_a_page_that_fails_is_an_error_500_and_the_server_goes_on(process: Process) -> None:
    """A defect in a reason must not take the metrics away."""
    process.reasons = None  # type: ignore[assignment]
    process.server._server.pages["/health/ready"] = lambda: 1 / 0  # type: ignore[assignment,return-value]

    assert process.ask("/health/ready")[0] == 500
    assert process.ask("/metrics")[0] == 200


def test_connections_that_say_nothing_do_not_keep_others_out(process: Process) -> None:
    """Some silent ones are open while another is answered."""
    silent = [socket.create_connection(("127.0.0.1", process.server.port), 10) for _ in range(20)]

    assert process.ask("/health/live")[0] == 200

    for connection in silent:
        connection.close()


def test_a_request_that_trickles_in_is_cut_off(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no request: its connection would be one fewer for the supervisor's questions, for hours."""
    monkeypatch.setattr("streams.bus.health.REQUEST_TIMEOUT_S", 0.3)
    with socket.create_connection(("127.0.0.1", process.server.port), 10) as connection:
        connection.settimeout(0.05)
        answer = None
        while answer is None:
            with suppress(TimeoutError):
                try:
                    connection.sendall(b"X")
                    answer = connection.recv(1)
                except ConnectionError:
                    answer = b""

        assert answer == b""


def test_an_address_in_use_is_an_error_that_names_the_setting_and_leads_to_a_restart(process: Process) -> None:
    """Two workers on one machine need two addresses; what holds this one may be gone soon."""
    with pytest.raises(ListenError, match=f"setting here: cannot listen on {process.server.address}: .*in use"):
        Process(process.server.address)


def test_an_address_that_no_interface_has_may_come() -> None:
    """At boot the network may be up after the process; the sentence does not speak of something that uses the port."""
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:9101: no interface of this machine"):
        Process("192.0.2.1:9101")


def test_a_host_that_never_can_be_one_is_a_wrong_setting() -> None:
    """A supervisor that started it again would do so for ever."""
    with pytest.raises(ConfigurationError, match="setting here: cannot listen on"):
        Process(f"{'x' * 64}.example:9101")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EADDRINUSE, "error while attempting to bind on address"), ListenError),
        (OSError("could not bind on any address out of [('192.0.2.1', 1)]"), ListenError),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), ListenError),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ConfigurationError),
        (PermissionError(errno.EACCES, "Permission denied"), ConfigurationError),
        (OSError("AF_UNIX path too long"), ConfigurationError),
    ],
)
def test_what_may_pass_ends_with_a_code_that_is_restarted(error: OSError, kind: type[LoginwatchError]) -> None:
    """In every way in which Pythons say it; the rest waits for somebody to change the setting."""
    made = cannot_listen("192.0.2.1:1", "gateway_listen", error)

    assert type(made) is kind
    assert str(made).startswith("setting gateway_listen: cannot listen on 192.0.2.1:1: ")


def test_it_listens_on_ipv6_as_well() -> None:
    """With the address in brackets."""
    made = Process("[::1]:0")
    with made.server:
        assert made.server.address == f"[::1]:{made.server.port}"
        assert made.ask("/health/live")[0] == 200


def test_the_address_is_free_again_after_stop() -> None:
    """A restart must not wait for the kernel."""
    first = Process()
    with first.server:
        address = first.server.address
        first.ask("/metrics")

    with Process(address).server:
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:9101", ("127.0.0.1", 9101)), (" localhost:0 ", ("localhost", 0)), ("[::]:65535", ("::", 65535))],
)
def test_listen_addresses_are_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """Names and addresses of both families."""
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not host:port"),
        ("9101", "is not host:port"),
        (":9101", "is not host:port"),
        ("host:", "'' is not a port number"),
        ("host:http", "'http' is not a port number"),
        ("host:-1", "'-1' is not a port number"),
        ("host:65536", "'65536' is not a port number"),
        ("host:" + "9" * 5000, "is not a port number"),
        ("host:٣", "is not a port number"),
        ("::1:9101", "in brackets"),
        ("[127.0.0.1]:1", "is not an IPv6 address"),
    ],
)
def test_other_listen_addresses_are_refused_with_the_reason(text: str, sentence: str) -> None:
    """And the name of the setting."""
    with pytest.raises(ConfigurationError, match=sentence) as raised:
        parse_listen(text, "worker_health_listen")
    assert "setting worker_health_listen: " in str(raised.value)
    assert len(str(raised.value)) < 300
