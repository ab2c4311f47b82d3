"""
What happens between a request and its handler: who visits, whether they may, what they sent.

Decision: cookies are one random token each. Until somebody signs in it stands for a browser and nothing is stored; CSRF
tokens are derived from it, so there is no second secret to keep. A form is taken only with its token, and only when the
browser says that it came from a page of ours.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from streams.panel.forms import MOST_FIELDS, Form
from streams.panel.paths import HOME
from streams.panel.problems import Forbidden, NoForm, NotFound, Problem, SignInNeeded, TooLarge, problem_text
from streams.panel.rights import Open, Reader, Right
from streams.panel.store.engine import StoreUnavailableError
from streams.panel.tokens import derived
from streams.panel.web import Page, Visit
from streams.panel.words import Words, chosen_language, words_of

if TYPE_CHECKING:
    from streams.panel.panel import Panel

LOG = structlog.get_logger(__name__)
PAGE = "loginwatch.page"
"""Where the scope of a request says which page it asked for: the path with its parameters' names."""
LONGEST_COOKIE = 200
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
OUR_SITES = ("same-origin", "none")
"""What Sec-Fetch-Site says of a form of ours, or of an address that somebody typed."""
Fields = Mapping[str, list[str]]


def endpoint(panel: "Panel", page: Page) -> "Callable[[Request], Awaitable[Response]]":
    """The function that Starlette calls for a page."""

    async def answer(request: Request) -> Response:
        request.scope[PAGE] = page.path
        try:
            refuse_nul(request)
            fields = await read_fields(request, page.largest) if page.method == "POST" else {}
        except Problem as problem:
            return await run_in_threadpool(problem_page, panel, request, problem)
        return await run_in_threadpool(_served, panel, page, request, fields)

    return answer


def refuse_nul(request: Request) -> None:
    """Raises NotFound for an address with a NUL in its path or query: no text has one, and PostgreSQL takes none."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise NotFound


def problem_page(panel: "Panel", request: Request, problem: Problem) -> Response:
    """A page that says what is wrong and what to do."""
    try:
        return _problem(arrive(panel, request), problem)
    except StoreUnavailableError as error:
        return away_page(panel, request, error)


def away_page(panel: "Panel", request: Request, error: StoreUnavailableError) -> Response:
    """What is answered while the database is away."""
    LOG.error("the panel's database does not answer", reason=str(error))
    return plain_problem_page(panel, request, Problem(), 503)


def plain_problem_page(panel: "Panel", request: Request, problem: Problem, status: int) -> Response:
    """The same without asking the database who visits."""
    words = _words(request, "")
    visit = Visit(request=request, panel=panel, words=words, now_ms=panel.now_ms(), csrf="", form=Form(words))
    problem.status = status
    return _problem(visit, problem)


def arrive(panel: "Panel", request: Request, fields: Fields | None = None) -> Visit:
    """The visit of a request: its session if it has one, and its language."""
    cookie = request.cookies.get(cookie_name(panel, request), "")[:LONGEST_COOKIE]
    now_ms = panel.now_ms()
    # what a page asks for by itself (events, fragments) is no sign of somebody being there
    counts = request.headers.get("sec-fetch-dest", "document") != "empty"
    session = panel.sessions.read(cookie, now_ms, counts=counts) if cookie else None
    words = _words(request, session.reader.language if session else "")
    return Visit(
        request=request,
        panel=panel,
        words=words,
        now_ms=now_ms,
        csrf=csrf_of(cookie),
        session=session if session and not session.stage else None,
        half_way=session if session and session.stage else None,
        form=Form(words, fields),
        cookie=cookie,
    )


def _words(request: Request, language: str) -> Words:
    return words_of(language or chosen_language(request.headers.get("accept-language", "")))


def _served(panel: "Panel", page: Page, request: Request, fields: Fields) -> Response:
    try:
        visit = arrive(panel, request, fields)
        return _answered(visit, page)
    except StoreUnavailableError as error:
        return away_page(panel, request, error)


def _answered(visit: Visit, page: Page) -> Response:
    try:
        if page.method == "POST":
            _check_origin(visit)
        if (refusal := _unwelcome(visit, page)) is not None:
            return refusal
        if page.method == "POST":
            _check_token(visit)
        if visit.request.method == "HEAD" and page.demands is Right.EXPORT:
            return StreamingResponse(())  # without its body no list is taken away: none is read, and nothing is noted
        return page.handler(visit)
    except Problem as problem:
        note_refusal(visit.signed_in, problem, f"{page.method} {page.path}", visit.address)
        return _problem(visit, problem)


def note_refusal(reader: Reader | None, problem: Problem, what: str, address: str) -> None:
    """Log that somebody asked for what they may not have, or what is not there or not theirs. `what` names nobody else."""
    if reader is not None and problem.status in (Forbidden.status, NotFound.status):
        LOG.info("refused", person=reader.name, what=what, status=problem.status, address=address)


def _unwelcome(visit: Visit, page: Page) -> Response | None:
    """Where somebody is sent who has to sign in first; None for who may go on. Raises SignInNeeded or Forbidden."""
    if page.demands is Open.ANYBODY:
        return None
    if visit.session is None:
        if page.method == "POST":
            raise SignInNeeded(visit.gettext("Your session has ended. Sign in, and send it again."))
        url = visit.request.url
        here = url.path + (f"?{url.query}" if url.query else "")
        return visit.go(with_next("/sign-in", here))
    if isinstance(page.demands, Right) and not visit.reader.may(page.demands):
        raise Forbidden(visit.gettext("Your role does not allow this."))
    return None


def with_next(path: str, here: str) -> str:
    """A path that says where to go afterwards; the home page needs no saying."""
    return path if here == HOME else f"{path}?{urlencode({'next': here})}"


def _problem(visit: Visit, problem: Problem) -> Response:
    title, sentence = problem_text(visit.words, problem)
    return visit.page("problem.html", problem.status, code=problem.status, title=title, sentence=sentence)


# --- cookies and tokens


def cookie_name(panel: "Panel", request: Request) -> str:
    """The session cookie's name. `__Host-` makes browsers insist on HTTPS, this host and the root path."""
    return "__Host-loginwatch" if is_secure(panel, request) else "loginwatch"


def is_secure(panel: "Panel", request: Request) -> bool:
    """Whether cookies are for HTTPS only."""
    setting: str = panel.settings.panel_secure_cookies
    return setting == "always" or (setting == "auto" and request.url.scheme == "https")


def give_cookie(visit: Visit, response: Response, token: str, lifetime_s: int | None = None) -> Response:
    """Put a token into the visitor's browser, until it is closed or for a time."""
    response.set_cookie(
        cookie_name(visit.panel, visit.request),
        token,
        max_age=lifetime_s,
        path="/",
        secure=is_secure(visit.panel, visit.request),
        httponly=True,
        samesite="lax",
    )
    return response


def csrf_of(cookie: str) -> str:
    """The token in the forms of the browser that has this cookie; empty without one."""
    return derived(cookie, "csrf") if cookie else ""


def _check_origin(visit: Visit) -> None:
    """Refuse a form of another site."""
    headers = visit.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    foreign = site is not None and site not in OUR_SITES
    if origin is not None and site is None:
        foreign = urlsplit(origin).netloc != headers.get("host", "")
    if foreign:
        raise Forbidden(visit.gettext("This form came from another site. Open the page here and send it again."))


def _check_token(visit: Visit) -> None:
    if not visit.csrf or not hmac.compare_digest(visit.form.typed("csrf").encode(), visit.csrf.encode()):
        sentence = visit.gettext(
            "This page was open for too long, or in another session. Open it again, and send it again."
        )
        raise Forbidden(sentence)


# --- what was posted


async def read_fields(request: Request, largest: int) -> dict[str, list[str]]:
    """The fields of a posted form; a file counts as its text. Raises TooLarge, or Problem for what is no form."""
    body = await read_body(request, largest)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == MULTIPART:
            return await _multipart(request, body, largest)
        if kind not in (URLENCODED, ""):
            raise ValueError(kind)
        return parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="strict"
        )
    except (ValueError, UnicodeError) as error:
        raise NoForm from error


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body. Raises TooLarge before more than `largest` bytes are held."""
    sizes = request.headers.get("content-length", "0")
    if not sizes.isdecimal() or int(sizes[:19]) > largest:
        raise TooLarge
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) > largest:
            raise TooLarge
    return bytes(held)


async def _multipart(request: Request, body: bytes, largest: int) -> dict[str, list[str]]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    fields: dict[str, list[str]] = {}
    again = Request(request.scope, receive)
    async with again.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=largest) as form:
        for name, value in form.multi_items():
            text = (await value.read()).decode("utf-8-sig") if isinstance(value, UploadFile) else value
            fields.setdefault(name, []).append(text)
    return fields
