"""The two pages of single sign-on: out to the provider, and back."""

import structlog
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from streams.metrics import PANEL_SIGN_INS
from streams.panel import gate
from streams.panel.people import entry
from streams.panel.people.oidc import BACK, Identity, Post, SingleSignOn, SingleSignOnError
from streams.panel.people.roles import is_last_owner
from streams.panel.people.sign_in import wanted
from streams.panel.problems import DecisionError, Forbidden, NotFound
from streams.panel.rights import Open, Role
from streams.panel.store import audit, people
from streams.panel.store.people import Person
from streams.panel.tokens import new_token
from streams.panel.web import SEE_OTHER, Pages, Visit

LOG = structlog.get_logger(__name__)
LONGEST_PARAMETER = 4096

pages = Pages()


@pages.get("/sign-in/single", right=Open.ANYBODY)
def out(visit: Visit) -> Response:
    """Send the browser to the provider, with a fresh cookie that the way back must bring."""
    provider = _provider(visit)
    token = new_token()
    try:
        url = provider.way_out(token, wanted(visit))
    except SingleSignOnError as error:
        raise DecisionError(visit.gettext("Single sign-on does not answer just now. Try again in a moment.")) from error
    return gate.give_cookie(visit, RedirectResponse(url, SEE_OTHER), token)


@pages.get(BACK, right=Open.ANYBODY)
def back(visit: Visit) -> Response:
    """Let in whom the provider names, if that is somebody here."""
    provider = _provider(visit)
    code, state = visit.asked.get("code", ""), visit.asked.get("state", "")
    if not code or len(code) > LONGEST_PARAMETER or len(state) > LONGEST_PARAMETER:
        LOG.info("single sign-on was broken off", error=visit.asked.get("error", "")[:80])
        raise Forbidden(visit.gettext("Single sign-on was broken off. Sign in again."))
    try:
        identity, then = provider.way_back(visit.cookie, state, code)
    except SingleSignOnError as error:
        raise Forbidden(visit.gettext("Single sign-on did not work. Sign in again.")) from error
    person = _person(visit, provider, identity)
    if person is None or person.disabled:
        visit.panel.metrics.of(PANEL_SIGN_INS, outcome="stranger").inc()
        raise Forbidden(
            visit.gettext("You are signed in there, but have no account in this panel. Ask whoever manages it.")
        )
    return entry.let_in(visit, person, "single_sign_on", then, second_factor=False)


def _provider(visit: Visit) -> SingleSignOn:
    if visit.panel.single_sign_on is None:
        raise NotFound
    return visit.panel.single_sign_on


def _person(visit: Visit, provider: SingleSignOn, identity: Identity) -> Person | None:
    """The person of an identity: known by subject, else by a checked mail address, else made where settings say so."""
    post = provider.post_of(identity)
    with visit.panel.store.writing() as connection:
        person = people.by_subject(connection, identity.subject) or _by_email(visit, connection, identity)
        if person is None:
            person = _new_person(visit, connection, identity, post or provider.default_post)
        elif post is not None and (post.role, post.scopes) != (person.role, person.scopes):
            person = _changed(visit, connection, person, post)
    return person


def _changed(visit: Visit, connection: Connection, person: Person, post: Post) -> Person | None:
    """The person with what the provider says that they are; the last owner stays as they are."""
    if post.role is not Role.OWNER and is_last_owner(connection, person.id):
        LOG.warning("single sign-on would leave no owner: the role stays", person=person.name, role=post.role.value)
        return person
    people.change(connection, person.id, role=post.role.value)
    people.set_scopes(connection, person.id, post.scopes)
    before = {"role_before": person.role, "scopes_before": list(person.scopes)}
    _note(visit, connection, "person_changed", person.name, post.scopes, **_said(post), **before)
    return people.by_id(connection, person.id)


def _by_email(visit: Visit, connection: Connection, identity: Identity) -> Person | None:
    """The person of a checked mail address, who is known by subject from now on: the audit says since when."""
    person = people.by_name(connection, identity.email) if identity.email else None
    if person is None or person.subject is not None:  # a name that is somebody else's at the provider
        return None
    people.change(connection, person.id, subject=identity.subject)
    _note(visit, connection, "single_sign_on_bound", person.name, person.scopes, subject=identity.subject)
    return person


def _new_person(visit: Visit, connection: Connection, identity: Identity, post: Post | None) -> Person | None:
    if post is None or identity.email is None or people.by_name(connection, identity.email) is not None:
        return None
    person_id = people.create(
        connection,
        name=identity.email,
        display=identity.display,
        role=post.role.value,
        scopes=post.scopes,
        subject=identity.subject,
        now_ms=visit.now_ms,
    )
    _note(visit, connection, "person_made", identity.email, post.scopes, **_said(post))
    return people.by_id(connection, person_id)


def _said(post: Post) -> dict[str, object]:
    return {"role": post.role.value, "scopes": list(post.scopes)}


def _note(
    visit: Visit, connection: Connection, action: str, name: str, scopes: tuple[str, ...], /, **detail: object
) -> None:
    audit.note(
        connection,
        time_ms=visit.now_ms,
        actor="single sign-on",
        action=action,
        subject=name,
        scope=entry.first_scope(scopes),
        address=visit.address,
        detail=detail,
    )
