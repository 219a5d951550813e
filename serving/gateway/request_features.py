"""Request-time features: a version's transforms, run on a whole batch by the functions that trained it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from logging import getLogger

from include.config.transforms import Transform, as_trained, run_transform
from include.contracts.errors import ContractError, ModelUnavailableError
from include.contracts.routes import VersionRoute
from include.contracts.signatures import MOMENT
from serving.gateway.freshness import Enriched

TransformLoader = Callable[[str, str], Transform]
"""Returns a model's transform by the names of both; raises ContractError."""

_log = getLogger(__name__)


class RequestFeatures:
    """What computes one version's request-time features."""

    def __init__(self, model: str, version: VersionRoute, load: TransformLoader) -> None:
        self._inputs = version.signature.transformed
        self._transforms: dict[str, Transform] = {}
        self._flaw: str | None = None
        try:
            for item in self._inputs:
                self._transforms[item.name] = as_trained(
                    load(model, str(item.transform)), version.version, version.transform_sha256
                )
        except ContractError as error:
            self._flaw = str(error)
            fields = {"model": model, "version": version.version, "error": self._flaw}
            _log.error("a version's transforms cannot be run", extra={"fields": fields})

    def add(self, batch: Sequence[Enriched], moments: Sequence[datetime]) -> None:
        """Add the features to each entity's own, as of its request's moment; all of them or none.

        Raises:
            ModelUnavailableError: a transform is not here, or is not the one the version was trained with.
            ModelError: a transform fails.
        """
        if not self._inputs:
            return
        if self._flaw is not None:
            raise ModelUnavailableError(self._flaw)
        seconds = [moment.timestamp() for moment in moments]
        rows = [enriched.features for enriched in batch]
        computed = {
            item.name: run_transform(self._transforms[item.name], item, rows, seconds)
            for item in self._inputs
        }
        for index, enriched in enumerate(batch):
            enriched.request[MOMENT] = seconds[index]
            enriched.features.update((name, column[index]) for name, column in computed.items())
