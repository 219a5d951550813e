"""Training sets: labels joined with the features of their moment, frozen under the hash of their content."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow
from feast import FeatureStore
from pyarrow import compute

from include.adapters.artefact_home import artefact_store
from include.adapters.label_store import read_labels
from include.adapters.parquet import content_sha256, parquet_bytes
from include.config.models import model_folder
from include.config.settings import Settings
from include.config.transforms import load_transform
from include.contracts.errors import DataError
from include.contracts.model import ModelContract
from include.contracts.moments import format_duration
from include.contracts.packages import Snapshot, Version
from include.contracts.routes import EntityType
from include.contracts.signatures import MOMENT, FeatureKind
from include.contracts.views import TIMESTAMP
from include.contracts.windows import frozen_moments
from include.features.champion_columns import champion_columns
from include.features.store import open_store
from include.features.views import load_views

_KEY_TYPES = {EntityType.INT64: pyarrow.int64(), EntityType.STRING: pyarrow.string()}
_FEATURE_TYPES = {FeatureKind.NUMERIC: pyarrow.float64(), FeatureKind.CATEGORICAL: pyarrow.string()}


def freeze_training_set(
    settings: Settings, contract: ModelContract, as_of: datetime, champion: Version | None = None
) -> Snapshot:
    """Join the labels known by a moment with the features of theirs, through Feast, and store the result.

    The moments count back from the last one labelled, `training.snapshot_every` apart, no further than
    `training.history` before `as_of`. A row whose features are all missing is kept: so are such units served.

    Columns of the Parquet: unit (string), event_at, known_at, label (float64), then the features by name:
    numeric ones float64, categorical ones string, both nullable; then the contract's slices as
    `slice:<view>.<column>`, string and nullable, which no model reads; then what the champion reads and the
    contract does not name, as `champion:<origin>`, which training leaves alone. Ordered by event_at and unit.

    Returns:
        The snapshot; the same rows give the same hash and the same URI.

    Raises:
        DataError: no label was known by then.
        ContractError: the contract names what the feature store does not have.
        ArtefactError: the champion's manifest is missing or altered.
    """
    labels = _selected(contract, read_labels(settings, contract.name, as_of), as_of)
    store = open_store(settings)
    joined = [_features(store, contract, labels), _slices(store, contract, labels)]
    if champion is not None:
        entity_rows = _entity_rows(contract, labels)
        joined.append(champion_columns(settings, store, contract, entity_rows, champion))
    rows = _table(contract, labels, joined)
    digest = content_sha256(rows)
    uri = f"snapshots/{contract.name}/{digest}.parquet"
    store = artefact_store(settings)
    if not store.exists(uri):
        store.write(uri, parquet_bytes(rows))
    views = load_views(settings)
    bounds = compute.min_max(rows["event_at"]).as_py()
    return Snapshot(
        sha256=digest,
        uri=uri,
        rows=rows.num_rows,
        start=bounds["min"].astimezone(UTC),
        end=bounds["max"].astimezone(UTC) + timedelta(microseconds=1),
        feature_service=contract.features.service,
        feature_ttl_seconds={
            name: views[name].definition.ttl.total_seconds() for name in contract.signature.views
        },
        transform_sha256=_transform_hashes(settings, contract),
        as_of=as_of,
    )


def _transform_hashes(settings: Settings, contract: ModelContract) -> dict[str, str]:
    names = sorted({str(item.transform) for item in contract.signature.transformed})
    folder = model_folder(settings.model_folders, contract.name).path if names else None
    return {name: load_transform(name, folder).sha256 for name in names}


def _selected(contract: ModelContract, labels: pyarrow.Table, as_of: datetime) -> pyarrow.Table:
    labels = labels.filter(compute.greater_equal(labels["event_at"], as_of - contract.training.history))
    if labels.num_rows == 0:
        raise DataError(
            f"{contract.name}: no label of the {format_duration(contract.training.history)} before {as_of} "
            "was known by then; compute the labels first "
            f"(known {format_duration(contract.label.delay)} after)"
        )
    moments = frozen_moments(labels["event_at"].unique().to_pylist(), contract.training.snapshot_every)
    return labels.filter(
        compute.is_in(labels["event_at"], pyarrow.array(sorted(moments), labels["event_at"].type))
    ).sort_by([("event_at", "ascending"), ("unit", "ascending")])


def _features(store: FeatureStore, contract: ModelContract, labels: pyarrow.Table) -> pyarrow.Table:
    entity_rows = _entity_rows(contract, labels)
    if contract.signature.transformed:
        # A training row is a request at its own moment.
        entity_rows = entity_rows.append_column(MOMENT, _seconds(labels["event_at"]))
    service = store.get_feature_service(contract.features.service)
    return store.get_historical_features(entity_rows.to_pandas(), service).to_arrow()


def _slices(store: FeatureStore, contract: ModelContract, labels: pyarrow.Table) -> pyarrow.Table:
    """Return the columns that part the rows for evaluation, as text, each as of the row's own moment."""
    if not contract.slices:
        return pyarrow.table({TIMESTAMP: labels["event_at"]})
    names = dict.fromkeys((part.view, part.column) for part in contract.slices)
    found = store.get_historical_features(
        _entity_rows(contract, labels).to_pandas(),
        [f"{view}:{column}" for view, column in names],
        full_feature_names=True,
    ).to_arrow()
    columns = {TIMESTAMP: found[TIMESTAMP]}
    for part in contract.slices:
        columns[part.frozen_as] = found[f"{part.view}__{part.column}"].cast(pyarrow.string())
    return pyarrow.table(columns)


def _entity_rows(contract: ModelContract, labels: pyarrow.Table) -> pyarrow.Table:
    key = contract.entity
    return pyarrow.table({key.name: labels["unit"].cast(_KEY_TYPES[key.type]), TIMESTAMP: labels["event_at"]})


def _seconds(moments: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    microseconds = moments.cast(pyarrow.timestamp("us", "UTC")).cast(pyarrow.int64())
    return compute.divide(microseconds.cast(pyarrow.float64()), 1e6)


def _table(contract: ModelContract, labels: pyarrow.Table, joined: Sequence[pyarrow.Table]) -> pyarrow.Table:
    """Put the columns side by side: labels, then the inputs out of the first join, then all of the others."""
    moments = labels["event_at"]
    if not all(part[TIMESTAMP].cast(moments.type).equals(moments) for part in joined):
        raise DataError(f"{contract.name}: the offline store did not keep the order of the entity rows")
    columns = {
        "unit": labels["unit"],
        "event_at": labels["event_at"],
        "known_at": labels["known_at"],
        "label": labels["value"],
    }
    for item in contract.features.inputs:
        columns[item.name] = joined[0][item.name].cast(_FEATURE_TYPES[item.kind])
    for part in joined[1:]:
        columns |= {name: part[name] for name in part.column_names if name != TIMESTAMP}
    return pyarrow.table(columns)
