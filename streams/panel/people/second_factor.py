"""
Setting up and giving up the second factor, and its recovery codes.

Decision: whoever is half-way in has given a password only, so a second factor that is there already is never theirs to
replace; and the transaction that takes one over ends all other sessions, and finds its own not ended by another.
"""

from sqlalchemy import Connection
from starlette.responses import Response

from streams.panel import gate
from streams.panel.people import codes, entry
from streams.panel.people.identity import is_confirmed, person_of
from streams.panel.people.profile import note_own, show
from streams.panel.people.sessions import ENROL, WHOLE, SignedIn
from streams.panel.people.sign_in import RECOVERY, wanted
from streams.panel.problems import Forbidden, SignInNeeded
from streams.panel.rights import Open
from streams.panel.store import people, sign_in
from streams.panel.store.people import Person
from streams.panel.tokens import hash_of
from streams.panel.web import Pages, Visit

TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000
SECRET_LENGTH = 32

pages = Pages()


@pages.get("/profile/second-factor", right=Open.SIGNED_IN)
def set_up_page(visit: Visit) -> Response:
    """The picture for the app."""
    return _picture_page(visit, person_of(visit), codes.new_secret(), "/profile/second-factor")


@pages.post("/profile/second-factor", right=Open.SIGNED_IN)
def set_up(visit: Visit) -> Response:
    """Take the app's secret over, once it has given a right code and the visitor a password."""
    person = person_of(visit)
    assert visit.session is not None
    if not is_confirmed(visit) or (step := _right_step(visit)) is None:
        return _picture_page(visit, person, _typed_secret(visit), "/profile/second-factor", 422)
    with visit.panel.store.writing() as connection:
        _as_now(visit, connection, visit.session)
        given = _take_over(visit, connection, visit.session, step)
        token = visit.panel.sessions.go_on(connection, visit.session.session_id, WHOLE, visit.now_ms)
        note_own(visit, connection, "second_factor_set")
    return _codes_page(visit, given, token, "/profile")


@pages.post("/profile/second-factor/remove", right=Open.SIGNED_IN)
def give_up(visit: Visit) -> Response:
    """Sign in by password alone again; not where a second factor is demanded."""
    if visit.panel.settings.panel_second_factor == "required":
        raise Forbidden(visit.gettext("This panel demands a second factor."))
    if not is_confirmed(visit, "current_factor"):
        return show(visit, 422)
    assert visit.session is not None
    with visit.panel.store.writing() as connection:
        _as_now(visit, connection, visit.session)
        people.change(connection, visit.reader.person_id, totp_secret=None)
        sign_in.remove_links(connection, visit.reader.person_id, purpose=RECOVERY)
        note_own(visit, connection, "second_factor_removed")
    return visit.go("/profile", visit.gettext("The second factor is removed."))


@pages.post("/profile/recovery-codes", right=Open.SIGNED_IN)
def new_codes(visit: Visit) -> Response:
    """New recovery codes; the old ones work no more."""
    if person_of(visit).totp_secret is None:
        raise Forbidden(visit.gettext("Set up a second factor first."))
    if not is_confirmed(visit, "current_codes"):
        return show(visit, 422)
    assert visit.session is not None
    with visit.panel.store.writing() as connection:
        _as_now(visit, connection, visit.session)
        given = _new_codes(visit, connection, visit.reader.person_id, visit.reader.name)
        note_own(visit, connection, "recovery_codes_made")
    return visit.page("people/recovery_codes.html", codes=given, onward="/profile")


@pages.get("/sign-in/second-factor", right=Open.ANYBODY)
def demanded_page(visit: Visit) -> Response:
    """The same for somebody who may not go further without."""
    return _picture_page(visit, _half_way(visit), codes.new_secret(), "/sign-in/second-factor")


@pages.post("/sign-in/second-factor", right=Open.ANYBODY)
def demanded(visit: Visit) -> Response:
    """Take the app's secret over, and let the visitor in."""
    person = _half_way(visit)
    assert visit.half_way is not None
    step = _right_step(visit)
    if step is None:
        return _picture_page(visit, person, _typed_secret(visit), "/sign-in/second-factor", 422)
    with visit.panel.store.writing() as connection:
        _without_one(visit, _as_now(visit, connection, visit.half_way))
        given = _take_over(visit, connection, visit.half_way, step)
        token = visit.panel.sessions.go_on(connection, visit.half_way.session_id, WHOLE, visit.now_ms)
        entry.note_arrival(connection, visit, person, "second_factor")
    return _codes_page(visit, given, token, wanted(visit))


def _half_way(visit: Visit) -> Person:
    if visit.half_way is None or visit.half_way.stage != ENROL:
        raise SignInNeeded(visit.gettext("Your session has ended. Sign in again."))
    return _without_one(visit, visit.half_way.person)


def _without_one(visit: Visit, person: Person) -> Person:
    """Somebody who has no second factor yet. Raises SignInNeeded: who has one meanwhile signs in with it."""
    if person.totp_secret is not None:
        raise SignInNeeded(visit.gettext("Your session has ended. Sign in again."))
    return person


def _as_now(visit: Visit, connection: Connection, session: SignedIn) -> Person:
    """The person of a session, whom nobody else changes meanwhile. Raises SignInNeeded where the session has ended."""
    person = people.locked(connection, session.person.id)
    found = sign_in.session(connection, hash_of(visit.cookie), now_ms=visit.now_ms)
    return entry.still_there(visit, None if found is None else person)


def _picture_page(visit: Visit, person: Person, secret: str, action: str, status: int = 200) -> Response:
    return visit.page(
        "people/second_factor.html",
        status,
        secret=secret,
        picture=codes.picture(codes.address_for_app(secret, person.name)),
        action=action,
        person=person,
        wanted=wanted(visit),
    )


def _typed_secret(visit: Visit) -> str:
    """The secret that the page gave out; a new one where somebody sent something else."""
    typed = visit.form.typed("secret")
    fits = len(typed) == SECRET_LENGTH and all(character in codes.BASE32 for character in typed)
    return typed if fits else codes.new_secret()


def _right_step(visit: Visit) -> int | None:
    step = codes.matching_step(_typed_secret(visit), visit.form.typed("code"), visit.now_ms)
    if step is None:
        visit.form.wrong(
            "code", visit.gettext("This is not the code that belongs to the picture. Type the one shown now.")
        )
    return step


def _take_over(visit: Visit, connection: Connection, session: SignedIn, step: int) -> list[str]:
    person = session.person
    people.change(connection, person.id, totp_secret=visit.panel.sealer.seal(_typed_secret(visit)))
    people.use_totp_step(connection, person.id, step)
    sign_in.end_sessions(connection, person.id, but=session.session_id)
    return _new_codes(visit, connection, person.id, person.name)


def _new_codes(visit: Visit, connection: Connection, person_id: int, name: str) -> list[str]:
    sign_in.remove_links(connection, person_id, purpose=RECOVERY)
    given = codes.new_recovery_codes()
    for code in given:
        sign_in.invite(
            connection,
            token_hash=hash_of(code),
            purpose=RECOVERY,
            actor=name,
            now_ms=visit.now_ms,
            expires_ms=visit.now_ms + TEN_YEARS_MS,
            person_id=person_id,
        )
    return given


def _codes_page(visit: Visit, given: list[str], token: str, onward: str) -> Response:
    visit.csrf = gate.csrf_of(token)
    return gate.give_cookie(visit, visit.page("people/recovery_codes.html", codes=given, onward=onward), token)
