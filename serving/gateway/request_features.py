"""Request-time features: a version's transforms, run on a whole batch by the functions that trained it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from logging import getLogger

from include.config.transforms import Transform
from include.contracts.errors import ContractError, ModelError, ModelUnavailableError
from include.contracts.predictions import FeatureValue
from include.contracts.routes import VersionRoute
from include.contracts.signatures import MOMENT, FeatureInput
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
                self._transforms[item.name] = _as_trained(load(model, str(item.transform)), version)
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
        computed = {item.name: self._compute(item, batch, seconds) for item in self._inputs}
        for index, enriched in enumerate(batch):
            enriched.request[MOMENT] = seconds[index]
            enriched.features.update((name, column[index]) for name, column in computed.items())

    def _compute(
        self, item: FeatureInput, batch: Sequence[Enriched], seconds: list[float]
    ) -> Sequence[FeatureValue]:
        columns: dict[str, list[FeatureValue]] = {
            column.name: [enriched.features[column.name] for enriched in batch]
            if column.view is not None
            else list(seconds)
            for column in item.reads
        }
        transform = self._transforms[item.name]
        try:
            values = transform.function(columns)
        except Exception as error:
            raise ModelError(f"transform {transform.name!r} fails: {type(error).__name__}") from error
        if len(values) != len(batch):
            raise ModelError(f"transform {transform.name!r} gives {len(values)} values for {len(batch)} rows")
        return values


def _as_trained(transform: Transform, version: VersionRoute) -> Transform:
    """Refuse a transform whose text is not the one the version was trained with."""
    if version.transform_sha256.get(transform.name) != transform.sha256:
        raise ContractError(
            f"transform {transform.name!r} is not the one version {version.version} was trained with; "
            "bring its text back, and give the changed one a name of its own"
        )
    return transform
