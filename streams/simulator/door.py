"""
A mail server seen from the gateway: Dovecot's auth policy client, for simulated logins.

It does what Dovecot does (captured from 2.3 and 2.4): ask `allow`, check the password, ask `allow` again, `report`. A
status below zero refuses; anything that is no proper answer lets the login pass, as Dovecot does, and is counted.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from streams.simulator.simulation import Event

TIMEOUT_S = 2.0
"""Dovecot's default for a request (`auth_policy_server_timeout_msecs`)."""
IDLE_S = 10
"""Dovecot closes idle connections after this time."""


class Outcome(StrEnum):
    """How a login ended for whoever tried it."""

    IN = "in"
    REFUSED = "refused"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - an outcome


@dataclass
class Visits:
    """What happened at the door: logins by outcome, answers that were none, and when the last report was sent."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    last_error: str | None = None


class MailServer:
    """A mail server that asks the gateway at `url` about its logins. Use it with `async with`."""

    def __init__(self, url: str, key: str, *, connections: int = 100) -> None:
        self.visits = Visits()
        self._allow = f"{url.rstrip('/')}/?command=allow"
        self._report = f"{url.rstrip('/')}/?command=report"
        self._headers = {"Content-Type": "application/json", "User-Agent": "dovecot/auth-policy-client"}
        if key:
            self._headers["X-API-Key"] = key
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def login(self, login: dict[str, Any]) -> Outcome:
        """Let one simulated Login through the door, or not."""
        question = dovecot_question(login)
        outcome = Outcome.IN if login["success"] else Outcome.WRONG_PASSWORD
        # the second question only follows a right password
        for _ in range(2 if login["success"] else 1):
            if await self._status(self._allow, question) < 0:
                outcome = Outcome.REFUSED
                break
        verdict = {"success": outcome is Outcome.IN, "policy_reject": outcome is Outcome.REFUSED}
        await self._status(self._report, {**question, **verdict})
        self.visits.outcomes[outcome] += 1
        return outcome

    async def refused(self, account: str, address: str) -> bool:
        """Would this account be refused from this address now? A question without a login."""
        login = {"account": account, "ip": address, "service": "imap", "session": "probe", "client": None}
        return await self._status(self._allow, dovecot_question(login)) < 0

    async def _status(self, url: str, question: dict[str, Any]) -> int:
        """The verdict; 0 when there is none, since Dovecot fails open."""
        assert self._session is not None
        try:
            async with self._session.post(url, data=orjson.dumps(question)) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return self._no_answer(f"{type(error).__name__}: {error}")
        try:
            status = orjson.loads(body)["status"]
        except (ValueError, KeyError, TypeError):
            return self._no_answer(f"HTTP {response.status} without a status")
        if url == self._report and response.status == 200 and status == "ok":
            return 0
        if response.status != 200 or type(status) is not int:
            return self._no_answer(f"HTTP {response.status}, status {status!r}")
        return status

    def _no_answer(self, why: str) -> int:
        self.visits.broken += 1
        self.visits.last_error = why
        return 0


def dovecot_question(login: dict[str, Any]) -> dict[str, Any]:
    """The fields that Dovecot sends by default, of a simulated Login."""
    return {
        "device_id": login["client"] or "",
        "login": login["account"],
        "protocol": login["service"],
        "pwhash": "0ea9",
        "remote": login["ip"],
        "session_id": login["session"] or "",
        "tls": True,
    }


async def paced(events: Iterable[Event], speed: float | None) -> AsyncIterator[Event]:
    """
    The events when their time has come, counted from the first one.

    `speed` 1 is real time, 60 a minute in a second, None as fast as they are taken.
    """
    start = time.monotonic()
    first: int | None = None
    for event in events:
        first = event.timestamp_ms if first is None else first
        if speed is not None:
            wait = (event.timestamp_ms - first) / 1000 / speed - (time.monotonic() - start)
            if wait > 0:
                await asyncio.sleep(wait)
        yield event


async def visit(
    server: MailServer,
    events: Iterable[Event],
    *,
    speed: float | None = 1.0,
    at_once: int = 50,
    on_outcome: Callable[[Event, Outcome], None] | None = None,
    on_submission: Callable[[Event], None] | None = None,
) -> None:
    """
    Let all simulated logins through the door, at most `at_once` together, one after the other for each account.

    Submissions are no affair of this door; `on_submission` is told of them.
    """
    places = asyncio.Semaphore(at_once)
    queues: dict[str, asyncio.Task[None]] = {}

    async def one(event: Event, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            outcome = await server.login(event.value)
        finally:
            places.release()
        if on_outcome is not None:
            on_outcome(event, outcome)

    async with asyncio.TaskGroup() as tasks:
        async for event in paced(events, speed):
            if event.topic != "logins":
                if on_submission is not None:
                    on_submission(event)
                continue
            await places.acquire()
            account = event.value["account"]
            before = queues.get(account)
            queues[account] = tasks.create_task(one(event, before if before and not before.done() else None))
            if len(queues) > 10 * at_once:
                queues = {name: task for name, task in queues.items() if not task.done()}
