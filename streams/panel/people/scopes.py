"""The scopes of a person or a token, as they are typed: everything, or groups and domains."""

from streams.core.refusal import Refused
from streams.panel.rights import parse_person_scope
from streams.panel.store.visible import EVERYTHING_SCOPE
from streams.panel.web import Visit

MOST_SCOPES = 100


def typed_scopes(visit: Visit) -> list[str]:
    """What was typed into the field `scopes`, one a line, or everything; a bare domain or group path is completed."""
    if visit.form.ticked("everything"):
        return [EVERYTHING_SCOPE]
    return [_completed(line) for line in visit.form.lines("scopes", longest=330, most=MOST_SCOPES)]


def chosen_scopes(visit: Visit) -> tuple[str, ...]:
    """
    The scopes that were typed, within the visitor's own. Puts a sentence beside the field for what cannot be used, or is not
    the visitor's to give.
    """
    form, typed = visit.form, typed_scopes(visit)
    found = []
    for scope in typed:
        try:
            found.append(parse_person_scope(scope))
        except Refused as refusal:
            form.refused("scopes", refusal)
    if not typed:
        form.wrong("scopes", visit.gettext("Name at least one group or domain."))
    elif not visit.reader.covers_all(found, visit.panel.group_of):
        form.wrong("scopes", visit.gettext("You can give only scopes that lie within your own."))
    return tuple(sorted(set(found)))


def _completed(line: str) -> str:
    """
    A scope with its kind: what has a dot and no slash is a domain, else a group.

    >>> _completed("example.org"), _completed("shops/berlin"), _completed("group:a.b")
    ('domain:example.org', 'group:shops/berlin', 'group:a.b')
    """
    if ":" in line or line == EVERYTHING_SCOPE:
        return line
    return f"domain:{line}" if "." in line and "/" not in line else f"group:{line}"
