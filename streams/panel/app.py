"""
The app: every page, the API and the files, from one list.

Decision: FastAPI for the API's description; pages are plain routes beside it. What is served stands in visible tuples, and
`routes` is what the test of all rights walks over.
"""

from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from streams.bus.health import PROMETHEUS
from streams.panel import gate
from streams.panel.api import API, OPENAPI, PREFIX
from streams.panel.api.calls import problem_answer
from streams.panel.pages import PAGES
from streams.panel.panel import Panel
from streams.panel.people import PEOPLE_PAGES
from streams.panel.problems import NotFound, Problem
from streams.panel.security import Guard, known_hosts
from streams.panel.web import Page, Pages

LOG = structlog.get_logger(__name__)
STATIC = Path(__file__).parent / "static"
ALL: tuple[Pages, ...] = (*PEOPLE_PAGES, *PAGES)
Answer = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


def routes() -> Iterable[Page]:
    """Every page, with what it demands."""
    return (page for pages in ALL for page in pages.all)


def make_app(panel: Panel) -> FastAPI:
    """The whole app for a panel."""
    app = FastAPI(
        title="loginwatch",
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI,
        exception_handlers={
            HTTPException: _unrouted(panel),
            ClientDisconnect: _left,
            Exception: _broken(panel),
        },
    )
    for page in routes():
        app.add_route(page.path, gate.endpoint(panel, page), methods=[page.method], include_in_schema=False)
    app.state.panel = panel
    for calls in API:
        app.include_router(calls.router, prefix=PREFIX)
    _add_operators_pages(app, panel)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, hosts=known_hosts(panel.settings), metrics=panel.metrics)
    if panel.settings.panel_trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(panel.settings.panel_trusted_proxies))
    return app


def _add_operators_pages(app: FastAPI, panel: Panel) -> None:
    async def metrics(_request: Request) -> Response:
        return Response(await run_in_threadpool(panel.metrics.page), media_type=PROMETHEUS)

    async def live(_request: Request) -> Response:
        return _health("live", panel.faults())

    async def ready(_request: Request) -> Response:
        return _health("ready", await run_in_threadpool(panel.troubles))

    for path, answer in (("/metrics", metrics), ("/health/live", live), ("/health/ready", ready)):
        app.add_route(path, answer, methods=["GET"], include_in_schema=False)


def _health(word: str, reasons: list[str]) -> Response:
    return JSONResponse({word: not reasons, "reasons": reasons}, 503 if reasons else 200)


async def _left(_request: Request, _error: Exception) -> Response:
    """A client that went, or was cut off, before its request was whole: no defect. Nobody reads this; metrics count it."""
    return Response(status_code=408)


def _unrouted(panel: Panel) -> Answer:
    """What has no route, or not with this method, or is no file."""

    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        problem = NotFound() if status == 404 else Problem()
        problem.status = status
        if request.url.path.startswith(f"{PREFIX}/"):
            return problem_answer(problem)
        return await run_in_threadpool(gate.problem_page, panel, request, problem)

    return answer


def _broken(panel: Panel) -> Answer:
    """A defect: it is logged with its trace, the visitor gets a page without one."""

    async def answer(request: Request, error: Exception) -> Response:
        LOG.error("page failed", path=request.url.path, exc_info=error)
        return await run_in_threadpool(gate.plain_problem_page, panel, request, Problem(), 500)

    return answer
