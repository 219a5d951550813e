"""The skew audit's request side: the version a prediction was made for, and its transforms run again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from logging import getLogger

from include.adapters.ledger.ledger import Ledger
from include.config.models import model_folders
from include.config.settings import Settings
from include.config.transforms import Columns, Transform, load_transform
from include.contracts.errors import ContractError
from include.contracts.predictions import FeatureValue, PredictionRow
from include.contracts.routes import RouteSnapshot, VersionRoute
from include.contracts.signatures import MOMENT, FeatureInput, FeatureKind, Signature, TransformInput
from include.contracts.skew import SkewVerdict
from include.features.skew import Expectation, Prediction, judge

_log = getLogger(__name__)


@dataclass(frozen=True)
class Audited:
    """A prediction, and what its features were computed by."""

    row: PredictionRow
    signature: Signature
    transforms: Mapping[str, Transform]
    """By feature."""


def resolved(settings: Settings, ledger: Ledger, rows: Iterable[PredictionRow]) -> list[Audited]:
    """Return the predictions whose version and transforms are known, in order; why others are not is logged.

    The version is the one the ledger's route snapshot of the prediction has, so that a signature that has
    changed since does no harm.
    """
    snapshot = cache(ledger.past_snapshot)
    transforms: dict[tuple[str, str], dict[str, Transform] | None] = {}
    audited = []
    for row in rows:
        version = _version(row, snapshot(row.route_snapshot_id))
        if version is None:
            continue
        name = (row.model, version.version)
        if name not in transforms:
            transforms[name] = _transforms(settings, row.model, version)
        computed = transforms[name]
        if computed is not None:
            audited.append(Audited(row, version.signature, computed))
    return audited


def judge_requests(
    audited: Iterable[Audited], expected: Mapping[str, Mapping[str, Expectation]]
) -> Iterator[tuple[Prediction, dict[str, tuple[SkewVerdict, FeatureValue]]]]:
    """Yield each prediction's request-time features with a verdict and the expected value.

    Each is computed alone, so that one that depends on its neighbours in a batch is found too.

    Args:
        audited: the predictions.
        expected: what their views should have given, by prediction id and view.

    Raises:
        ContractError: a transform fails.
    """
    for item in audited:
        views = expected[item.row.prediction_id]
        inputs = [feature for feature in item.signature.transformed if feature.name in item.row.features]
        values = {feature.name: _as_input(feature, item.row.features[feature.name]) for feature in inputs}
        verdicts: dict[str, tuple[SkewVerdict, FeatureValue]] = {}
        for feature in inputs:
            verdicts |= judge({feature.name: values[feature.name]}, _expectation(item, feature, views))
        yield Prediction(item.row.prediction_id, item.row.model, values), verdicts


def _expectation(item: Audited, feature: FeatureInput, views: Mapping[str, Expectation]) -> Expectation:
    """Return what a request-time feature should have been, by what its views should have given."""
    sources = [views[read.view] for read in feature.reads if read.view is not None]

    def computed(state: Callable[[Expectation], Mapping[str, FeatureValue]]) -> dict[str, FeatureValue]:
        columns = {
            column.name: [
                state(views[column.view])[column.name] if column.view else _brought(item.row, column)
            ]
            for column in feature.reads
        }
        return {feature.name: _as_input(feature, _run(item, feature, columns))}

    return Expectation(
        told=computed(lambda view: view.told),
        wanted=computed(lambda view: view.wanted),
        now=computed(lambda view: view.now),
        is_materialised=all(view.is_materialised for view in sources),
    )


def _run(item: Audited, feature: FeatureInput, columns: Columns) -> FeatureValue:
    transform = item.transforms[feature.name]
    try:
        (value,) = transform.function(columns)
    except Exception as error:
        raise ContractError(
            f"{item.row.model}: transform {transform.name!r} fails for prediction {item.row.prediction_id}: "
            f"{type(error).__name__}"
        ) from error
    return value


def _brought(row: PredictionRow, column: TransformInput) -> FeatureValue:
    """Return what the request brought; its moment is the prediction's, whatever was logged beside it."""
    return row.predicted_at.timestamp() if column.name == MOMENT else row.request_features[column.name]


def _as_input(feature: FeatureInput, value: FeatureValue) -> FeatureValue:
    """Return a value in the type it has in the training set."""
    return float(value) if feature.kind is FeatureKind.NUMERIC and isinstance(value, int) else value


def _version(row: PredictionRow, snapshot: RouteSnapshot | None) -> VersionRoute | None:
    """Return the version whose features a row has: the one that answered, or the last one that was tried."""
    route = None if snapshot is None else snapshot.routes.get(row.model)
    tried = () if route is None else reversed(route.versions)
    answered = (version for version in tried if row.served_version in {None, version.version})
    return next((version for version in answered if _fits(row, version.signature)), None)


def _fits(row: PredictionRow, signature: Signature) -> bool:
    names = {name for names in signature.views.values() for name in names}
    return row.feature_timestamps.keys() == signature.views.keys() and names <= row.features.keys()


def _transforms(settings: Settings, model: str, version: VersionRoute) -> dict[str, Transform] | None:
    folder = model_folders(settings.model_folders).get(model)
    try:
        return {
            item.name: _as_trained(
                load_transform(str(item.transform), folder.path if folder else None), version
            )
            for item in version.signature.transformed
        }
    except ContractError as error:
        _log.error("predictions of %s %s cannot be audited: %s", model, version.version, error)
        return None


def _as_trained(transform: Transform, version: VersionRoute) -> Transform:
    if version.transform_sha256.get(transform.name) != transform.sha256:
        raise ContractError(f"transform {transform.name!r} is not the one the version was trained with")
    return transform
