"""People: the pages on which they are listed, invited, changed and disabled. Who may do so says `staff`."""

from collections.abc import Callable

from starlette.responses import Response

from streams.core.refusal import Refused
from streams.panel.people.roles import role_choices
from streams.panel.people.scopes import typed_scopes
from streams.panel.people.sessions import reader_of
from streams.panel.people.staff import LONGEST_NAME, Staff
from streams.panel.problems import NotFound, Unusable
from streams.panel.rights import Right
from streams.panel.store import sign_in
from streams.panel.store.people import Person
from streams.panel.web import Pages, Visit

WRONG = 422

pages = Pages()


@pages.get("/people", right=Right.MANAGE_PEOPLE)
def list_page(visit: Visit) -> Response:
    """Everybody within the reader's scopes, and open invitations."""
    staff = Staff(visit)
    return visit.page("people/people.html", everybody=staff.everybody(), invitations=staff.invitations())


@pages.get("/people/invite", right=Right.MANAGE_PEOPLE)
def invite_page(visit: Visit) -> Response:
    """The form of an invitation."""
    return visit.page("people/invite.html", roles=role_choices(visit))


@pages.post("/people/invite", right=Right.MANAGE_PEOPLE)
def invite(visit: Visit) -> Response:
    """Make the link, and show it once."""
    name = visit.form.text("name", required=True, longest=LONGEST_NAME).lower()
    links: list[str] = []
    _try(visit, lambda role, scopes: links.append(Staff(visit).invite(name, role, scopes)))
    if not visit.form.ok:
        return visit.page("people/invite.html", WRONG, roles=role_choices(visit))
    return _link_page(visit, links[0], name)


@pages.post("/people/invitations/{invitation}/withdraw", right=Right.MANAGE_PEOPLE)
def withdraw(visit: Visit) -> Response:
    """Take an invitation back."""
    Staff(visit).withdraw(_number(visit, "invitation"))
    return visit.go("/people", visit.gettext("The invitation is withdrawn."))


@pages.get("/people/{person}", right=Right.MANAGE_PEOPLE)
def person_page(visit: Visit) -> Response:
    """One person."""
    return _show(visit, Staff(visit).person(_number(visit)))


@pages.post("/people/{person}", right=Right.MANAGE_PEOPLE)
def change(visit: Visit) -> Response:
    """Another role, other scopes."""
    staff, number = Staff(visit), _number(visit)
    _try(visit, lambda role, scopes: staff.change(number, role, scopes))
    if not visit.form.ok:
        return _show(visit, staff.person(number), WRONG)
    return visit.go(f"/people/{number}", visit.gettext("Saved."))


@pages.post("/people/{person}/disable", right=Right.MANAGE_PEOPLE)
def disable(visit: Visit) -> Response:
    """Let somebody in no more; their sessions and tokens end at once."""
    person = Staff(visit).disable(_number(visit))
    return visit.go(f"/people/{person.id}", visit.gettext("%(name)s cannot sign in any more.", name=person.name))


@pages.post("/people/{person}/enable", right=Right.MANAGE_PEOPLE)
def enable(visit: Visit) -> Response:
    """Let somebody in again."""
    person = Staff(visit).enable(_number(visit))
    return visit.go(f"/people/{person.id}", visit.gettext("%(name)s can sign in again.", name=person.name))


@pages.post("/people/{person}/sign-out", right=Right.MANAGE_PEOPLE)
def sign_out(visit: Visit) -> Response:
    """End all of somebody's sessions."""
    person = Staff(visit).end_sessions(_number(visit))
    return visit.go(f"/people/{person.id}", visit.gettext("All sessions of %(name)s are ended.", name=person.name))


@pages.post("/people/{person}/reset-second-factor", right=Right.MANAGE_PEOPLE)
def reset_second_factor(visit: Visit) -> Response:
    """For somebody who has lost the app and the recovery codes."""
    person = Staff(visit).reset_second_factor(_number(visit))
    return visit.go(
        f"/people/{person.id}", visit.gettext("%(name)s signs in without a second factor.", name=person.name)
    )


@pages.post("/people/{person}/new-password", right=Right.MANAGE_PEOPLE)
def new_password_link(visit: Visit) -> Response:
    """A link with which somebody sets a new password."""
    person, link = Staff(visit).new_password(_number(visit))
    return _link_page(visit, link, person.name)


@pages.post("/people/{person}/remove", right=Right.MANAGE_PEOPLE)
def remove(visit: Visit) -> Response:
    """Delete somebody with their sessions and tokens; the audit keeps the name."""
    person = Staff(visit).remove(_number(visit))
    return visit.go("/people", visit.gettext("%(name)s is removed.", name=person.name))


def _number(visit: Visit, name: str = "person") -> int:
    text = visit.path[name]
    if not text.isascii() or not text.isdigit() or len(text) >= 10:
        raise NotFound
    return int(text)


def _try(visit: Visit, do: Callable[[str, list[str]], object]) -> None:
    """Do something with the role and the scopes that were typed; what cannot be used stands beside its field."""
    form = visit.form
    role = form.choice("role", [choice.value for choice in role_choices(visit)])
    scopes = typed_scopes(visit)
    if not form.ok:
        return
    try:
        do(role, scopes)
    except Unusable as problem:
        form.wrong(problem.field, problem.sentence)
    except Refused as refusal:
        form.refused("scopes", refusal)


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


def _link_page(visit: Visit, link: str, name: str) -> Response:
    hours = visit.panel.settings.panel_invitation_hours
    return visit.page("people/link.html", link=link, name=name, hours=hours)
