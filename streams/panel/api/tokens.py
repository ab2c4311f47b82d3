"""
Whom a token speaks for.

Decision: a token is never worth more than the person who made it is now. When that person is disabled, is given a lower
role or smaller scopes, their tokens beyond that are refused, rather than quietly doing less. So is a token of an owner
with smaller scopes than everything: an owner has no others, and whoever made it did not want it to see all.
"""

from typing import TYPE_CHECKING

from streams.panel.people.sessions import reader_of
from streams.panel.rights import Reader, Role
from streams.panel.store import people, sign_in
from streams.panel.store.visible import EVERYTHING_SCOPE
from streams.panel.tokens import hash_of

if TYPE_CHECKING:
    from streams.panel.panel import Panel


def reader_of_token(panel: "Panel", token: str, now_ms: int) -> Reader | None:
    """The reader that a token stands for; None for one that is unknown, expired, or beyond what its maker has."""
    if not token:
        return None
    with panel.store.reading() as connection:
        found = sign_in.token(connection, hash_of(token), now_ms=now_ms)
        person = None if found is None else people.by_id(connection, found.person_id)
    if found is None or person is None or person.disabled:
        return None
    maker, role = reader_of(person), Role(found.role)
    if role is Role.OWNER and EVERYTHING_SCOPE not in found.scopes:
        return None
    if not maker.outranks(role) or not maker.covers_all(found.scopes, panel.group_of):
        return None
    if sign_in.is_worth_seeing(found.used_ms, now_ms):
        with panel.store.writing() as connection:
            sign_in.use_token(connection, found.id, now_ms)
    return Reader(person.id, person.name, role, found.scopes)
