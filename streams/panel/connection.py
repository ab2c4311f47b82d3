"""
A connection to the panel: how long it may take over its request.

Decision: uvicorn bounds how many connections there are, and for how long one is idle between two requests, but not how long
one takes over a request. A thousand that send nothing, or a byte now and then, would keep everybody else away for as long
as they like.
"""

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LIMITS_S: dict[Any, float] = {h11.IDLE: 30, h11.SEND_BODY: 60}
"""How long a head may take from the connection, or from its own first byte, and a body from its head."""


class Connection(H11Protocol):
    """uvicorn's, cut off when its request is not whole in time; more of it gives it no more time."""

    _awaited: Any = None
    """What has still to come whole, as a state of the client's; None = nothing."""
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there, and has said nothing."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._await(h11.IDLE)

    def data_received(self, data: bytes) -> None:
        """A part of a request, or a whole one, or several."""
        super().data_received(data)
        self._await(self._unfinished())

    def on_response_complete(self) -> None:
        """What had come behind the request is read now."""
        super().on_response_complete()
        self._await(self._unfinished())

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._await(None)
        super().connection_lost(exc)

    def _unfinished(self) -> Any:
        """What has begun and is not whole. Between two requests nothing has: that time is uvicorn's `timeout_keep_alive`."""
        state = self.conn.their_state
        begun = state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0])
        return state if begun else None

    def _await(self, awaited: Any) -> None:
        if awaited is self._awaited:
            return
        self._awaited = awaited
        if self._limit is not None:
            self._limit.cancel()
        self._limit = None if awaited is None else self.loop.call_later(LIMITS_S[awaited], self._cut_off)

    def _cut_off(self) -> None:
        self.transport.abort()
