"""Golden predictions replayed on a Triton: whether a version answers there as it did when it was made."""

import asyncio
from collections.abc import Callable, Collection
from enum import StrEnum
from logging import getLogger

from include.adapters.golden import worst_deviation
from include.adapters.tensors import to_tensors
from include.contracts.errors import (
    ArtefactError,
    DeadlineError,
    ModelUnavailableError,
    ServingError,
)
from include.contracts.packages import GoldenSet
from include.contracts.routes import VersionRoute
from serving.gateway.ports import TritonWire

CASES = 8
"""Most golden predictions of a version that are replayed: its last, which hold the odd ones."""
TIMEOUT_SECONDS = 1.0
"""Longest a replay may take."""

_log = getLogger(__name__)


class Fault(StrEnum):
    """What is wrong with a version at an endpoint."""

    NOT_LOADED = "is not loaded"
    UNAVAILABLE = "is unavailable"
    SILENT = "does not answer"
    FAILING = "fails on its golden predictions"
    WRONG = "gives wrong golden predictions"


LoadGolden = Callable[[str, str], GoldenSet]
"""Reads the golden predictions of an artefact, by model and hash; raises ArtefactError."""


class GoldenCheck:
    """Replays golden predictions, which are read from the artefact store once and proven by its hash."""

    def __init__(self, wire: TritonWire, load: LoadGolden) -> None:
        self._wire = wire
        self._load = load
        self._known: dict[str, GoldenSet] = {}
        self._told: set[str] = set()

    async def fault(self, endpoint: str, model: str, version: VersionRoute) -> Fault | None:
        """Return what is wrong with a version at an endpoint; None where its answers are right.

        Where the golden predictions cannot be read, being loaded counts as right.
        """
        golden = await self._golden(model, version)
        name = version.triton_model(model)
        if golden is None:
            loaded = await self._wire.is_ready(endpoint, name, TIMEOUT_SECONDS)
            return None if loaded else Fault.NOT_LOADED
        try:
            is_right = await self._replay(endpoint, name, version, golden)
        except ServingError as error:
            return _fault_of(error)
        return None if is_right else Fault.WRONG

    def keep(self, versions: Collection[VersionRoute]) -> None:
        """Forget what belongs to no other version."""
        kept = {version.artefact_sha256 for version in versions}
        self._known = {sha256: golden for sha256, golden in self._known.items() if sha256 in kept}
        self._told &= kept

    async def _replay(self, endpoint: str, name: str, version: VersionRoute, golden: GoldenSet) -> bool:
        cases = golden.cases[-min(CASES, version.maximum_batch) :]
        tensors = to_tensors(version.signature, [case.features for case in cases])
        outputs = version.signature.outputs
        scores = await self._wire.infer(endpoint, name, tensors, outputs, TIMEOUT_SECONDS)
        worst = worst_deviation(golden.model_copy(update={"cases": cases}), scores)
        return worst.difference <= golden.absolute_tolerance

    async def _golden(self, model: str, version: VersionRoute) -> GoldenSet | None:
        sha256 = version.artefact_sha256
        if sha256 not in self._known:
            try:
                self._known[sha256] = await asyncio.to_thread(self._load, model, sha256)
            except ArtefactError as error:
                self._tell(model, version, error)
                return None
        return self._known[sha256]

    def _tell(self, model: str, version: VersionRoute, error: ArtefactError) -> None:
        """One line a version, not one a look."""
        if version.artefact_sha256 not in self._told:
            self._told.add(version.artefact_sha256)
            fields = {"model": model, "version": version.version, "error": str(error)}
            _log.warning("golden predictions cannot be read", extra={"fields": fields})


def _fault_of(error: ServingError) -> Fault:
    if isinstance(error, ModelUnavailableError):
        return Fault.UNAVAILABLE
    return Fault.SILENT if isinstance(error, DeadlineError) else Fault.FAILING
