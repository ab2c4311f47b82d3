"""
What keeps people signed in or lets them in: sessions, API tokens, links that work once, and failed attempts.

Every token is looked up by its hash; callers hash (SHA-256 is enough for 32 random bytes) and never store the token.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, update

from streams.panel.store.cursors import Order
from streams.panel.store.people_tables import API_TOKEN, ATTEMPT, INVITATION, SESSION
from streams.panel.store.writes import insert as insert_or

SEEN_EVERY_MS = 60_000
"""How exactly `seen_ms` and `used_ms` are kept: a page that is read does not always cost a write."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in, or half-way: `stage` says what is still asked, "" = nothing."""

    id: int
    token_hash: str = field(repr=False)
    person_id: int
    stage: str
    said: str
    """A message for the next page."""
    address: str
    agent: str
    created_ms: int
    seen_ms: int
    proven_ms: int
    """When the password or second factor was last given."""
    expires_ms: int


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token for the API, of the person who made it. `expires_ms` None = never."""

    id: int
    token_hash: str = field(repr=False)
    name: str
    person_id: int
    role: str
    scopes: tuple[str, ...]
    created_ms: int
    used_ms: int | None
    expires_ms: int | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """
    A link that works once. `purpose`: `invite` makes a person of this name, role and scopes; `sign_in` signs `person_id`
    in; `reset` lets `person_id` set a new password.
    """

    id: int
    token_hash: str = field(repr=False)
    purpose: str
    person_id: int | None
    name: str
    role: str
    scopes: tuple[str, ...]
    actor: str
    created_ms: int
    expires_ms: int
    used_ms: int | None
    maker_id: int | None
    """Who made it in the panel; None = the command line, or the person's own recovery code."""


INVITATIONS = Order("made", ("created_ms", "id"), (int, int))


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed sign-ins of one name or from one address: how many since when, and the last."""

    failures: int
    since_ms: int
    last_ms: int


def open_session(
    connection: Connection,
    *,
    token_hash: str,
    person_id: int,
    now_ms: int,
    expires_ms: int,
    stage: str = "",
    address: str = "",
    agent: str = "",
) -> int:
    """Begin a session and return its id. Sign-in makes a new one each time, so no session can be fixed beforehand."""
    values = {
        "token_hash": token_hash,
        "person_id": person_id,
        "stage": stage,
        "said": "",
        "address": address,
        "agent": agent,
        "created_ms": now_ms,
        "seen_ms": now_ms,
        "proven_ms": now_ms,
        "expires_ms": expires_ms,
    }
    return int(connection.execute(insert(SESSION).values(values).returning(SESSION.c.id)).scalar_one())


def session(connection: Connection, token_hash: str, *, now_ms: int) -> Session | None:
    """The session of a token, if it has not expired."""
    query = select(SESSION).where(SESSION.c.token_hash == token_hash, SESSION.c.expires_ms > now_ms)
    row = connection.execute(query).first()
    return None if row is None else Session(*row)


def sessions(connection: Connection, person_id: int, *, now_ms: int) -> tuple[Session, ...]:
    """A person's sessions, the last seen first."""
    query = select(SESSION).where(SESSION.c.person_id == person_id, SESSION.c.expires_ms > now_ms)
    return tuple(Session(*row) for row in connection.execute(query.order_by(SESSION.c.seen_ms.desc())))


def is_worth_seeing(seen_ms: int | None, now_ms: int) -> bool:
    """Whether the last sign of life is old enough to write a new one."""
    return seen_ms is None or now_ms - seen_ms >= SEEN_EVERY_MS


def change_session(connection: Connection, session_id: int, **values: Any) -> None:
    """Set columns of a session: token_hash, stage, said, address, agent, seen_ms, proven_ms, expires_ms."""
    unknown = values.keys() - SESSION_CHANGEABLE
    if unknown:
        raise ValueError(f"a session has no {', '.join(sorted(unknown))} to change")
    connection.execute(update(SESSION).where(SESSION.c.id == session_id).values(**values))


SESSION_CHANGEABLE = frozenset(
    {"token_hash", "stage", "said", "address", "agent", "seen_ms", "proven_ms", "expires_ms"}
)


def end_session(connection: Connection, session_id: int) -> None:
    """Sign one browser out."""
    connection.execute(delete(SESSION).where(SESSION.c.id == session_id))


def end_sessions(connection: Connection, person_id: int, *, but: int | None = None) -> int:
    """Sign a person out everywhere (`but` this session): how many sessions that ended."""
    query = delete(SESSION).where(SESSION.c.person_id == person_id)
    return connection.execute(query if but is None else query.where(SESSION.c.id != but)).rowcount


def add_token(
    connection: Connection,
    *,
    token_hash: str,
    name: str,
    person_id: int,
    role: str,
    scopes: Collection[str],
    now_ms: int,
    expires_ms: int | None = None,
) -> int:
    """Keep a new API token and return its id."""
    values = {
        "token_hash": token_hash,
        "name": name,
        "person_id": person_id,
        "role": role,
        "scopes": _list(scopes),
        "created_ms": now_ms,
        "expires_ms": expires_ms,
    }
    return int(connection.execute(insert(API_TOKEN).values(values).returning(API_TOKEN.c.id)).scalar_one())


def token(connection: Connection, token_hash: str, *, now_ms: int) -> ApiToken | None:
    """The API token with this hash, if it has not expired."""
    row = connection.execute(select(API_TOKEN).where(API_TOKEN.c.token_hash == token_hash)).first()
    found = None if row is None else _token(row)
    return found if found is not None and (found.expires_ms is None or now_ms < found.expires_ms) else None


def tokens(connection: Connection, person_id: int | None = None) -> tuple[ApiToken, ...]:
    """API tokens by name, of one person or of all, expired ones too."""
    query = select(API_TOKEN).order_by(API_TOKEN.c.name, API_TOKEN.c.id)
    if person_id is not None:
        query = query.where(API_TOKEN.c.person_id == person_id)
    return tuple(_token(row) for row in connection.execute(query))


def use_token(connection: Connection, token_id: int, now_ms: int) -> None:
    """Remember that an API token was used; call it when `is_worth_seeing`."""
    connection.execute(update(API_TOKEN).where(API_TOKEN.c.id == token_id).values(used_ms=now_ms))


def remove_token(connection: Connection, token_id: int) -> None:
    """End an API token."""
    connection.execute(delete(API_TOKEN).where(API_TOKEN.c.id == token_id))


def invite(
    connection: Connection,
    *,
    token_hash: str,
    purpose: str,
    actor: str,
    now_ms: int,
    expires_ms: int,
    person_id: int | None = None,
    name: str = "",
    role: str = "",
    scopes: Collection[str] = (),
    maker_id: int | None = None,
) -> int:
    """Keep a link that works once, and return its id."""
    values = {
        "token_hash": token_hash,
        "purpose": purpose,
        "person_id": person_id,
        "name": name,
        "role": role,
        "scopes": _list(scopes),
        "actor": actor,
        "created_ms": now_ms,
        "expires_ms": expires_ms,
        "maker_id": maker_id,
    }
    return int(connection.execute(insert(INVITATION).values(values).returning(INVITATION.c.id)).scalar_one())


def invitation(connection: Connection, token_hash: str, *, now_ms: int) -> Invitation | None:
    """The link with this hash, if it is neither used nor expired."""
    query = select(INVITATION).where(
        INVITATION.c.token_hash == token_hash, INVITATION.c.used_ms.is_(None), INVITATION.c.expires_ms > now_ms
    )
    row = connection.execute(query).first()
    return None if row is None else _invitation(row)


def use_invitation(connection: Connection, invitation_id: int, now_ms: int) -> bool:
    """Use a link up; False when somebody was quicker, or it has expired. In the transaction that does what it is for."""
    used = connection.execute(
        update(INVITATION)
        .where(and_(INVITATION.c.id == invitation_id, INVITATION.c.used_ms.is_(None), INVITATION.c.expires_ms > now_ms))
        .values(used_ms=now_ms)
    )
    return used.rowcount == 1


def invitations(connection: Connection, *, now_ms: int, purpose: str = "invite") -> tuple[Invitation, ...]:
    """Links that still work, the newest first."""
    query = (
        select(INVITATION)
        .where(INVITATION.c.purpose == purpose, INVITATION.c.used_ms.is_(None), INVITATION.c.expires_ms > now_ms)
        .order_by(INVITATION.c.created_ms.desc(), INVITATION.c.id.desc())
    )
    return tuple(_invitation(row) for row in connection.execute(query))


def remove_invitation(connection: Connection, invitation_id: int) -> None:
    """Take a link back."""
    connection.execute(delete(INVITATION).where(INVITATION.c.id == invitation_id))


def count_links(connection: Connection, person_id: int, *, purpose: str, now_ms: int) -> int:
    """How many links of a person still work, for instance recovery codes."""
    query = (
        select(func.count())
        .select_from(INVITATION)
        .where(
            INVITATION.c.person_id == person_id,
            INVITATION.c.purpose == purpose,
            INVITATION.c.used_ms.is_(None),
            INVITATION.c.expires_ms > now_ms,
        )
    )
    return int(connection.execute(query).scalar_one())


def remove_links(connection: Connection, person_id: int, *, purpose: str) -> None:
    """Take all links of a person back."""
    condition = and_(INVITATION.c.person_id == person_id, INVITATION.c.purpose == purpose)
    connection.execute(delete(INVITATION).where(condition))


def attempts(connection: Connection, key: str) -> Attempts:
    """The failed sign-ins under a key (`name:…`, `address:…`); none = zeros."""
    row = connection.execute(
        select(ATTEMPT.c.failures, ATTEMPT.c.since_ms, ATTEMPT.c.last_ms).where(ATTEMPT.c.key == key)
    ).first()
    return Attempts(0, 0, 0) if row is None else Attempts(*row)


def locked_attempts(connection: Connection, key: str, now_ms: int) -> Attempts:
    """The same; nobody else counts under the key until this transaction ends. Leaves a row without failures where none was."""
    row = connection.execute(
        insert_or(connection, ATTEMPT)
        .values(key=key, failures=0, since_ms=now_ms, last_ms=now_ms)
        .on_conflict_do_update(index_elements=["key"], set_={"failures": ATTEMPT.c.failures})
        .returning(ATTEMPT.c.failures, ATTEMPT.c.since_ms, ATTEMPT.c.last_ms)
    ).one()
    return Attempts(*row)


def failed(connection: Connection, key: str, now_ms: int, *, window_ms: int) -> Attempts:
    """Count a failed sign-in; what is older than the window before the last failure is forgotten."""
    old = ATTEMPT.c.last_ms <= now_ms - window_ms
    connection.execute(delete(ATTEMPT).where(and_(ATTEMPT.c.key == key, old)))
    connection.execute(
        insert_or(connection, ATTEMPT)
        .values(key=key, failures=1, since_ms=now_ms, last_ms=now_ms)
        .on_conflict_do_update(index_elements=["key"], set_={"failures": ATTEMPT.c.failures + 1, "last_ms": now_ms})
    )
    return attempts(connection, key)


def answered(connection: Connection, key: str, now_ms: int) -> None:
    """Let the wait after a failure begin now."""
    connection.execute(update(ATTEMPT).where(ATTEMPT.c.key == key).values(last_ms=now_ms))


def take_back(connection: Connection, key: str, before: Attempts, after: Attempts) -> None:
    """
    Undo one `failed`, which found `before` and left `after`. What was forgotten since is not taken from what came later, and
    the last failure is that of before only where none came later.
    """
    same = and_(ATTEMPT.c.key == key, ATTEMPT.c.since_ms == after.since_ms)
    last_ms = case((ATTEMPT.c.last_ms == after.last_ms, before.last_ms), else_=ATTEMPT.c.last_ms)
    connection.execute(update(ATTEMPT).where(same).values(failures=ATTEMPT.c.failures - 1, last_ms=last_ms))
    connection.execute(delete(ATTEMPT).where(and_(same, ATTEMPT.c.failures <= 0)))


def succeeded(connection: Connection, key: str) -> None:
    """Forget the failed sign-ins under a key."""
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.key == key))


def tidy(connection: Connection, *, now_ms: int, keep_ms: int) -> None:
    """Delete what is over: expired sessions, links expired or used for longer than `keep_ms`, and old attempts."""
    connection.execute(delete(SESSION).where(SESSION.c.expires_ms <= now_ms))
    over = or_(INVITATION.c.expires_ms <= now_ms - keep_ms, INVITATION.c.used_ms <= now_ms - keep_ms)
    connection.execute(delete(INVITATION).where(over))
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.last_ms <= now_ms - keep_ms))


def _list(scopes: Collection[str]) -> str:
    return orjson.dumps(sorted(set(scopes))).decode()


def _token(row: Any) -> ApiToken:
    values = row._asdict()
    return ApiToken(**{**values, "scopes": tuple(orjson.loads(values["scopes"]))})


def _invitation(row: Any) -> Invitation:
    values = row._asdict()
    return Invitation(**{**values, "scopes": tuple(orjson.loads(values["scopes"]))})
