"""The ASGI application: finds the endpoint, answers, and turns every failure into a problem document."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from logging import getLogger
from time import monotonic
from uuid import uuid4

from serving.gateway.endpoints import Endpoint
from serving.gateway.messages import Message, Receive, Request, Response, Scope, Send, refused
from serving.gateway.problems import INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem
from serving.gateway.telemetry import Telemetry
from serving.gateway.tracing import HEADER, RequestTrace, Tracing

TOO_MANY_REQUESTS = 429

_log = getLogger(__name__)

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


class Router:
    """Endpoints by path; segments in braces match anything."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_size: dict[int, list[tuple[list[str], Endpoint]]] = {}
        for endpoint in endpoints:
            pattern = endpoint.path.split("/")
            self._by_size.setdefault(len(pattern), []).append((pattern, endpoint))

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """Return the endpoint of a path, with what its braces matched.

        Raises:
            Problem: 404 or 405.
        """
        segments = path.split("/")
        taken: list[str] = []
        for pattern, endpoint in self._by_size.get(len(segments), ()):
            matched = _matched(pattern, segments)
            if matched is not None and endpoint.method == method:
                return endpoint, matched
            if matched is not None:
                taken.append(endpoint.method)
        if taken:
            raise Problem(METHOD_NOT_ALLOWED, f"this path takes {', '.join(taken)}")
        raise Problem(NOT_FOUND, "see /docs for the paths there are")


class Gateway:
    """The application; the lifespan opens and closes what its endpoints use."""

    def __init__(
        self, endpoints: Iterable[Endpoint], telemetry: Telemetry, tracing: Tracing, lifespan: Lifespan
    ) -> None:
        self._router = Router(endpoints)
        self._telemetry = telemetry
        self._tracing = tracing
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or follow the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            raise ValueError(f"the gateway speaks HTTP only, not {scope['type']}")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope["method"], scope["path"], dict(scope["headers"]), receive, monotonic())
        request.trace = self._tracing.begin(request.method, request.headers)
        template = "unknown"
        try:
            endpoint, matched = self._router.find(request.method, request.path)
            template = endpoint.path
            response = await endpoint.handler(request, matched)
        except ConnectionResetError:
            return  # the caller went away before its body was whole
        except Problem as problem:
            response = self._refused(problem, request)
        except Exception:  # noqa: BLE001 - every bug becomes a 500 with an id; the log has the traceback
            response = self._failed(request)
        self._telemetry.answered(template, response.status, monotonic() - request.arrived)
        await (response if request.trace is None else _traced(response, template, request.trace)).send(send)

    def _refused(self, problem: Problem, request: Request) -> Response:
        fields = {
            "method": request.method,
            "path": request.path,
            "status": problem.kind.status,
            "problem": problem.kind.slug,
            "key_id": request.key_id,
            "model": request.model,
            "trace_id": _trace_id(request),
        }
        if problem.kind.status != TOO_MANY_REQUESTS:  # whoever asks too often must not fill the log, too
            _log.warning("request refused", extra={"fields": fields})
        return refused(problem, request.path)

    def _failed(self, request: Request) -> Response:
        error_id = uuid4().hex
        fields = {
            "error_id": error_id,
            "method": request.method,
            "path": request.path,
            "trace_id": _trace_id(request),
        }
        _log.exception("request failed", extra={"fields": fields})
        return refused(Problem(INTERNAL, f"the gateway's log knows more under {error_id}"), request.path)

    async def _live(self, receive: Receive, send: Send) -> None:
        await _expect(receive, "lifespan.startup")
        async with self._lifespan():
            await send({"type": "lifespan.startup.complete"})
            await _expect(receive, "lifespan.shutdown")
        await send({"type": "lifespan.shutdown.complete"})


async def _expect(receive: Receive, kind: str) -> None:
    message: Message = await receive()
    if message["type"] != kind:
        raise ValueError(f"expected {kind}, got {message['type']}")


def _traced(response: Response, route: str, trace: RequestTrace) -> Response:
    """End a request's part in its trace and name the trace in the answer."""
    trace.end(route, response.status)
    return replace(response, headers=(*response.headers, (HEADER, trace.context.trace_id.encode())))


def _trace_id(request: Request) -> str | None:
    return None if request.trace is None else request.trace.context.trace_id


def _matched(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    matched: dict[str, str] = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            matched[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return matched
