"""Places for live streams: in all and for each session."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from streams.panel.rights import Role
from streams.panel.streams import Streamed, Streams
from tests.panel.visitors import Site


class Held(Response):
    """An answer that ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.end = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.set()
        await self.end.wait()
        await PlainTextResponse("news")(scope, receive, send)


def asking(response: Response, said: list[Message]) -> Awaitable[None]:
    """One request for it."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    return response({"type": "http", "method": "GET", "headers": []}, receive, send)


async def test_what_is_one_too_many_is_told_to_come_again() -> None:
    """503 with Retry-After; a place is free again once a stream has ended."""
    streams, first, said = Streams(10, 1), Held(), list[Message]()
    under_way = asyncio.ensure_future(asking(Streamed(streams, 7, first), []))
    await first.began.wait()

    await asking(Streamed(streams, 7, Held()), said)
    other = Held()
    other.end.set()
    fine = list[Message]()
    await asking(Streamed(streams, 8, other), fine)
    first.end.set()
    await under_way

    assert (said[0]["status"], dict(said[0]["headers"])[b"retry-after"]) == (503, b"30")
    assert fine[0]["status"] == 200
    assert len(streams) == 0


@pytest.mark.parametrize("end", [lambda task: task.cancel(), lambda task: None])
async def test_a_place_is_given_back_however_the_stream_ends(end: Callable[[Any], object]) -> None:
    """By its end, or because the visitor has gone."""
    streams, held = Streams(1, 1), Held()
    task = asyncio.ensure_future(asking(Streamed(streams, 1, held), []))
    await held.began.wait()

    end(task)
    held.end.set()
    await asyncio.gather(task, return_exceptions=True)

    assert streams.take(2)


def test_all_sessions_together_have_a_bound() -> None:
    """Many sessions of one person do not take every place."""
    streams = Streams(3, 2)

    assert [streams.take(session) for session in (1, 1, 1, 2, 3)] == [True, True, False, True, False]


async def test_the_news_of_incidents_take_a_place(site: Site) -> None:
    """The only stream that there is keeps to the setting."""
    browser = await site.signed_in("anna@example.org", Role.READER, "everything")
    while site.panel.streams.take(0):
        pass
    each = site.panel.settings.panel_streams_each
    for session in range(1, site.panel.settings.panel_streams // each + 1):
        while site.panel.streams.take(1000 + session):
            pass

    refused = await browser.get("/incidents/news")
    site.panel.streams.give_back(0)
    taken = await browser.get("/incidents/news")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert taken.status_code == 200
