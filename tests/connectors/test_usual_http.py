"""The usual request of a mail server: what is one, that aiohttp would answer it alike, and when a connection becomes aiohttp's."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.connectors import http_door
from streams.connectors.usual_http import UsualReader
from tests.connectors.test_http_door import door
from tests.eventually import eventually_async

KEY = "k"
DOVECOT = (
    b"POST /?command=echo HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nDate: Sun, 22 Nov 2026 04:12:52 GMT\r\n"
    b"User-Agent: dovecot/auth-policy-client\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n"
    b"Content-Type: application/json\r\nX-API-Key: k\r\n\r\nhello"
)
WEAKFORCED = b"POST /command/echo HTTP/1.1\r\nhost: a\r\naccept: */*\r\nauthorization: Basic d2ZvcmNlOms=\r\ncontent-length: 5\r\n\r\nhello"
ANSWER = b"hello from 127.0.0.1"
PAGE = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"


def reader():
    return UsualReader({"/?command=echo": lambda body, _: (200, body), "/command/echo": lambda body, _: (200, body)})


def changed(old: bytes, new: bytes, request: bytes = DOVECOT) -> bytes:
    assert request.count(old) == 1
    return request.replace(old, new)


async def exchange(stream, request: bytes, answers: int = 1) -> bytes:
    """What comes back, without its dates."""
    reading, writing = stream
    writing.write(request)
    got = b""
    for _ in range(answers):
        head = await asyncio.wait_for(reading.readuntil(b"\r\n\r\n"), 30)
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        got += re.sub(rb"Date: [^\r]*\r\n", b"", head)
        got += await asyncio.wait_for(reading.readexactly(int(length[1])), 30)
    return got


async def connect(listener):
    return await asyncio.open_connection("127.0.0.1", listener.port)


@pytest.mark.parametrize("request_bytes", [DOVECOT, WEAKFORCED])
def test_what_mail_servers_send_is_usual(request_bytes):
    """Dovecot's request and that of a client with basic authentication."""
    usual = reader().read(request_bytes)

    assert usual is not None
    assert usual.body == b"hello"
    assert {"X-API-Key", "Authorization"} & set(usual.headers)


@pytest.mark.parametrize(
    "request_bytes",
    [
        changed(b"POST", b"GET"),
        changed(b"HTTP/1.1", b"HTTP/1.0"),
        changed(b"echo", b"other"),
        changed(b"Content-Length: 5", b"Content-Length: 4"),
        changed(b"Content-Length: 5", b"Content-Length: 6"),
        changed(b"Content-Length: 5", b"Content-Length: +5"),
        changed(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 5"),
        changed(b"Content-Length: 5", b"Content-Length : 5"),
        changed(b"Content-Length: 5\r\n", b""),
        changed(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        changed(b"Content-Length: 5", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
        changed(b"Keep-Alive", b"close"),
        changed(b"Keep-Alive", b"keep-alive, X-API-Key"),
        changed(b"Content-Type", b"Content-Encoding"),
        changed(b"Content-Type", b"Expect"),
        changed(b"application/json", b"application/json\r\n folded: yes"),
        changed(b"application/json", b"application/json\nTransfer-Encoding: chunked"),
        changed(b"application/json", b"application/json\rX: y"),
        changed(b"application/json", b"application\x00json"),
        changed(b"application/json", b"x" * 5000),
        changed(b"X-API-Key: k", b"X-API-Key: k\r\nX-API-Key: k"),
        changed(b"X-API-Key: k", "X-API-Key: ü".encode()),
        DOVECOT + DOVECOT,
        DOVECOT[:-1],
        DOVECOT[:40],
        DOVECOT.replace(b"\r\n", b"\n"),
        b"\r\n" + DOVECOT,
        b"",
    ],
)
def test_anything_else_is_not(request_bytes):
    """Whatever could make two readers see different requests is left to aiohttp."""
    assert reader().read(request_bytes) is None


async def both_ways(request: bytes) -> tuple[bytes, bytes]:
    """The answer on a fresh connection, and on one that is aiohttp's already."""
    async with door(secret=KEY) as listener:
        fresh, theirs = await connect(listener), await connect(listener)
        await exchange(theirs, PAGE)
        assert (listener.connections, listener.usual_connections) == (2, 1)
        found = await exchange(fresh, request), await exchange(theirs, request)
        for _, writer in (fresh, theirs):
            writer.close()
    return found


@pytest.mark.parametrize(
    "request_bytes",
    [DOVECOT, WEAKFORCED, changed(b"Key: k", b"Key: wrong"), changed(b"echo", b"other"),
     changed(b"POST", b"PUT"), changed(b"Content-Length: 5", b"Content-Length: 5\r\nX-Forwarded-For: 192.0.2.1")],
)  # fmt: skip
async def test_aiohttp_would_answer_the_same_bytes(request_bytes):
    """What is answered, and how it looks, does not depend on who read the request."""
    ours, theirs = await both_ways(request_bytes)

    assert ours == theirs
    assert (ANSWER in ours) is ours.startswith(b"HTTP/1.1 200 OK\r\n")


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(DOVECOT) - 1), st.sampled_from([b"", b"\r\n", b":", b" ", b"\t", b"\x00", b"9", b"e"])
        ),
        max_size=3,
    )
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_damaged_request_is_never_taken_for_a_usual_one(changes):
    """Where a damaged request still counts as usual, aiohttp answers it with the same bytes."""
    damaged = DOVECOT
    for at, instead in changes:
        damaged = damaged[:at] + instead + damaged[at + 1 :]

    if reader().read(damaged) is not None:
        ours, theirs = asyncio.run(both_ways(damaged))
        assert ours == theirs


async def test_a_request_in_parts_is_answered():
    """A slow network may cut a request anywhere."""
    async with door(secret=KEY) as listener:
        for cut in (1, 20, len(DOVECOT) - 2):
            stream = await connect(listener)
            stream[1].write(DOVECOT[:cut])
            await eventually_async(
                lambda: listener.connections and not listener.usual_connections, what="the first part to be read"
            )
            assert (await exchange(stream, DOVECOT[cut:])).endswith(ANSWER)
            stream[1].close()
            await eventually_async(lambda: not listener.connections, what="the end of the connection")


async def test_what_looks_usual_in_the_middle_of_another_request_is_none():
    """Otherwise a body that a proxy passes on could smuggle a request in."""
    async with door(secret=KEY) as listener:
        stream = await connect(listener)
        head = changed(b"Content-Length: 5", b"Content-Length: %d" % (5 + len(DOVECOT)))
        stream[1].write(head)
        await eventually_async(lambda: not listener.usual_connections, what="the first part to be read")
        got = await exchange(stream, DOVECOT)
        stream[1].close()

    assert got.endswith(b"hello" + DOVECOT + b" from 127.0.0.1")


async def test_pipelined_requests_are_answered_in_their_order():
    """Also where the first came alone."""
    async with door(secret=KEY) as listener:
        stream = await connect(listener)
        got = await exchange(stream, DOVECOT)
        got += await exchange(stream, changed(b"hello", b"first") + PAGE + DOVECOT, answers=3)
        stream[1].close()

    assert re.findall(rb"\r\n\r\n(\w+)", got) == [b"hello", b"first", b"a", b"hello"]


async def test_a_body_over_the_limit_is_refused_as_ever():
    """The usual form opens nothing."""
    refused = []
    long = changed(b"Content-Length: 5\r\n", b"Content-Length: 1025\r\n").removesuffix(b"hello") + b"x" * 1025
    async with door(refused, secret=KEY) as listener:
        stream = await connect(listener)
        assert (await exchange(stream, long)).startswith(b"HTTP/1.1 413 ")
        stream[1].close()

    assert refused == ["too-large"]


async def test_connections_of_both_kinds_are_counted_until_they_end():
    """The bound holds for all of them together."""
    refused = []
    async with door(refused, secret=KEY, max_connections=2) as listener:
        usual, theirs = await connect(listener), await connect(listener)
        await exchange(usual, DOVECOT)
        await exchange(theirs, PAGE)
        over = await connect(listener)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await exchange(over, DOVECOT)
        for _, writer in (usual, theirs, over):
            writer.close()
        await eventually_async(lambda: not listener.connections, what="the end of the connections")
        again = await connect(listener)
        await exchange(again, DOVECOT)
        again[1].close()

    assert refused == ["connections"]


async def test_a_usual_connection_that_falls_silent_is_closed(monkeypatch):
    """After the keep-alive time, counted from its last request."""
    monkeypatch.setattr(http_door, "KEEP_ALIVE_S", 0.3)
    async with door(secret=KEY) as listener:
        stream = await connect(listener)
        for _ in range(3):
            await exchange(stream, DOVECOT)
        assert await asyncio.wait_for(stream[0].read(), 30) == b""
        stream[1].close()


async def test_a_usual_connection_is_kept_while_it_asks(monkeypatch):
    """Dovecot keeps one connection for as long as there are logins."""
    monkeypatch.setattr(http_door, "KEEP_ALIVE_S", 1.0)
    loop = asyncio.get_running_loop()
    async with door(secret=KEY) as listener:
        stream = await connect(listener)
        begun = loop.time()
        while loop.time() < begun + 2.2:
            assert (await exchange(stream, DOVECOT)).endswith(ANSWER)
        stream[1].close()


async def test_a_stop_ends_usual_connections():
    """They are idle between two requests."""
    async with door(secret=KEY) as listener:
        stream = await connect(listener)
        await exchange(stream, DOVECOT)
        await listener.stop(5)
        assert await asyncio.wait_for(stream[0].read(), 30) == b""
        await eventually_async(lambda: not listener.connections, what="the end of the connection")
        stream[1].close()
