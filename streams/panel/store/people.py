"""
The panel's people, and what they sign in with: rows in, rows out. Who may do what is decided elsewhere.

Tokens and passwords arrive here as hashes only. Names compare in lower case; callers pass them so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, select, update

from streams.panel.store.cursors import Order
from streams.panel.store.people_tables import PERSON, PERSON_SCOPE

Scopes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in. `subject` is who they are for OpenID: issuer, a space, subject."""

    id: int
    name: str
    display: str
    role: str
    scopes: Scopes
    password_hash: str | None = field(repr=False)
    totp_secret: str | None = field(repr=False)
    totp_step: int
    subject: str | None
    disabled: bool
    locale: str
    zone: str
    created_ms: int
    signed_in_ms: int | None


ORDER = Order("name", ("name",), (str,), falling=False)


def by_name(connection: Connection, name: str) -> Person | None:
    """The person who signs in with this name."""
    return _person(connection, PERSON.c.name == name)


def by_id(connection: Connection, person_id: int) -> Person | None:
    """The person with this id."""
    return _person(connection, PERSON.c.id == person_id)


def locked(connection: Connection, person_id: int) -> Person | None:
    """The same as it is now; nobody else changes them until this transaction ends."""
    # SQLite has one writer at a time anyway. Two queries, so that the scopes too are read once the lock is held
    connection.execute(select(PERSON.c.id).where(PERSON.c.id == person_id).with_for_update(key_share=True))
    return by_id(connection, person_id)


def by_subject(connection: Connection, subject: str) -> Person | None:
    """The person whom an OpenID provider calls so."""
    return _person(connection, PERSON.c.subject == subject)


def everybody(connection: Connection) -> tuple[Person, ...]:
    """All people by name. Callers show those whose scopes lie within the reader's."""
    return _people(connection, select(PERSON).order_by(PERSON.c.name))


def count(connection: Connection, *, role: str | None = None) -> int:
    """How many people are not disabled, of a role or at all: is there an owner yet?"""
    query = select(func.count()).select_from(PERSON).where(~PERSON.c.disabled)
    return int(connection.execute(query if role is None else query.where(PERSON.c.role == role)).scalar_one())


def holders(connection: Connection, role: str) -> tuple[int, ...]:
    """The ids of all of a role who are not disabled; nobody else changes these people until this transaction ends."""
    query = select(PERSON.c.id).where(~PERSON.c.disabled, PERSON.c.role == role).order_by(PERSON.c.id)
    return tuple(connection.execute(query.with_for_update(key_share=True)).scalars())


def create(
    connection: Connection,
    *,
    name: str,
    role: str,
    scopes: Collection[str],
    now_ms: int,
    display: str = "",
    password_hash: str | None = None,
    subject: str | None = None,
    locale: str = "",
    zone: str = "",
) -> int:
    """Add a person and return the id. Raises sqlalchemy.exc.IntegrityError when the name or subject is taken."""
    row = connection.execute(
        insert(PERSON)
        .values(
            name=name,
            display=display,
            role=role,
            password_hash=password_hash,
            totp_step=0,
            subject=subject,
            disabled=False,
            locale=locale,
            zone=zone,
            created_ms=now_ms,
        )
        .returning(PERSON.c.id)
    )
    person_id = int(row.scalar_one())
    set_scopes(connection, person_id, scopes)
    return person_id


def change(connection: Connection, person_id: int, **values: Any) -> None:
    """
    Set columns of a person: name, display, role, password_hash, totp_secret, subject, disabled, locale, zone,
    signed_in_ms. Raises ValueError for another name, IntegrityError when a name or subject is taken.
    """
    unknown = values.keys() - CHANGEABLE
    if unknown:
        raise ValueError(f"a person has no {', '.join(sorted(unknown))} to change")
    connection.execute(update(PERSON).where(PERSON.c.id == person_id).values(**values))


CHANGEABLE = frozenset(
    {
        "name",
        "display",
        "role",
        "password_hash",
        "totp_secret",
        "subject",
        "disabled",
        "locale",
        "zone",
        "signed_in_ms",
    }
)


def set_scopes(connection: Connection, person_id: int, scopes: Collection[str]) -> None:
    """Replace a person's scopes."""
    connection.execute(delete(PERSON_SCOPE).where(PERSON_SCOPE.c.person_id == person_id))
    if scopes:
        rows = [{"person_id": person_id, "scope": scope} for scope in sorted(set(scopes))]
        connection.execute(insert(PERSON_SCOPE), rows)


def use_totp_step(connection: Connection, person_id: int, step: int) -> bool:
    """Mark a time step as used; False when it, or a later one, was used already: a code works once."""
    used = connection.execute(
        update(PERSON).where(and_(PERSON.c.id == person_id, PERSON.c.totp_step < step)).values(totp_step=step)
    )
    return used.rowcount == 1


def remove(connection: Connection, person_id: int) -> None:
    """Delete a person with scopes, sessions, tokens, and links for or by them. The audit keeps the name."""
    connection.execute(delete(PERSON).where(PERSON.c.id == person_id))


def _person(connection: Connection, condition: Any) -> Person | None:
    found = _people(connection, select(PERSON).where(condition))
    return found[0] if found else None


def _people(connection: Connection, query: Select[Any]) -> tuple[Person, ...]:
    rows = connection.execute(query).all()
    scopes = _scopes(connection, [row.id for row in rows])
    return tuple(Person(**row._asdict(), scopes=scopes.get(row.id, ())) for row in rows)


def _scopes(connection: Connection, ids: Sequence[int]) -> dict[int, Scopes]:
    query = select(PERSON_SCOPE.c.person_id, PERSON_SCOPE.c.scope).order_by(PERSON_SCOPE.c.scope)
    if len(ids) == 1:
        query = query.where(PERSON_SCOPE.c.person_id == ids[0])
    found: dict[int, list[str]] = {}
    for person_id, scope in connection.execute(query):
        found.setdefault(person_id, []).append(scope)
    return {person_id: tuple(names) for person_id, names in found.items()}
