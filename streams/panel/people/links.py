"""
Links that work once: to join the panel, to set a new password, to sign in (the demo's).

Decision: opening a link only shows a page; what it is for happens when its form is sent, because mail scanners and chat
programs open links too. Only a hash of the link is stored.

Decision: like a token, a link is never worth more than the person who made it is now: it works only as long as they could
make it again. The command line's have no maker.
"""

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from streams.panel.people import entry
from streams.panel.people.passwords import new_password
from streams.panel.people.sessions import reader_of
from streams.panel.people.sign_in import form_page
from streams.panel.problems import NotFound
from streams.panel.rights import Open, Role
from streams.panel.store import audit, people, sign_in
from streams.panel.store.people import Person
from streams.panel.store.sign_in import Invitation
from streams.panel.tokens import hash_of, new_token
from streams.panel.web import Pages, Visit

INVITE, RESET, SIGN_IN = "invite", "reset", "sign_in"
MINUTE_MS = 60_000

pages = Pages()


def make_link(
    connection: Connection,
    purpose: str,
    *,
    actor: str,
    now_ms: int,
    lifetime_ms: int,
    person_id: int | None = None,
    name: str = "",
    role: str = "",
    scopes: tuple[str, ...] = (),
    maker_id: int | None = None,
) -> str:
    """The path of a new link. It is shown once and stored nowhere."""
    token = new_token()
    sign_in.invite(
        connection,
        token_hash=hash_of(token),
        purpose=purpose,
        actor=actor,
        now_ms=now_ms,
        expires_ms=now_ms + lifetime_ms,
        person_id=person_id,
        name=name,
        role=role,
        scopes=scopes,
        maker_id=maker_id,
    )
    return f"/welcome/{token}"


@pages.get("/welcome/{token}", right=Open.ANYBODY)
def welcome_page(visit: Visit) -> Response:
    """What the link is for, and a form."""
    link = _link(visit)
    return form_page(visit, "people/welcome.html", link=link, name=_name(visit, link))


@pages.post("/welcome/{token}", right=Open.ANYBODY)
def welcome_form(visit: Visit) -> Response:
    """Use the link up, and let its person in."""
    link = _link(visit)
    name = _name(visit, link)
    if link.purpose == SIGN_IN:
        return entry.let_in(visit, _used(visit, link, None), "link", "/")
    password = new_password(visit.form, visit.words, name)
    if not visit.form.ok:
        return form_page(visit, "people/welcome.html", 422, link=link, name=name)
    return entry.let_in(visit, _used(visit, link, visit.panel.passwords.hash(password)), "link", "/")


def _link(visit: Visit) -> Invitation:
    with visit.panel.store.reading() as connection:
        found = sign_in.invitation(connection, hash_of(visit.path["token"]), now_ms=visit.now_ms)
        if found is None or found.purpose not in (INVITE, RESET, SIGN_IN) or not _is_backed(visit, connection, found):
            raise _over(visit)
    return found


def _is_backed(visit: Visit, connection: Connection, link: Invitation) -> bool:
    """Whether who made a link could make it now. The link of somebody who was removed went with them."""
    if link.maker_id is None:
        return True
    maker = people.by_id(connection, link.maker_id)
    target = link if link.person_id is None else people.by_id(connection, link.person_id)
    if maker is None or maker.disabled or target is None:
        return False
    return reader_of(maker).manages(Role(target.role), target.scopes, visit.panel.group_of)


def _over(visit: Visit) -> NotFound:
    return NotFound(visit.gettext("This link was used already, or is too old. Ask for a new one."))


def _name(visit: Visit, link: Invitation) -> str:
    if link.person_id is None:
        return link.name
    with visit.panel.store.reading() as connection:
        person = people.by_id(connection, link.person_id)
    if person is None or person.disabled:
        raise _over(visit)
    return person.name


def _used(visit: Visit, link: Invitation, password_hash: str | None) -> Person:
    """Use the link up and do what it is for, in one transaction; its person."""
    try:
        with visit.panel.store.writing() as connection:
            backed = _is_backed(visit, connection, link)
            if not backed or not sign_in.use_invitation(connection, link.id, visit.now_ms):
                raise _over(visit)
            if link.person_id is None:
                person_id = people.create(
                    connection,
                    name=link.name,
                    role=link.role,
                    scopes=link.scopes,
                    now_ms=visit.now_ms,
                    password_hash=password_hash,
                )
            else:
                person_id = link.person_id
                if password_hash is not None:
                    people.change(connection, person_id, password_hash=password_hash)
                    sign_in.end_sessions(connection, person_id)
            person = people.by_id(connection, person_id)
            assert person is not None
            _note(visit, connection, link, person)
    except IntegrityError as error:  # somebody of that name came in another way meanwhile
        raise _over(visit) from error
    return person


def _note(visit: Visit, connection: Connection, link: Invitation, person: Person) -> None:
    if link.purpose != SIGN_IN:
        audit.note(
            connection,
            time_ms=visit.now_ms,
            actor=person.name,
            action="joined" if link.purpose == INVITE else "password_set",
            subject=person.name,
            scope=entry.first_scope(person.scopes),
            address=visit.address,
        )
