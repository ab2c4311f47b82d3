"""
How a call is made: what it demands, who calls, what it answers when it cannot.

Decision: as with pages, a call is written with the right that it demands, and there is no default; the token and the
right are checked before anything that was sent is looked at.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streams.core.accounts import canonical_account, parse_scope
from streams.core.refusal import Refused
from streams.errors import UsageError
from streams.panel.api.answers import ProblemAnswer
from streams.panel.api.tokens import reader_of_token
from streams.panel.decisions import Decisions
from streams.panel.gate import PAGE, note_refusal, read_body
from streams.panel.problems import Conflict, Forbidden, NotFound, Problem, SignInNeeded, problem_text
from streams.panel.refusals import refused
from streams.panel.rights import Reader, Right
from streams.panel.store.engine import StoreUnavailableError
from streams.panel.words import Words, words_of

if TYPE_CHECKING:
    from streams.panel.panel import Panel

LOG = structlog.get_logger(__name__)
WORDS = words_of("en")
"""Programs are answered in English."""
LARGEST_BODY = 64 * 1024
LARGEST_FILE = 2 * 1024 * 1024
MEDIA_TYPE = "application/problem+json"
DOWNLOAD = 'attachment; filename="api.json"'
"""A browser that is led to a call shows nothing."""
STATUSES: dict[int, str] = {
    400: "The cursor is not one of this list, or the body is no text",
    401: "No token, or one that is not valid (any more)",
    403: "The token's role does not allow this",
    404: "There is no such thing, or it is not in the token's scopes",
    413: "The body is too large (64 KiB; a file 2 MiB)",
    422: "A value cannot be used; the detail says which and why",
    503: "Kafka, the worker or the database does not answer; nothing has changed",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": ProblemAnswer.model_json_schema()}}}
    for status, text in STATUSES.items()
}
_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token from the panel's page Profile and sign-in"
)
Handler = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One call, as its handler sees it."""

    panel: "Panel"
    reader: Reader
    now_ms: int
    address: str
    """Where the call came from, as a trusted proxy says it."""
    query: str

    @property
    def words(self) -> Words:
        """The texts of answers."""
        return WORDS

    @property
    def decide(self) -> Decisions:
        """Decisions in the caller's name."""
        return self.panel.decisions(self.reader, WORDS)

    def account(self, name: str) -> str:
        """The canonical name of an account in the caller's scopes. Raises Refused or NotFound."""
        account = canonical_account(name, self.panel.settings.default_domain)
        self.demand(f"account:{account}")
        return account

    def scope(self, text: str) -> str:
        """The canonical form of a scope of rules in the caller's. Raises Refused or NotFound."""
        scope = parse_scope(text, self.panel.settings.default_domain)
        self.demand(scope)
        return scope

    def demand(self, scope: str) -> None:
        """Go on only if a canonical scope lies within the caller's."""
        if not self.reader.covers(scope, self.panel.group_of):
            raise NotFound


def _call(request: Request) -> Call:
    found: Call = request.state.call
    return found


Caller = Annotated[Call, Depends(_call)]


class Calls:
    """The calls of one module. `rights` says what each demands, for the test of all of them."""

    def __init__(self, tag: str) -> None:
        self.router = APIRouter(tags=[tag], route_class=_Route)
        self.rights: dict[tuple[str, str], Right] = {}

    def get(self, path: str, *, right: Right, **more: Any) -> Callable[[Handler], Handler]:
        """A call that reads."""
        return self._adding("GET", path, right, more)

    def post(self, path: str, *, right: Right, **more: Any) -> Callable[[Handler], Handler]:
        """A call that does something; what it answers is nothing unless told otherwise."""
        return self._adding("POST", path, right, {"status_code": 204, **more})

    def take(self, path: str, *, right: Right, **more: Any) -> Callable[[Handler], Handler]:
        """A call that takes a file."""
        return self._adding("POST", path, right, {"route_class_override": _FileRoute, **more})

    def put(self, path: str, *, right: Right, **more: Any) -> Callable[[Handler], Handler]:
        """A call that sets something."""
        return self._adding("PUT", path, right, {"status_code": 204, **more})

    def delete(self, path: str, *, right: Right, **more: Any) -> Callable[[Handler], Handler]:
        """A call that removes something."""
        return self._adding("DELETE", path, right, {"status_code": 204, **more})

    def _adding(self, method: str, path: str, right: Right, more: dict[str, Any]) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.rights[method, path] = right
            problems = {**PROBLEMS, **more.pop("responses", {})}
            demand = Depends(_demanding(right))
            self.router.add_api_route(
                path,
                handler,
                methods=[method],
                dependencies=[demand],
                responses=problems,
                operation_id=f"{handler.__module__.rpartition('.')[2]}_{handler.__name__}",
                **more,
            )
            return handler

        return add


def _demanding(right: Right) -> Callable[..., None]:
    """What finds out who calls, and whether they may."""

    def demand(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None
    ) -> None:
        panel: Panel = request.app.state.panel
        now_ms = panel.now_ms()
        reader = reader_of_token(panel, given.credentials if given else "", now_ms)
        if reader is None:
            raise SignInNeeded("This call needs a valid token: Authorization: Bearer lw_…")
        request.state.reader = reader
        if not reader.may(right):
            raise Forbidden(
                f"This call needs the right {right.value}, which the role {reader.role.value} does not have."
            )
        address = request.client.host if request.client else ""
        request.state.call = Call(panel, reader, now_ms, address, str(request.url.query))

    return demand


class _Route(APIRoute):
    """A route whose problems are answered as JSON, and whose body is bounded."""

    largest = LARGEST_BODY

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request.scope[PAGE] = self.path
            try:
                body = await read_body(request, self.largest)
                response = await inner(Request(request.scope, _receiving(body)))
            except Exception as error:
                problem = _problem_of(error)
                if problem is None:
                    raise
                _note(request, problem, self.path)
                return problem_answer(problem)
            response.headers["Cache-Control"] = "no-store"
            response.headers.setdefault("Content-Disposition", DOWNLOAD)
            return response

        return answer


class _FileRoute(_Route):
    """The same for a whole file."""

    largest = LARGEST_FILE


def problem_answer(problem: Problem) -> JSONResponse:
    """A problem as RFC 9457 has it."""
    title, sentence = problem_text(WORDS, problem)
    told: dict[str, Any] = {"title": title, "status": problem.status, "detail": sentence}
    if isinstance(problem, Conflict):
        told |= {"changed_by": problem.by, "changed_ms": problem.at_ms}
    headers = {"Cache-Control": "no-store", "Content-Disposition": DOWNLOAD}
    if problem.status == SignInNeeded.status:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(told, problem.status, headers, media_type=MEDIA_TYPE)


def _note(request: Request, problem: Problem, path: str) -> None:
    reader: Reader | None = getattr(request.state, "reader", None)
    note_refusal(reader, problem, f"API {request.method} {path}", request.client.host if request.client else "")


def _problem_of(error: Exception) -> Problem | None:
    """The problem that an exception means; None for a defect."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return _with_status(422, refused(WORDS, error))
    if isinstance(error, RequestValidationError):
        return _with_status(422, "; ".join(_told(item) for item in error.errors()[:5]))
    if isinstance(error, UsageError):
        return _with_status(400, str(error))
    if isinstance(error, StoreUnavailableError):
        LOG.error("the panel's database does not answer", reason=str(error))
        return _with_status(503, "")
    return None


def _told(item: dict[str, Any]) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"


def _with_status(status: int, sentence: str) -> Problem:
    problem = Problem(sentence)
    problem.status = status
    return problem


def _receiving(body: bytes) -> Callable[[], Coroutine[Any, Any, dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
