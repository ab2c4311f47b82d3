"""
How many live streams are open, in all and for each session.

Decision: a stream holds a connection for minutes, so whoever opens many would keep everybody else away. A place is taken
when the answer begins and given back when it ends, however it ends.
"""

from collections import Counter

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

AGAIN_S = 30
"""When a page that was refused may ask again."""


class Streams:
    """The places. Used from the event loop alone."""

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._open: Counter[int] = Counter()

    def take(self, session: int) -> bool:
        """Take a place for a session; False when there is none."""
        if self._open.total() >= self._most or self._open[session] >= self._most_each:
            return False
        self._open[session] += 1
        return True

    def give_back(self, session: int) -> None:
        """Free a place that was taken."""
        self._open[session] -= 1
        if self._open[session] <= 0:
            del self._open[session]

    def __len__(self) -> int:
        return self._open.total()


class Streamed(Response):
    """A stream that is answered if there is a place for it, else 503 with the time after which to ask again."""

    def __init__(self, streams: Streams, session: int, events: Response) -> None:
        super().__init__()
        self._streams = streams
        self._session = session
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if not self._streams.take(self._session):
            refusal = PlainTextResponse("too many live streams\n", 503, headers={"Retry-After": str(AGAIN_S)})
            await refusal(scope, receive, send)
            return
        try:
            await self._events(scope, receive, send)
        finally:
            self._streams.give_back(self._session)
