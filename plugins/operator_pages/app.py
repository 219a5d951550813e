"""The application: every route asks who is there, every answer says what a browser may do with it."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from include.contracts.errors import ArtefactError, ConflictError, LedgerError, NinetyError, RegistryError
from operator_pages import actions, assets, documents, moves, pages
from operator_pages.rendering import error_page

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Styles may be inline, since plots set their own; scripts may not."""

_STATUS: dict[type[NinetyError], int] = {
    ConflictError: 409,
    LedgerError: 404,
    RegistryError: 404,
    ArtefactError: 404,
}


def pages_app() -> FastAPI:
    """Return the application with all its routes."""
    # Documentation pages would be open to anybody: nothing protects a plugin's application by itself.
    app = FastAPI(title="Ninety's pages", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_with_headers)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(NinetyError, _failed)
    for part in (pages, documents, moves, actions, assets):
        app.include_router(part.router)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    return _problem(request, error.status_code, str(error.detail))


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered
    told = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return _problem(request, 422, told)


def _failed(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return _problem(request, status, str(error))


def _problem(request: Request, status: int, detail: str) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return error_page(request, status, detail)
    return JSONResponse({"status": status, "detail": detail}, status)
