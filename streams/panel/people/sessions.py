"""
Who is signed in: sessions in the database, known by the hash of a token that only the browser has.

Decision: a new token at every step of signing in, so that a token which somebody planted is worth nothing; and every
request asks the database, so that an ended session, a disabled person or a changed role holds at once.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from streams.panel.rights import Reader, Role
from streams.panel.store import Store, people, sign_in
from streams.panel.store.people import Person
from streams.panel.tokens import hash_of, new_token
from streams.settings import Settings

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LONGEST_AGENT = 200
LONGEST_ADDRESS = 60
KEEP_MS = 30 * 24 * HOUR_MS
"""Used links and old failures are deleted after this time."""

WHOLE = ""
CODE = "code"
"""The second factor is still asked."""
ENROL = "enrol"
"""A second factor has still to be set up."""


@dataclass(slots=True)
class SignedIn:
    """A browser's session and its person. `stage` is WHOLE, or what is still asked before any page opens."""

    session_id: int
    stage: str
    reader: Reader
    person: Person
    proven_ms: int
    message: str


class Sessions:
    """Sessions of all people."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._idle_ms = settings.panel_session_idle * MINUTE_MS
        self._lifetime_ms = settings.panel_session_hours * HOUR_MS

    def read(self, token: str, now_ms: int, *, counts: bool) -> SignedIn | None:
        """
        The session of a token; None when it is over, or its person may not sign in any more.

        `counts` is False for requests that a page makes by itself: an open page keeps nobody signed in.
        """
        with self._store.reading() as connection:
            found = sign_in.session(connection, hash_of(token), now_ms=now_ms)
            person = None if found is None else people.by_id(connection, found.person_id)
        if found is None or person is None or person.disabled or now_ms - found.seen_ms > self._idle_ms:
            return None
        if counts and sign_in.is_worth_seeing(found.seen_ms, now_ms):
            with self._store.writing() as connection:
                sign_in.change_session(connection, found.id, seen_ms=now_ms)
        return SignedIn(found.id, found.stage, reader_of(person), person, found.proven_ms, found.said)

    def begin(
        self, connection: Connection, person_id: int, stage: str, now_ms: int, *, address: str, agent: str
    ) -> str:
        """A new session; its token."""
        token = new_token()
        sign_in.open_session(
            connection,
            token_hash=hash_of(token),
            person_id=person_id,
            now_ms=now_ms,
            expires_ms=now_ms + self._lifetime_ms,
            stage=stage,
            address=address[:LONGEST_ADDRESS],
            agent=agent[:LONGEST_AGENT],
        )
        sign_in.tidy(connection, now_ms=now_ms, keep_ms=KEEP_MS)
        return token

    def go_on(self, connection: Connection, session_id: int, stage: str, now_ms: int) -> str:
        """The next stage of a session, under a new token; that token."""
        token = new_token()
        sign_in.change_session(connection, session_id, token_hash=hash_of(token), stage=stage, proven_ms=now_ms)
        return token

    def say(self, session: SignedIn, message: str) -> None:
        """Keep a message for the next page."""
        with self._store.writing() as connection:
            sign_in.change_session(connection, session.session_id, said=message)

    def take_message(self, session: SignedIn) -> str:
        """The message for this page; it is shown once."""
        message, session.message = session.message, ""
        if message:
            with self._store.writing() as connection:
                sign_in.change_session(connection, session.session_id, said="")
        return message


def reader_of(person: Person) -> Reader:
    """A person as rights see them."""
    return Reader(person.id, person.name, Role(person.role), person.scopes, person.locale, person.zone)
