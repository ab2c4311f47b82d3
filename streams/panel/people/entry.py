"""
Letting somebody in: one place for all ways of signing in, so that none forgets the second factor, the audit or the cookie.
"""

from sqlalchemy import Connection
from starlette.responses import Response

from streams.metrics import PANEL_SIGN_INS
from streams.panel import gate
from streams.panel.people import throttle
from streams.panel.people.sessions import CODE, ENROL, WHOLE
from streams.panel.problems import SignInNeeded
from streams.panel.store import audit, people
from streams.panel.store.people import Person
from streams.panel.store.visible import EVERYTHING_SCOPE
from streams.panel.web import Visit

SECOND_FACTOR = "/sign-in/code"
SET_UP = "/sign-in/second-factor"


def let_in(visit: Visit, person: Person, outcome: str, then: str, *, second_factor: bool = True) -> Response:
    """
    Begin a session and send the person on: to the second factor if there is one, else where they wanted to go.

    `second_factor` is False where somebody else has asked for it already (single sign-on). Raises SignInNeeded for somebody
    who may not come in any more.
    """
    agent = visit.request.headers.get("user-agent", "")
    with visit.panel.store.writing() as connection:
        # as they are now: setting up a second factor ends all other sessions, and none may come after it without
        person = still_there(visit, people.locked(connection, person.id))
        stage = _stage(visit, person) if second_factor else WHOLE
        token = visit.panel.sessions.begin(
            connection, person.id, stage, visit.now_ms, address=visit.address, agent=agent
        )
        if stage == WHOLE:
            note_arrival(connection, visit, person, outcome)
    return gate.give_cookie(visit, visit.go(_onward(stage, then)), token)


def still_there(visit: Visit, person: Person | None) -> Person:
    """A person, where they may sign in. Raises SignInNeeded."""
    if person is None or person.disabled:
        raise SignInNeeded(visit.gettext("Your session has ended. Sign in again."))
    return person


def note_arrival(connection: Connection, visit: Visit, person: Person, outcome: str) -> None:
    """What is kept of somebody who is wholly signed in now."""
    visit.panel.metrics.of(PANEL_SIGN_INS, outcome=outcome).inc()
    people.change(connection, person.id, signed_in_ms=visit.now_ms)
    throttle.know(connection, person.name, visit.address, visit.now_ms)
    audit.note(
        connection,
        time_ms=visit.now_ms,
        actor=person.name,
        action="sign_in",
        scope=first_scope(person.scopes),
        address=visit.address,
        detail={"by": outcome},
    )


def first_scope(scopes: tuple[str, ...]) -> str:
    """The scope whose readers see in the audit what concerns a person; empty = only those who see everything."""
    return "" if not scopes or EVERYTHING_SCOPE in scopes else scopes[0]


def _stage(visit: Visit, person: Person) -> str:
    if person.totp_secret is not None:
        return CODE
    return ENROL if visit.panel.settings.panel_second_factor == "required" else WHOLE


def _onward(stage: str, then: str) -> str:
    query = gate.with_next("", then)
    return {CODE: f"{SECOND_FACTOR}{query}", ENROL: f"{SET_UP}{query}"}.get(stage, then)
