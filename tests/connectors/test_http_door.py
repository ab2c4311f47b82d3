"""The listener under a door: secrets, limits, forms of requests, keep-alive, TLS."""

import asyncio
import base64
import logging
import ssl
import subprocess
from contextlib import asynccontextmanager

import aiohttp
import pytest

from streams.connectors import http_door
from streams.connectors.http_door import DoorOptions, HttpDoor, is_authorised

SECRET = "sekrét key"
AUTHORISED = {"X-API-Key": SECRET}


def basic(password, user="anyone"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def options(**changes):
    values = {"listen": "127.0.0.1:0", "setting": "gateway_listen", "secret": SECRET, "max_request_bytes": 1024,
              "max_connections": 50}  # fmt: skip
    return DoorOptions(**{**values, **changes})


@asynccontextmanager
async def door(refused=None, **changes):
    """A listener whose command answers what it got."""
    refused = [] if refused is None else refused
    door = HttpDoor(
        options(**changes),
        {"echo": lambda body, peer: (200, body + b" from " + peer.encode())},
        {"/page": lambda: (200, "text/plain", b"a page")},
        refused.append,
    )
    await door.start()
    try:
        yield door
    finally:
        await door.stop(5)


async def ask(door, path="/?command=echo", method="POST", body=b"x", headers=AUTHORISED):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{door.port}{path}", data=body, headers=headers) as response,
    ):
        return response.status, await response.read()


async def speak(port, request, wait_close=True):
    """Raw bytes over a connection of their own, and all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (AUTHORISED, True),
        (basic(SECRET), True),
        (basic(SECRET, user=""), True),
        ({"X-API-Key": "wrong"}, False),
        ({"X-API-Key": ""}, False),
        ({"X-API-Key": "\udcff\udc80"}, False),
        ({"X-API-Key": "wrong", **basic(SECRET)}, False),
        (basic("wrong"), False),
        (basic(SECRET + ":"), False),
        ({"Authorization": "Basic"}, False),
        ({"Authorization": "Basic !!!"}, False),
        ({"Authorization": "Basic " + "A" * 10_000}, False),
        ({"Authorization": "Bearer " + SECRET}, False),
        ({"Authorization": "basic " + base64.b64encode(SECRET.encode()).decode()}, False),
        ({}, False),
    ],
)
def test_only_the_secret_opens(headers, expected):
    """By the key header or as the password of basic authentication, whoever the user."""
    assert is_authorised(headers, SECRET) is expected


async def test_a_wrong_secret_is_refused_with_401():
    """The body is that of weakforced, which no Dovecot takes for a verdict."""
    refused = []
    async with door(refused) as listener:
        status, body = await ask(listener, headers={"X-API-Key": "wrong"})

    assert (status, body) == (401, b'{"status":"failure","reason":"Unauthorized"}')
    assert refused == ["unauthorized"]


async def test_basic_authentication_is_understood():
    """As weakforced's clients do it."""
    async with door() as listener:
        assert await ask(listener, headers=basic(SECRET)) == (200, b"x from 127.0.0.1")


async def test_without_a_secret_everybody_may_ask():
    """The anonymous mode of a listener that nobody else reaches."""
    async with door(secret="") as listener:
        assert (await ask(listener, headers={}))[0] == 200


@pytest.mark.parametrize("path", ["/?command=echo", "/command/echo", "/?tenant=a&command=echo", "/?command=%65cho"])
async def test_commands_are_found_in_both_forms(path):
    """Dovecot appends `?command=`, or `command=` to a URL that ends in `&`; weakforced has paths."""
    async with door() as listener:
        assert await ask(listener, path) == (200, b"x from 127.0.0.1")


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/?command=echo", 405, "method"),
        ("PUT", "/command/echo", 405, "method"),
        ("POST", "/page", 405, "method"),
        ("POST", "/", 404, "unknown"),
        ("POST", "/?command=delete", 404, "unknown"),
        ("POST", "/?command=echo&command=echo", 404, "unknown"),
        ("POST", "/command/", 404, "unknown"),
        ("POST", "/other?command=echo", 404, "unknown"),
        ("GET", "/..%2f..%2fetc/passwd", 404, "unknown"),
    ],
)
async def test_what_is_no_command_is_refused(method, path, status, reason):
    """Wrong methods and unknown paths have their codes, and are counted."""
    refused = []
    async with door(refused) as listener:
        assert (await ask(listener, path, method))[0] == status

    assert refused == [reason]


async def test_pages_are_for_everybody():
    """GET and HEAD, with any query, without a secret."""
    async with door() as listener:
        assert await ask(listener, "/page?x=1", "GET", None, {}) == (200, b"a page")
        assert await ask(listener, "/page", "HEAD", None, {}) == (200, b"")


async def test_a_body_at_the_limit_passes_and_one_over_it_does_not():
    """Announced or chunked, larger bodies get 413."""

    async def chunks():
        yield b"x" * 1000
        yield b"x" * 1000

    refused = []
    async with door(refused) as listener:
        assert (await ask(listener, body=b"x" * 1024))[0] == 200
        assert (await ask(listener, body=b"x" * 1025))[0] == 413
        assert (await ask(listener, body=chunks()))[0] == 413

    assert refused == ["too-large", "too-large"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /?command=echo HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"request=smtpd_access_policy\nprotocol_state=RCPT\n\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_good_http_is_refused_and_the_next_is_served(request_bytes):
    """Headers too long or too many, TLS on a plain port, another protocol: refused and counted, the door stays open."""
    refused = []
    async with door(refused) as listener:
        answered = await speak(listener.port, request_bytes)
        assert refused == ["broken"]
        assert answered == b"" or answered.startswith(b"HTTP/1.")
        assert b" 200 " not in answered.partition(b"\r\n")[0]
        assert (await ask(listener))[0] == 200


async def test_a_tls_client_at_a_plain_port_is_counted():
    """A URL with https:// and a gateway without TLS: what Dovecot then does not say, the metric does."""
    refused = []
    async with door(refused) as listener:
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", listener.port, ssl=ssl.create_default_context())
        assert (await ask(listener))[0] == 200

    assert refused == ["broken"]


@pytest.mark.parametrize(
    "header",
    ["X-API-Key: {}\x01", "X-API-Key {}", "Authorization: Basic {}" + "A" * 5000],
    ids=["control", "no-colon", "long"],
)
async def test_a_secret_in_a_broken_request_is_not_logged(header, caplog):
    """aiohttp would quote the line; its other errors are still logged."""
    refused = []
    with caplog.at_level(logging.DEBUG):
        async with door(refused, secret="opensesame") as listener:
            request = f"POST /command/echo HTTP/1.1\r\nHost: a\r\n{header.format('opensesame')}\r\n\r\n"
            assert (await speak(listener.port, request.encode())).startswith(b"HTTP/1.0 400 ")
        logging.getLogger("aiohttp.server").error("a fault", exc_info=ValueError("of ours"))

    assert refused == ["broken"]
    assert "opensesame" not in caplog.text
    assert "of ours" in caplog.text


async def test_a_slow_body_is_given_up(monkeypatch):
    """A client that announces a body and does not send it holds nothing for long."""
    monkeypatch.setattr(http_door, "BODY_TIMEOUT_S", 0.2)
    refused = []
    head = b"POST /?command=echo HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nContent-Length: 5\r\n\r\nab"
    async with door(refused, secret="k") as listener:
        answered = await speak(listener.port, head)

    assert answered.startswith(b"HTTP/1.1 408 ")
    assert refused == ["slow"]


async def test_a_silent_connection_is_closed(monkeypatch):
    """Who connects and says nothing is let go after the keep-alive time."""
    monkeypatch.setattr(http_door, "KEEP_ALIVE_S", 0.2)
    async with door() as listener:
        assert await speak(listener.port, b"") == b""


def test_keep_alive_is_longer_than_dovecots():
    """Dovecot closes idle connections after 10 s; a server that closes first makes a login pass unasked."""
    assert http_door.KEEP_ALIVE_S > 15


async def test_connections_over_the_bound_are_closed():
    """The ones within it go on being served."""
    refused = []
    async with door(refused, max_connections=2) as listener:
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
        request = (
            b"POST /command/echo HTTP/1.1\r\nHost: a\r\nX-API-Key: "
            + SECRET.encode()
            + b"\r\nContent-Length: 1\r\n\r\nx"
        )
        for reader, writer in held:
            writer.write(request)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await speak(listener.port, request) == b""
        for _, writer in held:
            writer.close()

    assert refused == ["connections"]


async def test_a_stop_ends_idle_connections_and_takes_no_new_ones():
    """A drained door holds nobody."""
    async with door() as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"a page")
        port = listener.port
        await listener.stop(5)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
         "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)


async def test_tls_is_served_with_the_certificate(certificate):
    """With certificate and key the same door speaks HTTPS."""
    async with (
        door(tls_cert_file=certificate[0], tls_key_file=certificate[1]) as listener,
        aiohttp.ClientSession() as session,
        session.post(
            f"https://127.0.0.1:{listener.port}/command/echo",
            data=b"x",
            headers=AUTHORISED,
            ssl=ssl.create_default_context(cafile=certificate[0]),
        ) as response,
    ):
        assert (response.status, await response.read()) == (200, b"x from 127.0.0.1")
