"""
People: who is in the panel, invited, changed, disabled.

Decision: whoever manages people sees and changes only those whose scopes lie wholly within their own and whose role is not
above theirs, before and after the change; nobody changes their own role, and the last owner stays one.
"""

from sqlalchemy import Connection
from starlette.responses import Response

from streams.panel.people import entry
from streams.panel.people.links import INVITE, RESET, make_link
from streams.panel.people.roles import role_choices
from streams.panel.people.scopes import chosen_scopes
from streams.panel.people.sessions import reader_of
from streams.panel.people.sign_in import RECOVERY
from streams.panel.problems import Forbidden, NotFound
from streams.panel.rights import Right, Role
from streams.panel.store import audit, people, sign_in
from streams.panel.store.people import Person
from streams.panel.store.sign_in import Invitation
from streams.panel.web import Pages, Visit

HOUR_MS = 3_600_000
LONGEST_NAME = 254

pages = Pages()


@pages.get("/people", right=Right.MANAGE_PEOPLE)
def list_page(visit: Visit) -> Response:
    """Everybody within the reader's scopes, and open invitations."""
    with visit.panel.store.reading() as connection:
        everybody = people.everybody(connection)
        invitations = sign_in.invitations(connection, now_ms=visit.now_ms, purpose=INVITE)
    return visit.page(
        "people/people.html",
        everybody=[person for person in everybody if _is_theirs(visit, person.role, person.scopes)],
        invitations=[item for item in invitations if _is_theirs(visit, item.role, item.scopes)],
    )


@pages.get("/people/invite", right=Right.MANAGE_PEOPLE)
def invite_page(visit: Visit) -> Response:
    """The form of an invitation."""
    return visit.page("people/invite.html", roles=role_choices(visit))


@pages.post("/people/invite", right=Right.MANAGE_PEOPLE)
def invite(visit: Visit) -> Response:
    """Make the link, and show it once."""
    form = visit.form
    name = _name(visit)
    role = form.choice("role", [role.value for role in Role if visit.reader.outranks(role)])
    scopes = ("everything",) if role == Role.OWNER else chosen_scopes(visit)
    if not form.ok:
        return visit.page("people/invite.html", 422, roles=role_choices(visit))
    with visit.panel.store.writing() as connection:
        path = make_link(
            connection,
            INVITE,
            actor=visit.reader.name,
            now_ms=visit.now_ms,
            lifetime_ms=_lifetime_ms(visit),
            name=name,
            role=role,
            scopes=scopes,
        )
        _note(visit, connection, "invited", name, scopes, role=role, scopes=list(scopes))
    return _link_page(visit, path, name)


@pages.post("/people/invitations/{invitation}/withdraw", right=Right.MANAGE_PEOPLE)
def withdraw(visit: Visit) -> Response:
    """Take an invitation back."""
    with visit.panel.store.writing() as connection:
        chosen = _invitation(visit, connection)
        sign_in.remove_invitation(connection, chosen.id)
        _note(visit, connection, "invitation_withdrawn", chosen.name, chosen.scopes)
    return visit.go("/people", visit.gettext("The invitation is withdrawn."))


@pages.get("/people/{person}", right=Right.MANAGE_PEOPLE)
def person_page(visit: Visit) -> Response:
    """One person."""
    return _show(visit, _person(visit))


@pages.post("/people/{person}", right=Right.MANAGE_PEOPLE)
def change(visit: Visit) -> Response:
    """Another role, other scopes."""
    person = _other(visit)
    role = visit.form.choice("role", [role.value for role in Role if visit.reader.outranks(role)])
    scopes = ("everything",) if role == Role.OWNER else chosen_scopes(visit)
    if not visit.form.ok:
        return _show(visit, person, 422)
    with visit.panel.store.writing() as connection:
        _keep_an_owner(visit, connection, person, role)
        people.change(connection, person.id, role=role)
        people.set_scopes(connection, person.id, scopes)
        detail = {
            "role": role,
            "scopes": list(scopes),
            "role_before": person.role,
            "scopes_before": list(person.scopes),
        }
        _note(visit, connection, "person_changed", person.name, scopes, **detail)
    return visit.go(f"/people/{person.id}", visit.gettext("Saved."))


@pages.post("/people/{person}/disable", right=Right.MANAGE_PEOPLE)
def disable(visit: Visit) -> Response:
    """Let somebody in no more; their sessions and tokens end at once."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        _keep_an_owner(visit, connection, person, "")
        people.change(connection, person.id, disabled=True)
        sign_in.end_sessions(connection, person.id)
        _note(visit, connection, "person_disabled", person.name, person.scopes)
    return visit.go(f"/people/{person.id}", visit.gettext("%(name)s cannot sign in any more.", name=person.name))


@pages.post("/people/{person}/enable", right=Right.MANAGE_PEOPLE)
def enable(visit: Visit) -> Response:
    """Let somebody in again."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        people.change(connection, person.id, disabled=False)
        _note(visit, connection, "person_enabled", person.name, person.scopes)
    return visit.go(f"/people/{person.id}", visit.gettext("%(name)s can sign in again.", name=person.name))


@pages.post("/people/{person}/sign-out", right=Right.MANAGE_PEOPLE)
def sign_out(visit: Visit) -> Response:
    """End all of somebody's sessions."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        sign_in.end_sessions(connection, person.id)
        _note(visit, connection, "sessions_ended", person.name, person.scopes)
    return visit.go(f"/people/{person.id}", visit.gettext("All sessions of %(name)s are ended.", name=person.name))


@pages.post("/people/{person}/reset-second-factor", right=Right.MANAGE_PEOPLE)
def reset_second_factor(visit: Visit) -> Response:
    """For somebody who has lost the app and the recovery codes."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        people.change(connection, person.id, totp_secret=None)
        sign_in.remove_links(connection, person.id, purpose=RECOVERY)
        sign_in.end_sessions(connection, person.id)
        _note(visit, connection, "second_factor_reset", person.name, person.scopes)
    return visit.go(
        f"/people/{person.id}", visit.gettext("%(name)s signs in without a second factor.", name=person.name)
    )


@pages.post("/people/{person}/new-password", right=Right.MANAGE_PEOPLE)
def new_password_link(visit: Visit) -> Response:
    """A link with which somebody sets a new password."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        sign_in.remove_links(connection, person.id, purpose=RESET)
        path = make_link(
            connection,
            RESET,
            actor=visit.reader.name,
            now_ms=visit.now_ms,
            lifetime_ms=_lifetime_ms(visit),
            person_id=person.id,
        )
        _note(visit, connection, "password_link_made", person.name, person.scopes)
    return _link_page(visit, path, person.name)


@pages.post("/people/{person}/remove", right=Right.MANAGE_PEOPLE)
def remove(visit: Visit) -> Response:
    """Delete somebody with their sessions and tokens; the audit keeps the name."""
    person = _other(visit)
    with visit.panel.store.writing() as connection:
        _keep_an_owner(visit, connection, person, "")
        people.remove(connection, person.id)
        _note(visit, connection, "person_removed", person.name, person.scopes)
    return visit.go("/people", visit.gettext("%(name)s is removed.", name=person.name))


def _is_theirs(visit: Visit, role: str, scopes: tuple[str, ...]) -> bool:
    """Whether somebody of this role and these scopes is the visitor's to manage."""
    target = Role(role)
    sees_all = target is Role.OWNER
    return visit.reader.outranks(target) and (
        visit.reader.sees_everything if sees_all else visit.reader.covers_all(scopes, visit.panel.group_of)
    )


def _person(visit: Visit) -> Person:
    number = visit.path["person"]
    with visit.panel.store.reading() as connection:
        person = people.by_id(connection, int(number)) if number.isdecimal() and len(number) < 10 else None
    if person is None or not _is_theirs(visit, person.role, person.scopes):
        raise NotFound
    return person


def _other(visit: Visit) -> Person:
    person = _person(visit)
    if person.id == visit.reader.person_id:
        raise Forbidden(visit.gettext("Nobody changes their own rights. Ask somebody else who manages people."))
    return person


def _invitation(visit: Visit, connection: Connection) -> Invitation:
    for item in sign_in.invitations(connection, now_ms=visit.now_ms, purpose=INVITE):
        if str(item.id) == visit.path["invitation"] and _is_theirs(visit, item.role, item.scopes):
            return item
    raise NotFound


def _keep_an_owner(visit: Visit, connection: Connection, person: Person, role: str) -> None:
    is_last = person.role == Role.OWNER and not person.disabled and people.count(connection, role=Role.OWNER.value) < 2
    if is_last and role != Role.OWNER:
        raise Forbidden(visit.gettext("This is the last owner. Make somebody else an owner first."))


def _name(visit: Visit) -> str:
    """The name to sign in with: a mail address, so that single sign-on can find its person."""
    name = visit.form.text("name", required=True, longest=LONGEST_NAME).lower()
    local, at, domain = name.rpartition("@")
    if name and (not at or not local or "." not in domain or any(c.isspace() or c in '<>,;"' for c in name)):
        visit.form.wrong("name", visit.gettext("Write a mail address."))
    with visit.panel.store.reading() as connection:
        if people.by_name(connection, name) is not None:
            visit.form.wrong("name", visit.gettext("Somebody signs in with this name already."))
    return name


def _show(visit: Visit, person: Person, status: int = 200) -> Response:
    with visit.panel.store.reading() as connection:
        sessions = sign_in.sessions(connection, person.id, now_ms=visit.now_ms)
        tokens = sign_in.tokens(connection, person.id)
    return visit.page(
        "people/person.html",
        status,
        person=person,
        their_role=reader_of(person).role,
        sessions=sessions,
        tokens=tokens,
        roles=role_choices(visit),
        own=person.id == visit.reader.person_id,
    )


def _link_page(visit: Visit, path: str, name: str) -> Response:
    hours = visit.panel.settings.panel_invitation_hours
    return visit.page("people/link.html", link=visit.panel.address + path, name=name, hours=hours)


def _lifetime_ms(visit: Visit) -> int:
    return visit.panel.settings.panel_invitation_hours * HOUR_MS


def _note(
    visit: Visit, connection: Connection, action: str, name: str, scopes: tuple[str, ...], /, **detail: object
) -> None:
    audit.note(
        connection,
        time_ms=visit.now_ms,
        actor=visit.reader.name,
        action=action,
        subject=name,
        scope=entry.first_scope(scopes),
        address=visit.address,
        detail=detail,
    )
