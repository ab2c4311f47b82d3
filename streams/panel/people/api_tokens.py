"""Tokens for programs: a role and scopes of their own, never more than their maker has; shown once."""

from starlette.responses import Response

from streams.panel.people.identity import is_confirmed
from streams.panel.people.profile import note_own
from streams.panel.people.roles import role_choices
from streams.panel.people.scopes import chosen_scopes
from streams.panel.problems import NotFound
from streams.panel.rights import Open, Role
from streams.panel.store import sign_in
from streams.panel.store.visible import EVERYTHING_SCOPE
from streams.panel.tokens import hash_of, new_token
from streams.panel.web import Pages, Visit

PREFIX = "lw_"
"""So that scanners of leaked secrets know them."""
DAY_MS = 24 * 3_600_000
LONGEST_DAYS = 3650
MOST = 50

pages = Pages()


@pages.get("/profile/tokens/new", right=Open.SIGNED_IN)
def new_page(visit: Visit) -> Response:
    """The form of a new token."""
    return _form_page(visit)


@pages.post("/profile/tokens/new", right=Open.SIGNED_IN)
def make(visit: Visit) -> Response:
    """Make a token and show it, once."""
    form, reader = visit.form, visit.reader
    name = form.text("name", required=True, longest=80)
    role = form.choice("role", [role.value for role in Role if reader.outranks(role)])
    scopes = chosen_scopes(visit)
    if role == Role.OWNER and EVERYTHING_SCOPE not in scopes:
        form.wrong("scopes", visit.gettext("An owner sees everything: choose everything, or a lower role."))
    days = form.number("days", 1, LONGEST_DAYS)
    if not form.ok or not is_confirmed(visit):
        return _form_page(visit, 422)
    token = PREFIX + new_token()
    with visit.panel.store.writing() as connection:
        if len(sign_in.tokens(connection, reader.person_id)) >= MOST:
            form.wrong("", visit.gettext("You have as many tokens as one may have: remove one first."))
            return _form_page(visit, 422)
        sign_in.add_token(
            connection,
            token_hash=hash_of(token),
            name=name,
            person_id=reader.person_id,
            role=role,
            scopes=scopes,
            now_ms=visit.now_ms,
            expires_ms=None if days is None else visit.now_ms + days * DAY_MS,
        )
        note_own(visit, connection, "token_made", name)
    return visit.page("people/token.html", token=token, name=name)


@pages.post("/profile/tokens/{token}/remove", right=Open.SIGNED_IN)
def remove(visit: Visit) -> Response:
    """End one of one's own tokens."""
    with visit.panel.store.writing() as connection:
        own = sign_in.tokens(connection, visit.reader.person_id)
        chosen = next((item for item in own if str(item.id) == visit.path["token"]), None)
        if chosen is None:
            raise NotFound
        sign_in.remove_token(connection, chosen.id)
        note_own(visit, connection, "token_removed", chosen.name)
    return visit.go("/profile", visit.gettext("The token is removed."))


def _form_page(visit: Visit, status: int = 200) -> Response:
    return visit.page("people/new_token.html", status, roles=role_choices(visit))
