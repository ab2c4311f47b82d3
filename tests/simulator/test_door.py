"""The simulated Dovecot: what it asks the door, and what it makes of the answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
from aiohttp import web

from streams.connectors.http_door import DoorOptions, HttpDoor
from streams.simulator.door import MailServer, Outcome, paced, visit
from streams.simulator.people import Population, login_record
from streams.simulator.simulation import Event, Options, simulate
from tests.eventually import eventually_async

KEY = "a secret for tests"
PASS, DENY = b'{"status":0,"msg":"ok"}', b'{"status":-1,"msg":"no"}'


@dataclass
class Asked:
    """A door that remembers what it was asked; `answers` are given to allow in turn, the last one for ever."""

    answers: list[bytes] = field(default_factory=lambda: [PASS])
    commands: list[tuple[str, dict]] = field(default_factory=list)

    def allow(self, body: bytes, _peer: str) -> tuple[int, bytes]:
        """Answer as planned."""
        self.commands.append(("allow", orjson.loads(body)))
        return 200, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def report(self, body: bytes, _peer: str) -> tuple[int, bytes]:
        """Only remember."""
        self.commands.append(("report", orjson.loads(body)))
        return 200, b'{"status":"ok"}'

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The door's address while it is open."""
        options = DoorOptions("127.0.0.1:0", "none", KEY, max_request_bytes=10_000, max_connections=100)
        door = HttpDoor(options, {"allow": self.allow, "report": self.report}, {}, lambda _reason: None)
        await door.start()
        try:
            yield f"http://127.0.0.1:{door.port}"
        finally:
            await door.stop(1)


def login(number: int = 1, *, success: bool = True, account: str = "anna@example.org") -> dict:
    """One simulated login."""
    return login_record(
        1000 * number, account, "192.0.2.7", service="imap", success=success, number=f"n{number}", client="Thunderbird"
    )


def events(logins: Iterable[dict]) -> list[Event]:
    """Logins as events at their times."""
    return [Event("logins", value["time"], value, None) for value in logins]


async def attempt(asked: Asked, value: dict, key: str = KEY) -> tuple[Outcome, MailServer]:
    """One login through this door."""
    async with asked.listening() as url, MailServer(url, key) as server:
        return await server.login(value), server


async def test_a_good_login_asks_twice_and_reports() -> None:
    """Two equal questions, then a report of success, in the fields that Dovecot sends; never the password."""
    asked = Asked()

    outcome, server = await attempt(asked, login())

    (first, question), (second, again), (third, report) = asked.commands
    assert (first, second, third) == ("allow", "allow", "report")
    assert question == again
    assert question["login"] == "anna@example.org"
    assert (question["remote"], question["protocol"], question["session_id"]) == ("192.0.2.7", "imap", "n1")
    assert (report["success"], report["policy_reject"]) == (True, False)
    assert outcome is Outcome.IN
    assert server.visits.outcomes[Outcome.IN] == 1


async def test_a_wrong_password_asks_once_and_reports_failure() -> None:
    """The second question only follows a right password."""
    asked = Asked()

    outcome, _ = await attempt(asked, login(success=False))

    assert [command for command, _ in asked.commands] == ["allow", "report"]
    assert (asked.commands[-1][1]["success"], asked.commands[-1][1]["policy_reject"]) == (False, False)
    assert outcome is Outcome.WRONG_PASSWORD


@pytest.mark.parametrize(("answers", "questions"), [([DENY], 1), ([PASS, DENY], 2)])
async def test_a_refusal_is_obeyed_and_reported(answers: list[bytes], questions: int) -> None:
    """A status below zero at either question ends the login; the report says that the policy refused it."""
    asked = Asked(answers)

    outcome, _ = await attempt(asked, login())

    assert [command for command, _ in asked.commands] == ["allow"] * questions + ["report"]
    assert (asked.commands[-1][1]["success"], asked.commands[-1][1]["policy_reject"]) == (False, True)
    assert outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "answer", [b"", b"no", b"{}", b"[]", b'{"status":"-1"}', b'{"status":true}', b'{"status":-1.0}']
)
async def test_a_strange_answer_lets_pass_and_is_counted(answer: bytes) -> None:
    """Dovecot fails open at anything that is no proper answer; here it is counted, with the reason."""
    outcome, server = await attempt(Asked([answer]), login())

    assert outcome is Outcome.IN
    assert server.visits.broken == 2
    assert server.visits.last_error is not None


async def test_a_wrong_key_lets_pass_and_is_counted() -> None:
    """A door that does not know us does not protect: the operator must see it."""
    asked = Asked([DENY])

    outcome, server = await attempt(asked, login(), key="wrong")

    assert outcome is Outcome.IN
    assert asked.commands == []
    assert "401" in (server.visits.last_error or "")


async def test_a_closed_door_lets_pass_and_is_counted() -> None:
    """Nobody listens: the logins pass, the visits say why."""
    async with Asked().listening() as url:
        pass
    async with MailServer(url, KEY) as server:
        assert await server.login(login()) is Outcome.IN
        assert not await server.refused("anna@example.org", "192.0.2.7")

    assert server.visits.broken == 4


@asynccontextmanager
async def plain_server(handler: Callable[[web.BaseRequest], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """The address of a server that answers as `handler` does, without a door's rules."""
    server = web.Server(handler)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await server.shutdown(1)


async def test_only_a_200_can_refuse() -> None:
    """An error of the server lets the login pass, even if its body looks like a refusal: Dovecot does so."""

    async def broken(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=500, body=DENY)

    async with plain_server(broken) as url, MailServer(url, KEY) as server:
        assert await server.login(login()) is Outcome.IN

    assert server.visits.broken == 3


async def test_logins_of_one_account_keep_their_order() -> None:
    """While a login waits for its answer, later ones of the same account wait, and those of others do not."""
    asked: list[str] = []
    answer_first = asyncio.Event()

    async def slow_for_the_first(request: web.BaseRequest) -> web.Response:
        session = orjson.loads(await request.read())["session_id"]
        asked.append(session)
        if session == "n1":
            await answer_first.wait()
        return web.Response(body=PASS)

    told: list[str] = []
    logins = [login(1), login(2), login(3), login(4, account="ben@example.org")]
    async with plain_server(slow_for_the_first) as url, MailServer(url, KEY) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(
            visit(server, events(logins), speed=None, on_outcome=lambda event, _: told.append(event.value["id"]))
        )
        await eventually_async(lambda: told == ["n4"])
        assert set(asked) == {"n1", "n4"}
        answer_first.set()

    assert told == ["n4", "n1", "n2", "n3"]
    assert [session for session in asked if session != "n4"] == ["n1"] * 3 + ["n2"] * 3 + ["n3"] * 3


async def test_submissions_are_told_and_not_asked_about() -> None:
    """A message is no login: the door hears nothing of it."""
    asked = Asked()
    message = Event("submissions", 1, {"account": "anna@example.org"}, None)
    told: list[Event] = []

    async with asked.listening() as url, MailServer(url, KEY) as server:
        await visit(server, [message], speed=None, on_submission=told.append)

    assert asked.commands == []
    assert told == [message]


async def test_pace_follows_the_times_of_the_events() -> None:
    """At a speed of 1000 a simulated second takes a millisecond: events do not come before their time."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    arrived = [
        (event.timestamp_ms, loop.time() - start) async for event in paced(events(map(login, range(1, 200))), 1000)
    ]

    assert all(seconds >= (time_ms - 1000) / 1000 / 1000 - 0.001 for time_ms, seconds in arrived)


async def test_a_simulated_hour_fits_through_the_door() -> None:
    """A whole population logs in; every login has an outcome, and no request is left without an answer."""
    asked = Asked()
    hour = list(simulate(Population(1, 40), Options(0, 600_000, takeovers=())))

    async with asked.listening() as url, MailServer(url, KEY) as server:
        await visit(server, hour, speed=None)

    assert server.visits.outcomes.total() == sum(event.topic == "logins" for event in hour)
    assert server.visits.broken == 0
