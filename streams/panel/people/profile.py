"""One's own page: language and time zone, password, sessions."""

from zoneinfo import available_timezones

from sqlalchemy import Connection
from starlette.responses import Response

from streams.panel import gate
from streams.panel.people import entry
from streams.panel.people.identity import is_confirmed, person_of
from streams.panel.people.passwords import new_password
from streams.panel.people.sessions import WHOLE
from streams.panel.problems import NotFound
from streams.panel.rights import Open
from streams.panel.store import audit, people, sign_in
from streams.panel.web import Pages, Visit
from streams.panel.words import LANGUAGES

pages = Pages()


@pages.get("/profile", right=Open.SIGNED_IN)
def profile_page(visit: Visit) -> Response:
    """Everything about oneself."""
    return show(visit)


@pages.post("/profile", right=Open.SIGNED_IN)
def change_profile(visit: Visit) -> Response:
    """Language and time zone."""
    language = visit.form.choice("language", ("", *LANGUAGES), required=False)
    zone = visit.form.choice("zone", available_timezones(), required=False)
    if not visit.form.ok:
        return show(visit, 422)
    with visit.panel.store.writing() as connection:
        people.change(connection, visit.reader.person_id, locale=language, zone=zone)
    return visit.go("/profile", visit.gettext("Saved."))


@pages.post("/profile/password", right=Open.SIGNED_IN)
def change_password(visit: Visit) -> Response:
    """A new password, after the old one; every other session ends."""
    person = person_of(visit)
    assert visit.session is not None
    password = new_password(visit.form, visit.words, person.name) if is_confirmed(visit) else ""
    if not password:
        return show(visit, 422)
    with visit.panel.store.writing() as connection:
        people.change(connection, person.id, password_hash=visit.panel.passwords.hash(password))
        sign_in.end_sessions(connection, person.id, but=visit.session.session_id)
        token = visit.panel.sessions.go_on(connection, visit.session.session_id, WHOLE, visit.now_ms)
        note_own(visit, connection, "password_changed")
    return gate.give_cookie(visit, visit.go("/profile", visit.gettext("Your password is changed.")), token)


@pages.post("/profile/sessions/{session}/end", right=Open.SIGNED_IN)
def end_session(visit: Visit) -> Response:
    """End one of one's own sessions."""
    with visit.panel.store.writing() as connection:
        own = sign_in.sessions(connection, visit.reader.person_id, now_ms=visit.now_ms)
        chosen = next((item for item in own if str(item.id) == visit.path["session"]), None)
        if chosen is None:
            raise NotFound
        sign_in.end_session(connection, chosen.id)
        note_own(visit, connection, "session_ended")
    return visit.go("/profile", visit.gettext("The session is ended."))


@pages.post("/profile/sessions/end-others", right=Open.SIGNED_IN)
def end_other_sessions(visit: Visit) -> Response:
    """End all of one's sessions but this."""
    assert visit.session is not None
    with visit.panel.store.writing() as connection:
        sign_in.end_sessions(connection, visit.reader.person_id, but=visit.session.session_id)
        note_own(visit, connection, "sessions_ended")
    return visit.go("/profile", visit.gettext("All other sessions are ended."))


def show(visit: Visit, status: int = 200, **more: object) -> Response:
    """The page as it is now."""
    assert visit.session is not None
    with visit.panel.store.reading() as connection:
        sessions = sign_in.sessions(connection, visit.reader.person_id, now_ms=visit.now_ms)
        tokens = sign_in.tokens(connection, visit.reader.person_id)
        recovery = sign_in.count_links(connection, visit.reader.person_id, purpose="recovery", now_ms=visit.now_ms)
    return visit.page(
        "people/profile.html",
        status,
        person=person_of(visit),
        sessions=sessions,
        here=visit.session.session_id,
        tokens=tokens,
        recovery_left=recovery,
        zones=sorted(
            zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))
        ),
        **more,
    )


def note_own(visit: Visit, connection: Connection, action: str, subject: str = "") -> None:
    """Keep in the audit what somebody did to their own account."""
    audit.note(
        connection,
        time_ms=visit.now_ms,
        actor=visit.reader.name,
        action=action,
        subject=subject or visit.reader.name,
        scope=entry.first_scope(visit.reader.scopes),
        address=visit.address,
    )
