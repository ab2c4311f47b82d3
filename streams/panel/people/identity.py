"""Asking once more who somebody is, before a step that would let a thief of the session stay."""

from streams.panel.people import sign_in as sign_in_pages
from streams.panel.people import throttle
from streams.panel.people.passwords import LONGEST
from streams.panel.store.people import Person
from streams.panel.web import Visit

RECENT_MS = 10 * 60_000


def person_of(visit: Visit) -> Person:
    """The visitor's own row."""
    assert visit.session is not None
    return visit.session.person


def is_confirmed(visit: Visit, field: str = "current") -> bool:
    """
    Whether the visitor has just proved who they are: by the password in a field, or, without a password, by having signed
    in within ten minutes. Puts a sentence beside the field otherwise.
    """
    person = person_of(visit)
    if person.password_hash is None:
        recent = visit.session is not None and visit.now_ms - visit.session.proven_ms < RECENT_MS
        if not recent:
            visit.form.wrong("", visit.gettext("For this, sign out and in again first."))
        return recent
    password = visit.form.secret(field, longest=LONGEST)
    if not password or (begun := sign_in_pages.begin_try(visit, person.name)) is None:
        return False
    if visit.panel.passwords.fits(person.password_hash, password):
        with visit.panel.store.writing() as connection:
            throttle.take_back(connection, begun)
        return True
    sign_in_pages.refuse(visit, begun, person)
    visit.form.wrong(field, visit.gettext("This is not your password."))
    return False
