"""The roles that a visitor may give."""

from dataclasses import dataclass

from streams.panel.rights import ROLE_NOTES, Role
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
