"""The serving path up to the model, in one process: online store, data plane, prediction log."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import numpy

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.online_features import OnlineFeatures
from include.adapters.prediction_log import PredictionLog
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.config.transforms import load_transform
from include.contracts.events import SYSTEM
from include.contracts.keys import ApiKey, Verb
from include.contracts.routes import ModelRoute, RouteSnapshot
from serving.gateway.breakers import Breakers
from serving.gateway.dataplane import Dataplane
from serving.gateway.pipeline import Backends
from serving.gateway.ports import FeatureReader
from serving.gateway.recorder import Recorder
from serving.gateway.request_memory import request_window
from serving.gateway.schemas import Predictions
from serving.gateway.server import transform_of
from serving.gateway.telemetry import Telemetry


class Zeros:
    """A model server whose every model answers zero."""

    async def infer(self, model, version, tensors, timeout_seconds):  # noqa: ARG002 - the protocol's
        """Return the score."""
        return numpy.zeros((next(iter(tensors.values())).shape[0], version.signature.outputs), numpy.float32)

    async def faults(self, model, version):  # noqa: ARG002 - the protocol's
        """Every version is right everywhere."""
        return dict.fromkeys(version.endpoints)

    def keep(self, versions):
        """Nothing is known of any."""


@contextmanager
def dataplane(
    settings: Settings, folder: ModelFolder, features: FeatureReader | None = None
) -> Iterator[Dataplane]:
    """Yield a data plane that serves one model by its contract; `features` stands in for the online store."""
    contract = folder.contract
    version = {
        "version": "1.0.0",
        "artefact_sha256": "0" * 64,
        "signature": contract.signature,
        "endpoints": ["here:1"],
        "transform_sha256": {
            item.transform: load_transform(item.transform, folder.path).sha256
            for item in contract.signature.transformed
        },
    }
    route = ModelRoute.model_validate(
        {
            "model": contract.name,
            "entity": contract.entity,
            "feature_ttl_seconds": dict.fromkeys(contract.signature.views, 90 * 86_400.0),
            "stale_policy": "default",
            "fallbacks": ["refuse"],
            "deadline_seconds": 10.0,
            "champion": version,
        }
    )
    log = PredictionLog(settings.predictions_folder, settings.segment_bytes)
    telemetry = Telemetry()
    backends = Backends(
        features=features or OnlineFeatures(settings),
        inference=Zeros(),
        log=Recorder(log, telemetry),
        clock=lambda: datetime.now().astimezone(),
        telemetry=telemetry,
        max_batch=settings.max_batch,
        batches_in_flight=settings.batches_in_flight,
        deadline_seconds=10.0,
        queue_entities=settings.queue_entities,
        queue_wait_seconds=settings.queue_wait_seconds,
        breakers=Breakers(telemetry),
    )
    plane = Dataplane(backends, request_window(settings), partial(transform_of, settings))
    plane.swap_routes(routed(settings, route))
    yield plane
    log.close()


def routed(settings: Settings, route: ModelRoute) -> RouteSnapshot:
    """Return the snapshot the ledger has of a route, put there if it is another than the last one."""
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    state, snapshot = ledger.route_state(route.model), ledger.route_snapshot()
    if snapshot is None or state.route != route:
        snapshot = ledger.change_route(RouteUpdate(route, state.revision), actor=SYSTEM, reason="a test's")
    ledger.close()
    return snapshot


def predict(plane: Dataplane, model: str, entity: str, values: Sequence[int], moment: datetime) -> None:
    """Ask for predictions at a moment; each is in the log afterwards."""
    key = ApiKey.model_validate(
        {
            "key_id": "k",
            "prefix": "k",
            "sha256": "0" * 64,
            "models": ("*",),
            "verbs": tuple(Verb),
            "issued_at": moment,
        }
    )
    body = json.dumps({"entities": [{entity: value} for value in values]}).encode()

    async def answer() -> Predictions:
        answered = asyncio.get_running_loop().create_future()
        plane.ask(key, model, body, moment, answered.set_result)
        return await answered

    assert isinstance(asyncio.run(answer()), Predictions)
