"""Readiness: whether the golden predictions of every routed version come back right."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from include.contracts.routes import VersionRoute
from serving.gateway.ports import Inference

HOLDS_SECONDS = 1.0
"""How long an answer about a version holds."""


@dataclass(frozen=True)
class Readiness:
    """Why the gateway is not ready, and what does not answer though it is."""

    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing against it."""
        return not self.reasons


Faults = Mapping[str, str | None]
"""By endpoint what is wrong with a version there; None where it answers right."""


class VersionChecks:
    """Asks for versions; however many want to know, each is asked at most once in HOLDS_SECONDS."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._asked: dict[tuple[str, str], tuple[float, asyncio.Future[Faults]]] = {}

    def clear(self) -> None:
        """Forget all answers."""
        self._asked.clear()

    async def faults(self, model: str, version: VersionRoute) -> Faults:
        """Return what is wrong with a version, by endpoint."""
        key, now = (model, version.artefact_sha256), monotonic()
        asked_at, answer = self._asked.get(key, (-HOLDS_SECONDS, None))
        if answer is None or now - asked_at >= HOLDS_SECONDS:
            answer = asyncio.ensure_future(self._inference.faults(model, version))
            self._asked[key] = (now, answer)
        # A caller that goes away does not take the answer of the others with it.
        return await asyncio.shield(answer)

    async def look(self, wanted: Sequence[tuple[str, VersionRoute]]) -> Readiness:
        """Ask for all versions of models; one is ready where an endpoint answers right."""
        found = await asyncio.gather(*(self.faults(model, version) for model, version in wanted))
        reasons: list[str] = []
        degraded: list[str] = []
        for (model, version), faults in zip(wanted, found, strict=True):
            told = [
                f"{model} {version.version} at {where} {fault}" for where, fault in faults.items() if fault
            ]
            (degraded if None in faults.values() else reasons).extend(told)
        return Readiness(tuple(reasons), tuple(degraded))
