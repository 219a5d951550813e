"""The ASGI application: finds the endpoint, answers, and turns every failure into a problem document."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from logging import getLogger
from time import monotonic
from uuid import uuid4

from serving.gateway.dataplane import Answered
from serving.gateway.drain import Drain
from serving.gateway.endpoints import PREDICT, PREDICT_PREFIX, Endpoint
from serving.gateway.messages import (
    Message,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    answered,
    closing,
    refused,
)
from serving.gateway.problems import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OVERLOADED,
    REQUEST_TIMEOUT,
    Problem,
)
from serving.gateway.refusals import Refusals
from serving.gateway.schemas import Prediction, Predictions
from serving.gateway.telemetry import Telemetry
from serving.gateway.tracing import HEADER, RequestTrace, Tracing

TOO_MANY_REQUESTS = 429

_log = getLogger(__name__)

Predicting = Callable[[Request, str], Callable[[bytes, Answered], None]]
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
        self,
        endpoints: Iterable[Endpoint],
        predicting: Predicting,
        telemetry: Telemetry,
        tracing: Tracing,
        lifespan: Lifespan,
        *,
        drain: Drain,
        body_limit: int,
        patience_seconds: float,
    ) -> None:
        """Put the application together.

        Args:
            endpoints: what answers, by method and path.
            predicting: admits a predict request of a model, see `Endpoints.predicting`.
            telemetry: counts and times requests.
            tracing: lets requests take part in traces.
            lifespan: opens and closes what the endpoints use.
            drain: says whether it is about to end.
            body_limit: largest body, in bytes.
            patience_seconds: longest a caller may take to send a request.
        """
        self._router = Router(endpoints)
        self._predicting = predicting
        self._telemetry = telemetry
        self._tracing = tracing
        self.drain = drain
        self._lifespan = lifespan
        self.body_limit = body_limit
        self.patience_seconds = patience_seconds
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or follow the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            raise ValueError(f"the gateway speaks HTTP only, not {scope['type']}")

    def predict(self, request: Request, body: bytes, respond: Callable[[Response], None]) -> None:
        """Answer a predict request whose body is whole, by a callback: the server's short way.

        It does what the endpoint does, without a task and a future of its own.
        """
        request.trace = self._tracing.begin(request.method, request.headers)

        def done(result: Prediction | Predictions | BaseException) -> None:
            respond(self._ended(PREDICT, request, self._response(request, result)))

        try:
            self._predicting(request, request.path[len(PREDICT_PREFIX) :])(body, done)
        except Problem as problem:
            if problem.kind is OVERLOADED:
                refused_later = problem.with_traceback(None)
                self._refusals.add(lambda: done(refused_later))
            else:
                done(problem)
        except Exception as error:  # noqa: BLE001 - what is no refusal becomes a 500, see _response
            done(error)

    def give_up(self, request: Request, respond: Callable[[Response], None]) -> None:
        """Refuse a predict request whose body did not arrive in time."""
        late = Problem(REQUEST_TIMEOUT, f"no whole body within {self.patience_seconds:g} s")
        respond(self._ended(PREDICT, request, self._refused(late, request)))

    def _response(self, request: Request, result: Prediction | Predictions | BaseException) -> Response:
        if isinstance(result, Problem):
            return self._refused(result, request)
        if isinstance(result, BaseException):
            return self._failed(request, result)
        return answered(result)

    def _ended(self, template: str, request: Request, response: Response) -> Response:
        self._telemetry.answered(template, response.status, monotonic() - request.arrived)
        if request.trace is not None:
            response = _traced(response, template, request.trace)
        return closing(response) if self.drain.has_begun else response

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope["method"], scope["path"], dict(scope["headers"]), monotonic(), receive)
        request.trace = self._tracing.begin(request.method, request.headers)
        template = "unknown"
        try:
            endpoint, matched = self._router.find(request.method, request.path)
            template = endpoint.path
            response = await endpoint.handler(request, matched)
        except ConnectionResetError:
            return  # the caller went away before its body was whole
        except Problem as problem:
            if problem.kind is OVERLOADED:
                await self._refusals.turn()
            response = self._refused(problem, request)
        except Exception as error:  # noqa: BLE001 - every bug becomes a 500 with an id; the log has the traceback
            response = self._failed(request, error)
        await self._ended(template, request, response).send(send)

    def _refused(self, problem: Problem, request: Request) -> Response:
        if problem.kind is OVERLOADED:  # counted, and logged once a second: refusing must stay cheap
            return refused(problem, request.path)
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

    def _failed(self, request: Request, error: BaseException) -> Response:
        error_id = uuid4().hex
        fields = {
            "error_id": error_id,
            "method": request.method,
            "path": request.path,
            "trace_id": _trace_id(request),
        }
        _log.error("request failed", exc_info=error, extra={"fields": fields})
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
