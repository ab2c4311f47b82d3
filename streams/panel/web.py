"""
How a page is made: what it demands, who visits it, what it answers.

Decision: a route is written with the right that it demands, and there is no default, so a route that nobody guards cannot
be written; the check, the session, the form's bounds and its CSRF token are dealt with here, before a handler runs.
Handlers are plain functions in the thread pool, since the store is synchronous.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from streams.panel.forms import Form
from streams.panel.paths import local_path
from streams.panel.problems import Forbidden, NotFound
from streams.panel.rights import Open, Reader, Right
from streams.panel.words import Words

if TYPE_CHECKING:
    from streams.panel.decisions import Decisions
    from streams.panel.panel import Panel
    from streams.panel.people.sessions import SignedIn

FORM_BYTES = 64 * 1024
SEE_OTHER = 303

Demand = Right | Open


@dataclass(frozen=True)
class Page:
    """One route: what it demands, and the function that answers it."""

    method: str
    path: str
    demands: Demand
    handler: "Callable[[Visit], Response]"
    largest: int = FORM_BYTES
    """Bytes that a posted form may have."""


class Pages:
    """The routes of one module, in the order they are written."""

    def __init__(self) -> None:
        self.all: list[Page] = []

    def get(self, path: str, *, right: Demand) -> "Callable[[Handler], Handler]":
        """A page that is read."""
        return self._adding("GET", path, right, FORM_BYTES)

    def post(self, path: str, *, right: Demand, largest: int = FORM_BYTES) -> "Callable[[Handler], Handler]":
        """A form that is sent; its token and origin are checked before the handler is called."""
        return self._adding("POST", path, right, largest)

    def _adding(self, method: str, path: str, right: Demand, largest: int) -> "Callable[[Handler], Handler]":
        def add(handler: "Handler") -> "Handler":
            self.all.append(Page(method, path, right, handler, largest))
            return handler

        return add


@dataclass
class Visit:
    """One request, as a handler sees it."""

    request: Request
    panel: "Panel"
    words: Words
    now_ms: int
    csrf: str
    """The token that every form of this visit carries in a field `csrf`."""
    session: "SignedIn | None" = None
    half_way: "SignedIn | None" = None
    """A session whose second factor is still asked; it opens no page but those of signing in."""
    form: Form = field(default_factory=lambda: Form(Words("en", {})))
    cookie: str = ""
    """The token in the visitor's cookie; empty at a first visit."""

    @property
    def signed_in(self) -> Reader | None:
        """Who visits; None where nobody is signed in."""
        return None if self.session is None else self.session.reader

    @property
    def reader(self) -> Reader:
        """Who visits. Only on pages that demand somebody signed in."""
        assert self.session is not None
        return self.session.reader

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    @property
    def asked(self) -> QueryParams:
        """The query parameters."""
        return self.request.query_params

    @property
    def address(self) -> str:
        """Where the visitor comes from, as a trusted proxy says it."""
        return self.request.client.host if self.request.client else ""

    @property
    def query(self) -> str:
        """The query of the address, as it came."""
        return str(self.request.url.query)

    @property
    def decide(self) -> "Decisions":
        """Decisions in this reader's name."""
        return self.panel.decisions(self.reader, self.words)

    def gettext(self, text: str, /, **values: object) -> str:
        """A text in the visitor's language."""
        return self.words.gettext(text, **values)

    def may(self, right: Right, scope: str | None = None) -> bool:
        """Whether the reader has a right, and over a scope if one is named. For what a page offers."""
        reader = self.signed_in
        return reader is not None and reader.may(right) and (scope is None or self.covers(scope))

    def covers(self, scope: str) -> bool:
        """Whether a canonical scope of rules lies within the reader's."""
        return self.reader.covers(scope, self.panel.group_of)

    def demand(self, scope: str, right: Right | None = None) -> None:
        """
        Go on only if a canonical scope lies within the reader's, and the reader has a right.

        Raises NotFound for a foreign scope, so that nothing is confirmed; Forbidden for a missing right.
        """
        if not self.covers(scope):
            raise NotFound(self.gettext("There is nothing here, or it is not in your scope."))
        if right is not None and not self.reader.may(right):
            raise Forbidden(self.gettext("Your role does not allow this."))

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """A whole page."""
        return HTMLResponse(self.panel.templates.render(template, self, context), status)

    def take_message(self) -> str:
        """What the last page wanted to be said on this one."""
        return "" if self.session is None else self.panel.sessions.take_message(self.session)

    def go(self, path: str, said: str = "") -> Response:
        """Send the visitor to another page of the panel, with a message shown there once."""
        if said and self.session is not None:
            self.panel.sessions.say(self.session, said)
        return RedirectResponse(local_path(path), SEE_OTHER)


Handler = Callable[[Visit], Response]
