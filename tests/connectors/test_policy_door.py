"""The listener under the Postfix door: what a slow or greedy client may do."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from streams.connectors import policy_door
from streams.connectors.policy_door import IDLE_S, PolicyDoor, PolicyDoorOptions
from streams.connectors.policy_protocol import reply
from streams.errors import ListenError
from tests.connectors.postfix_samples import RCPT
from tests.eventually import eventually_async

POSTFIX_MAX_TTL_S = 1000


@asynccontextmanager
async def door(refused, answer=lambda request: reply("REJECT " + "x" * 400)):
    options = PolicyDoorOptions("127.0.0.1:0", "", "0660", max_request_bytes=16_384, max_connections=50)
    served = PolicyDoor(options, answer, refused.append)
    await served.start()
    try:
        yield served
    finally:
        await served.stop(1)


def test_it_is_postfix_who_ends_a_connection():
    """Longer than an smtpd ever keeps one."""
    assert IDLE_S > POSTFIX_MAX_TTL_S


@pytest.mark.parametrize(("host", "why"), [("127.0.0.1", "in use"), ("192.0.2.1", "no interface")])
async def test_an_address_that_cannot_be_had_now_leads_to_a_restart(host, why):
    """As after a boot in which the network comes later, or while another process has the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"{host}:{taken.getsockname()[1]}"
        options = PolicyDoorOptions(listen, "", "0660", max_request_bytes=16_384, max_connections=50)
        with pytest.raises(ListenError, match=f"postfix_listen: cannot listen on {listen}: .*{why}"):
            await PolicyDoor(options, lambda _: b"", [].append).start()


async def test_a_request_that_does_not_end_in_time_ends_its_connection(monkeypatch):
    """It is counted; a silent connection without a request is not."""
    monkeypatch.setattr(policy_door, "REQUEST_S", 0.02)
    refused = []
    async with door(refused) as served:
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", served.port)
        slow, slow_writer = await asyncio.open_connection("127.0.0.1", served.port)
        slow_writer.write(RCPT[:40])
        with suppress(ConnectionError):
            assert await asyncio.wait_for(slow.read(), 20) == b""
        idle_writer.write(RCPT)
        assert (await asyncio.wait_for(idle.readline(), 20)).startswith(b"action=REJECT")
        slow_writer.close()
        idle_writer.close()

    assert refused == ["slow"]


async def test_a_request_cannot_be_drawn_out_by_sending_it_slowly(monkeypatch):
    """The time is for the whole rest of a request, however often something of it comes."""
    monkeypatch.setattr(policy_door, "REQUEST_S", 0.3)
    refused = []
    async with door(refused) as served:
        reading, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for byte in RCPT[:-1]:
            writer.write(bytes([byte]))
            with suppress(TimeoutError, ConnectionError):
                if await asyncio.wait_for(reading.read(1), 0.02) == b"" or reading.at_eof():
                    break
        await eventually_async(lambda: refused == ["slow"], what="the slow one's end")
        writer.close()


async def test_a_stream_of_requests_goes_on_for_as_long_as_they_end(monkeypatch):
    """Each part may end in the middle of a request; the time is counted for each anew."""
    monkeypatch.setattr(policy_door, "REQUEST_S", 5.0)
    refused, parts = [], 0
    loop = asyncio.get_running_loop()
    async with door(refused) as served:
        reading, writer = await asyncio.open_connection("127.0.0.1", served.port)
        begun = loop.time()
        writer.write(RCPT[:40])
        while loop.time() < begun + 8:
            writer.write(RCPT[40:] + RCPT[:40])
            assert (await asyncio.wait_for(reading.readuntil(b"\n\n"), 20)).startswith(b"action=REJECT")
            parts += 1
        writer.close()

    assert parts > 1
    assert "slow" not in refused


async def test_many_requests_at_once_are_answered_in_turn_with_those_of_others():
    """More than is read at once: all answers come, and another client gets its own."""
    refused = []
    async with door(refused) as served:
        reading, writer = await asyncio.open_connection("127.0.0.1", served.port)
        number = 40 * policy_door.PART_BYTES // len(RCPT)
        writer.write(RCPT * number)
        other, other_writer = await asyncio.open_connection("127.0.0.1", served.port)
        other_writer.write(RCPT)
        assert (await asyncio.wait_for(other.readline(), 20)).startswith(b"action=REJECT")
        for _ in range(number):
            await asyncio.wait_for(reading.readuntil(b"\n\n"), 20)
        writer.close()
        other_writer.close()

    assert refused == []


async def test_a_client_that_takes_no_answers_is_not_read_any_more(monkeypatch):
    """What is held for it is bounded, and its connection ends; others are served meanwhile."""
    monkeypatch.setattr(policy_door, "REQUEST_S", 0.3)
    refused, answered = [], []

    def answer(request):
        answered.append(request)
        return reply("REJECT " + "x" * 400)

    async with door(refused, answer) as served:
        _, greedy = await asyncio.open_connection("127.0.0.1", served.port, limit=2**10)
        greedy.transport.pause_reading()

        async def pour():
            try:
                while True:
                    greedy.write(RCPT * 100)
                    await greedy.drain()
            except ConnectionError:
                return

        pouring = asyncio.create_task(pour())
        other, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(RCPT)
        assert (await asyncio.wait_for(other.readline(), 20)).startswith(b"action=REJECT")
        await eventually_async(lambda: refused == ["slow"], what="the greedy one's end")
        await asyncio.wait_for(pouring, 20)
        greedy.close()
        writer.close()

    assert len(answered) < 100_000
