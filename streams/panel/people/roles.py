"""The roles that a visitor may give, and the one that somebody has to keep."""

from dataclasses import dataclass

from sqlalchemy import Connection

from streams.panel.rights import ROLE_NOTES, Role
from streams.panel.store import people
from streams.panel.web import Visit


@dataclass(frozen=True, slots=True)
class Choice:
    """A role that may be given: value, name and what it may do, in the visitor's language."""

    value: str
    name: str
    note: str


def role_choices(visit: Visit) -> list[Choice]:
    """Roles up to the visitor's own, the highest first."""
    return [
        Choice(role.value, visit.panel.role_name(visit.words, role), visit.gettext(ROLE_NOTES[role]))
        for role in Role
        if visit.reader.outranks(role)
    ]


def is_last_owner(connection: Connection, person_id: int) -> bool:
    """Whether nobody else is an owner who can sign in. The owners stay what they are until this transaction ends."""
    return people.holders(connection, Role.OWNER.value) == (person_id,)
