"""Several Tritons as one: calls are spread, what does not answer is retried elsewhere and ejected."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from logging import getLogger
from time import monotonic

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import Tensors
from include.contracts.errors import DeadlineError, ModelError, ModelUnavailableError, ServingError
from include.contracts.routes import VersionRoute
from serving.gateway.endpoint_pool import EjectionPolicy, EndpointPool, Pick
from serving.gateway.golden_check import Fault, GoldenCheck
from serving.gateway.ports import TritonWire
from serving.gateway.retry_budget import RetryBudget
from serving.gateway.telemetry import Telemetry

_log = getLogger(__name__)

_POLICY = EjectionPolicy()

Score = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Replicas:
    """A version's endpoints, and what is known of them."""

    model: str
    version: VersionRoute
    pool: EndpointPool
    budget: RetryBudget
    probes: set[asyncio.Task[None]] = field(default_factory=set)
    """Under way, one for each ejected endpoint."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked, of whichever endpoint."""

    triton_model: str
    tensors: Tensors
    outputs: int
    end: float
    """Monotonic seconds."""


class TritonPool:
    """The Inference port over every endpoint of a version; for use inside one event loop."""

    def __init__(
        self,
        wire: TritonWire,
        golden: GoldenCheck,
        telemetry: Telemetry,
        *,
        policy: EjectionPolicy = _POLICY,
        clock: Callable[[], float] = monotonic,
        pick: Pick = random.sample,
    ) -> None:
        """Make a pool over a wire; `policy` says when an endpoint is left out, `pick` is chance."""
        self._wire = wire
        self._golden = golden
        self._telemetry = telemetry
        self._policy = policy
        self._clock = clock
        self._pick = pick
        self._in_flight: Counter[str] = Counter()
        self._replicas: dict[tuple[str, tuple[str, ...]], _Replicas] = {}

    async def infer(
        self, model: str, version: VersionRoute, tensors: Tensors, timeout_seconds: float
    ) -> Score:
        """Return the score float32 [B, outputs] of a batch from one of the version's endpoints.

        A call that nobody answered is made again at another endpoint, within the time and a retry budget.

        Raises:
            ModelUnavailableError, DeadlineError, ModelError: as the last endpoint asked.
        """
        name, outputs = version.triton_model(model), version.signature.outputs
        if len(version.endpoints) == 1:
            return await self._wire.infer(version.endpoints[0], name, tensors, outputs, timeout_seconds)
        now = self._clock()
        replicas = self._of(model, version, name)
        replicas.budget.deposit(now)
        return await self._spread(replicas, _Call(name, tensors, outputs, now + timeout_seconds))

    async def faults(self, model: str, version: VersionRoute) -> dict[str, Fault | None]:
        """Return by endpoint what is wrong with a version there; None where its golden predictions are right.

        An endpoint that gives wrong ones is ejected.
        """
        asked = (self._golden.fault(endpoint, model, version) for endpoint in version.endpoints)
        found = dict(zip(version.endpoints, await asyncio.gather(*asked), strict=True))
        if len(found) > 1:
            replicas = self._of(model, version, version.triton_model(model))
            for endpoint, fault in found.items():
                if fault is Fault.WRONG and replicas.pool.answered_wrongly(endpoint, self._clock()):
                    self._probe_later(replicas, endpoint, fault)
        return found

    def keep(self, versions: Iterable[tuple[str, VersionRoute]]) -> None:
        """Forget every version of a model but these."""
        listed = list(versions)
        self._golden.keep([version for _, version in listed])
        kept = {(version.triton_model(model), version.endpoints) for model, version in listed}
        for key in self._replicas.keys() - kept:
            _end_probes(self._replicas.pop(key))

    async def close(self) -> None:
        """End the probes and close all channels; calls still in flight are cancelled."""
        for replicas in self._replicas.values():
            _end_probes(replicas)
        await self._wire.close()

    def _of(self, model: str, version: VersionRoute, name: str) -> _Replicas:
        key = (name, version.endpoints)
        if key not in self._replicas:
            pool = EndpointPool(version.endpoints, self._in_flight, self._policy, self._pick)
            self._replicas[key] = _Replicas(model, version, pool, RetryBudget(self._clock()))
        return self._replicas[key]

    async def _spread(self, replicas: _Replicas, call: _Call) -> Score:
        """Ask one endpoint after the other until one answers."""
        tried: list[str] = []
        while True:
            endpoint = replicas.pool.choose(tried)
            if endpoint is None:
                raise ModelUnavailableError(f"{call.triton_model}: no endpoint is left to ask")
            tried.append(endpoint)
            left = call.end - self._clock()
            may_retry = len(tried) < len(replicas.version.endpoints) and replicas.budget.has_token
            seconds = replicas.pool.try_seconds(left, tried) if may_retry else left
            try:
                return await self._ask(replicas, endpoint, call, seconds)
            except (ModelUnavailableError, DeadlineError):
                if not may_retry or call.end <= self._clock() or not replicas.budget.withdraw():
                    raise
                self._telemetry.retries.add(replicas.model)

    async def _ask(self, replicas: _Replicas, endpoint: str, call: _Call, seconds: float) -> Score:
        """Ask one endpoint, and note how it went."""
        pool, began = replicas.pool, self._clock()
        pool.began(endpoint)
        try:
            score = await self._wire.infer(endpoint, call.triton_model, call.tensors, call.outputs, seconds)
        except ServingError as error:
            if self._is_ejected_by(error, pool, endpoint, seconds):
                self._probe_later(replicas, endpoint, str(error))
            raise
        finally:
            pool.ended(endpoint)
        now = self._clock()
        pool.answered(endpoint, now, now - began)
        return score

    def _is_ejected_by(self, error: ServingError, pool: EndpointPool, endpoint: str, seconds: float) -> bool:
        now = self._clock()
        if isinstance(error, ModelError):
            return pool.answered_with_error(endpoint, now)
        if isinstance(error, DeadlineError):
            return pool.timed_out(endpoint, now, seconds)
        return pool.went_silent(endpoint, now)

    def _probe_later(self, replicas: _Replicas, endpoint: str, why: str) -> None:
        self._telemetry.ejections.add(replicas.model, endpoint)
        _log.warning("endpoint ejected", extra={"fields": _fields(replicas, endpoint) | {"error": why}})
        probe = asyncio.create_task(self._probe(replicas, endpoint), context=Context())
        replicas.probes.add(probe)
        probe.add_done_callback(replicas.probes.discard)

    async def _probe(self, replicas: _Replicas, endpoint: str) -> None:
        """Replay golden predictions at an ejected endpoint until they are right."""
        pool = replicas.pool
        while (moment := pool.probe_at(endpoint)) is not None:
            await asyncio.sleep(moment - self._clock())
            fault = await self._golden.fault(endpoint, replicas.model, replicas.version)
            pool.probed(endpoint, self._clock(), is_right=fault is None)
        _log.warning("endpoint readmitted", extra={"fields": _fields(replicas, endpoint)})


def _end_probes(replicas: _Replicas) -> None:
    for probe in replicas.probes:
        probe.cancel()


def _fields(replicas: _Replicas, endpoint: str) -> dict[str, str]:
    return {"model": replicas.model, "version": replicas.version.version, "endpoint": endpoint}
