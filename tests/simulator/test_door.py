"""The simulated Dovecot: what it asks the door, and what it makes of the answers."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from streams.connectors.http_door import DoorOptions, HttpDoor
from streams.simulator.door import MailServer, Outcome, paced, visit
from streams.simulator.people import Population, login_record
from streams.simulator.simulation import Event, Options, simulate

KEY = "a secret for tests"
PASS, DENY = b'{"status":0,"msg":"ok"}', b'{"status":-1,"msg":"no"}'


@dataclass
class Asked:
    """A door that remembers what it was asked; `answers` are given to allow in turn, the last one for ever."""

    answers: list[bytes] = field(default_factory=lambda: [PASS])
    commands: list[tuple[str, dict]] = field(default_factory=list)

    def allow(self, body: bytes, _peer: str) -> bytes:
        """Answer as planned."""
        self.commands.append(("allow", orjson.loads(body)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def report(self, body: bytes, _peer: str) -> bytes:
        """Only remember."""
        self.commands.append(("report", orjson.loads(body)))
        return PASS

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


async def test_logins_of_one_account_keep_their_order() -> None:
    """However many are under way together, an account's logins are made one after the other; outcomes are told."""
    asked = Asked()
    accounts = [f"user{number}@example.org" for number in range(3)]
    logins = [login(number, account=accounts[number % 3]) for number in range(60)]
    told: list[Event] = []

    async with asked.listening() as url, MailServer(url, KEY) as server:
        await visit(server, events(logins), speed=None, at_once=8, on_outcome=lambda event, _: told.append(event))

    for account in accounts:
        reports = [body for command, body in asked.commands if command == "report" and body["login"] == account]
        wanted = [value["session"] for value in logins if value["account"] == account]
        assert [report["session_id"] for report in reports] == wanted
    assert len(told) == 60


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
