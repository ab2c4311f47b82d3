"""The pages of signing in and out: password, second factor, recovery code."""

import structlog
from starlette.responses import Response

from streams.core.accounts import LONGEST_NAME
from streams.metrics import PANEL_SIGN_INS
from streams.panel import gate
from streams.panel.paths import HOME, local_path
from streams.panel.people import codes, entry, throttle
from streams.panel.people.passwords import LONGEST
from streams.panel.people.sessions import CODE, WHOLE
from streams.panel.problems import SignInNeeded
from streams.panel.rights import Open
from streams.panel.store import audit, people, sign_in
from streams.panel.store.people import Person
from streams.panel.tokens import hash_of, new_token
from streams.panel.web import Pages, Visit

LOG = structlog.get_logger(__name__)
RECOVERY = "recovery"
"""The purpose of the links that recovery codes are."""

pages = Pages()


@pages.get("/sign-in", right=Open.ANYBODY)
def sign_in_page(visit: Visit) -> Response:
    """The form; whoever is signed in goes on to where they wanted."""
    if visit.session is not None:
        return visit.go(wanted(visit))
    return form_page(visit, "people/sign_in.html", ended=visit.asked.get("ended") == "1")


@pages.post("/sign-in", right=Open.ANYBODY)
def sign_in_form(visit: Visit) -> Response:
    """Check name and password; what is wrong is never said of either alone."""
    name = visit.form.text("name", required=True, longest=LONGEST_NAME).lower()
    password = visit.form.secret("password", longest=LONGEST)
    if visit.form.ok and (begun := begin_try(visit, name)) is not None:
        with visit.panel.store.reading() as connection:
            person = people.by_name(connection, name)
        fits = visit.panel.passwords.fits(person.password_hash if person else None, password)
        if fits and person is not None and not person.disabled:
            _welcome(visit, person, password, begun)
            return entry.let_in(visit, person, "password", wanted(visit))
        refuse(visit, begun, person)
        visit.form.wrong("", visit.gettext("This name and password do not fit. Check both, and try again."))
    return form_page(visit, "people/sign_in.html", 422, ended=False)


@pages.get("/sign-in/code", right=Open.ANYBODY)
def code_page(visit: Visit) -> Response:
    """Ask for the second factor."""
    _half_way(visit)
    return visit.page("people/code.html", wanted=wanted(visit))


@pages.post("/sign-in/code", right=Open.ANYBODY)
def code_form(visit: Visit) -> Response:
    """Check a code of the app, or a recovery code; each works once."""
    person = _half_way(visit)
    typed = visit.form.text("code", required=True, longest=100)
    if visit.form.ok and (begun := begin_try(visit, person.name)) is not None:
        outcome = _proof(visit, person, typed)
        if outcome:
            return _whole(visit, person, outcome, begun)
        refuse(visit, begun, person)
        visit.form.wrong("code", visit.gettext("This code is not right, or was used before. Wait for the next one."))
    return visit.page("people/code.html", 422, wanted=wanted(visit))


@pages.post("/sign-out", right=Open.SIGNED_IN)
def sign_out(visit: Visit) -> Response:
    """End this session."""
    assert visit.session is not None
    with visit.panel.store.writing() as connection:
        sign_in.end_session(connection, visit.session.session_id)
        scope = entry.first_scope(visit.session.person.scopes)
        audit.note(
            connection,
            time_ms=visit.now_ms,
            actor=visit.reader.name,
            action="sign_out",
            scope=scope,
            address=visit.address,
        )
    visit.session = None
    response = visit.go("/sign-in?ended=1")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return gate.give_cookie(visit, response, new_token())


def wanted(visit: Visit) -> str:
    """Where the visitor wanted to go before signing in: a page of this panel."""
    return local_path(visit.form.typed("next") or visit.asked.get("next", HOME))


def form_page(visit: Visit, template: str, status: int = 200, **context: object) -> Response:
    """A page with a form for somebody who is not signed in: the browser gets a cookie that the form's token belongs to."""
    token = visit.cookie or new_token()
    visit.csrf = gate.csrf_of(token)
    response = visit.page(template, status, wanted=wanted(visit), **context)
    return response if visit.cookie else gate.give_cookie(visit, response, token)


def refuse(visit: Visit, begun: throttle.Try, person: Person | None) -> None:
    """
    Leave a failed try counted, and keep it in the audit where it was somebody's name. For a name that nobody has something is
    written too, so that it takes as long.
    """
    visit.panel.metrics.of(PANEL_SIGN_INS, outcome="refused").inc()
    with visit.panel.store.writing() as connection:
        throttle.failed(connection, begun, visit.panel.now_ms())
        if person is not None:
            audit.note(
                connection,
                time_ms=visit.now_ms,
                actor=person.name,
                action="sign_in_failed",
                scope=entry.first_scope(person.scopes),
                address=visit.address,
            )


def begin_try(visit: Visit, name: str) -> throttle.Try | None:
    """Count a try, which is judged afterwards; None where it has to wait, and the form says how long."""
    try:
        with visit.panel.store.reading() as connection:  # so that whoever floods the panel does not write each time
            counted = throttle.keys_of(connection, name, visit.address, visit.now_ms)
            throttle.check(connection, counted, visit.now_ms)
        with visit.panel.store.writing() as connection:
            return throttle.begin(connection, counted, visit.now_ms)
    except throttle.TooSoonError as error:
        visit.panel.metrics.of(PANEL_SIGN_INS, outcome="throttled").inc()
        sentence = visit.words.ngettext(
            "Too many tries. Wait a second.", "Too many tries. Wait %(number)s seconds, and try again.", error.seconds
        )
        visit.form.wrong("", sentence)
        return None


def _welcome(visit: Visit, person: Person, password: str, begun: throttle.Try) -> None:
    """What a right password is followed by: its failures are forgotten once no second factor can fail any more."""
    stored = person.password_hash or ""
    renewed = visit.panel.passwords.hash(password) if visit.panel.passwords.is_old(stored) else None
    with visit.panel.store.writing() as connection:
        if person.totp_secret is None:
            throttle.succeeded(connection, begun)
        else:
            throttle.take_back(connection, begun)
        if renewed:
            people.change(connection, person.id, password_hash=renewed)


def _half_way(visit: Visit) -> Person:
    if visit.half_way is None or visit.half_way.stage != CODE:
        raise SignInNeeded(visit.gettext("Your session has ended. Sign in again."))
    return visit.half_way.person


def _proof(visit: Visit, person: Person, typed: str) -> str:
    """What a typed code is: `second_factor`, `recovery_code`, or empty for none. It is used up."""
    secret = visit.panel.sealer.unseal(person.totp_secret)
    step = None if secret is None else codes.matching_step(secret, typed, visit.now_ms)
    with visit.panel.store.writing() as connection:
        if step is not None:
            return "second_factor" if people.use_totp_step(connection, person.id, step) else ""
        found = sign_in.invitation(connection, hash_of(codes.tidy_recovery_code(typed)), now_ms=visit.now_ms)
        if found is None or found.purpose != RECOVERY or found.person_id != person.id:
            return ""
        return "recovery_code" if sign_in.use_invitation(connection, found.id, visit.now_ms) else ""


def _whole(visit: Visit, person: Person, outcome: str, begun: throttle.Try) -> Response:
    assert visit.half_way is not None
    with visit.panel.store.writing() as connection:
        throttle.succeeded(connection, begun)
        entry.still_there(visit, people.locked(connection, person.id))  # before the session, as everybody else does
        token = visit.panel.sessions.go_on(connection, visit.half_way.session_id, WHOLE, visit.now_ms)
        entry.note_arrival(connection, visit, person, outcome)
    return gate.give_cookie(visit, visit.go(wanted(visit)), token)
