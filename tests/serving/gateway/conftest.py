"""A gateway on a real socket, with a Triton of the real protocol that can be told to fail."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import grpc
import httpx
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from include.adapters.prediction_log import read
from include.config.settings import Settings
from include.contracts.errors import ServingError
from include.contracts.keys import ApiKey, Verb
from include.contracts.predictions import FeatureValue, PredictionRow
from include.contracts.routes import EntityKey, ModelRoute, RouteSnapshot
from serving.gateway.drain import DrainingServer, bound_socket
from serving.gateway.http_server import configuration
from serving.gateway.ports import LedgerReader
from serving.gateway.server import gateway

NOW = datetime(2017, 11, 1, 12, tzinfo=UTC)
KEY = "nk_all.secret"
CHURN_KEY = "nk_churn.secret"
EXPIRED_KEY = "nk_old.secret"

INPUTS = [
    {"name": "total_spend_30d", "kind": "numeric", "view": "customer_spending", "minimum": 0},
    {"name": "orders_30d", "kind": "numeric", "view": "customer_spending"},
    {"name": "preferred_category", "kind": "categorical", "view": "customer_spending"},
]


def api_key(key: str, **changes: object) -> ApiKey:
    """What the ledger holds of a key."""
    values = {
        "key_id": f"id-{key.partition('.')[0]}",
        "prefix": key.partition(".")[0],
        "sha256": sha256(key.encode()).hexdigest(),
        "models": ("*",),
        "verbs": tuple(Verb),
        "issued_at": NOW - timedelta(days=1),
    }
    return ApiKey.model_validate(values | changes)


def version_route(version: str, endpoint: str, **signature: object) -> dict[str, object]:
    """A version of the model at an endpoint."""
    return {
        "version": version,
        "artefact_sha256": sha256(version.encode()).hexdigest(),
        "signature": {"task": "binary", "inputs": INPUTS} | signature,
        "endpoints": [endpoint],
    }


def route(endpoint: str, **changes: object) -> ModelRoute:
    """A route of the model churn, its champion 1.0.0."""
    values = {
        "model": "churn",
        "entity": {"name": "customer_id", "type": "int64"},
        "feature_ttl_seconds": {"customer_spending": 86_400.0 * 2},
        "stale_policy": "reject",
        "fallbacks": ["refuse"],
        "deadline_seconds": 1.0,
        "champion": version_route("1.0.0", endpoint),
    }
    return ModelRoute.model_validate(values | changes)


@dataclass(frozen=True)
class Row:
    """An entity's online row."""

    features: Mapping[str, Mapping[str, FeatureValue]]
    timestamps: Mapping[str, datetime | None]

    def having(self, **features: object) -> "Row":
        """This row with other features of its view."""
        return Row({view: {**values, **features} for view, values in self.features.items()}, self.timestamps)


FRESH = Row(
    {"customer_spending": {"total_spend_30d": 120.5, "orders_30d": 4, "preferred_category": "GROCERY"}},
    {"customer_spending": datetime(2017, 11, 1, tzinfo=UTC)},
)
NOTHING = Row({}, {"customer_spending": None})


@dataclass
class MemoryFeatures:
    """Features by key value; counts its reads."""

    rows: dict[int | str, Row] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    is_local: bool = True
    is_down: bool = False

    def read(
        self,
        entity_key: EntityKey,  # noqa: ARG002 - the protocol's
        values: Sequence[int | str],
        views: Mapping[str, Sequence[str]],  # noqa: ARG002 - the protocol's
    ) -> list[Row]:
        """Return the rows; an unknown entity has none."""
        if self.is_down:
            raise ServingError("the store is down")
        self.reads.append(len(values))
        return [self.rows.get(value, NOTHING) for value in values]

    async def fetch(
        self, entity_key: EntityKey, values: Sequence[int | str], views: Mapping[str, Sequence[str]]
    ) -> list[Row]:
        """Read, in a thread of its own where the store is elsewhere: a read that waits keeps nobody."""
        if self.is_local:
            return self.read(entity_key, values, views)
        return await asyncio.to_thread(self.read, entity_key, values, views)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class MemoryLedger:
    """Routes and keys that a test changes."""

    snapshot: RouteSnapshot | None
    keys: tuple[ApiKey, ...]
    is_down: bool = False
    asked_while_down: int = 0

    def snapshot_id(self) -> str | None:
        """Return the id of the routes."""
        if self.is_down:
            self.asked_while_down += 1
            raise OSError("the ledger is down")
        return self.snapshot.snapshot_id if self.snapshot else None

    def route_snapshot(self) -> RouteSnapshot | None:
        """Return the routes."""
        return self.snapshot

    def api_keys(self) -> tuple[ApiKey, ...]:
        """Return the keys."""
        return self.keys

    def close(self) -> None:
        """Nothing is open."""


Fault = Callable[[np.ndarray], grpc.StatusCode | None]


class FaultyTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Triton's protocol with a model that sums its numbers; each model may have a fault."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.metadata: list[dict[str, str]] = []
        self.faults: dict[str, Fault] = {}
        self.unloaded: set[str] = set()
        self.asked_ready = 0
        self.gate = Event()
        self.gate.set()
        self.score = lambda numeric: np.nansum(numeric, axis=1, keepdims=True, dtype=np.float32)

    def ModelReady(self, request, _):
        """Say whether a model is loaded."""
        self.asked_ready += 1
        return service_pb2.ModelReadyResponse(ready=request.name not in self.unloaded)

    def ModelInfer(self, request, context):
        """Answer a batch, or fail as told."""
        rows, width = request.inputs[0].shape
        numeric = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(rows, width)
        self.calls.append((request.model_name, rows))
        self.metadata.append(dict(context.invocation_metadata()))
        self.gate.wait(10)
        code = self.faults.get(request.model_name, lambda _: None)(numeric)
        if request.model_name in self.unloaded:
            code = grpc.StatusCode.UNAVAILABLE
        if code is not None:
            context.abort(code, "told to fail")
        score = self.score(numeric)
        response = service_pb2.ModelInferResponse(
            model_name=request.model_name, raw_output_contents=[score.tobytes()]
        )
        response.outputs.add(name="score", datatype="FP32", shape=score.shape)
        return response


@dataclass
class Stage:
    """A gateway and everything around it."""

    url: str
    client: httpx.Client
    triton: FaultyTriton
    endpoint: str
    features: MemoryFeatures
    ledger: MemoryLedger
    settings: Settings
    server: DrainingServer

    def predict(self, body: object, **options: object) -> httpx.Response:
        """Ask for a prediction."""
        return self.client.post("/v1/predict/churn", json=body, **options)

    def rows(self) -> list[PredictionRow]:
        """Return what the prediction log holds."""
        return list(read(self.settings.predictions_folder))

    def metric(self, name: str) -> float:
        """Return a metric's value, summed over its labels; 0 where it has none yet."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def reroute(self, snapshot_id: str, **changes: object) -> None:
        """Put another route in force and wait until the gateway follows."""
        self.ledger.snapshot = RouteSnapshot(
            snapshot_id=snapshot_id, routes={"churn": route(self.endpoint, **changes)}
        )
        kept = self.settings.gateway_folder / "routes.json"
        wait_for(lambda: kept.exists() and snapshot_id in kept.read_text())
        # Kept by the poller's thread, put in force in the loop's next turn, which an answer comes after.
        self.client.get("/v2/health/live")


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    pause = Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("the condition did not come to hold")


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving_triton() -> Iterator[tuple[FaultyTriton, str]]:
    """Serve a Triton that can be told to fail; yield it with its endpoint."""
    servicer = FaultyTriton()
    server = grpc.server(ThreadPoolExecutor(8))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        servicer.gate.set()
        server.stop(0).wait()


@contextmanager
def serving(
    home: Path,
    triton: tuple[FaultyTriton, str],
    *,
    settings: Mapping[str, object] | None = None,
    ledger_is_down: bool = False,
    opened: Callable[[], LedgerReader] | None = None,
    more_keys: Sequence[ApiKey] = (),
    **changes: object,
) -> Iterator[Stage]:
    """Run a gateway; `changes` go into the route of churn, `settings` into the settings.

    `opened` opens another ledger than the one in memory.
    """
    servicer, endpoint = triton
    port = free_port()
    current = Settings(
        home=home, gateway_port=port, **{"deadline_seconds": 60.0, "batches_in_flight": 1, **(settings or {})}
    )
    snapshot = RouteSnapshot(snapshot_id="1-abc", routes={"churn": route(endpoint, **changes)})
    keys = (
        api_key(KEY),
        api_key(CHURN_KEY, models=("churn",), verbs=("predict",)),
        api_key(EXPIRED_KEY, expires_at=NOW - timedelta(hours=1)),
        *more_keys,
    )
    features, ledger = MemoryFeatures({1: FRESH}), MemoryLedger(snapshot, keys, ledger_is_down)

    app = gateway(current, features, opened or (lambda: ledger), lambda: NOW)
    configured = configuration(app, "127.0.0.1", port)
    server = DrainingServer(configured, app.drain, current.drain_seconds)
    thread = Thread(target=server.run, args=([bound_socket("127.0.0.1", port, shared=False)],))
    thread.start()
    wait_for(lambda: server.started or not thread.is_alive())
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {KEY}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            yield Stage(url, client, servicer, endpoint, features, ledger, current, server)
    finally:
        servicer.gate.set()
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def triton() -> Iterator[tuple[FaultyTriton, str]]:
    """A Triton that can be told to fail, and its endpoint."""
    with serving_triton() as served:
        yield served


@pytest.fixture
def start(tmp_path: Path, triton: tuple[FaultyTriton, str]) -> Iterator[Callable[..., Stage]]:
    """Start gateways, see `serving`."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(serving(tmp_path / "home", triton, **changes))


@pytest.fixture
def stage(start: Callable[..., Stage]) -> Stage:
    """A gateway with one model and one known customer."""
    return start()


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that a module's refusals share; its model must never be called."""
    with serving_triton() as triton, serving(tmp_path_factory.mktemp("home"), triton) as stage:
        yield stage


def stale(days: int) -> Row:
    """Features that old."""
    return replace(FRESH, timestamps={"customer_spending": NOW - timedelta(days=days)})
