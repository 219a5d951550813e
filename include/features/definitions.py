"""Feast's objects, built from the view files and the model contracts."""

from collections.abc import Iterable, Mapping

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Bool, FeastType, Float64, Int64, String, UnixTimestamp

from include.config.models import ModelFolder
from include.config.settings import EngineName, Settings
from include.config.transforms import load_transform
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from include.contracts.routes import EntityKey, EntityType
from include.contracts.sources import ColumnType
from include.contracts.views import TIMESTAMP
from include.features.transforms import on_demand_view
from include.features.views import View, offline_folder

_TYPES: dict[ColumnType, FeastType] = {
    ColumnType.INT64: Int64,
    ColumnType.FLOAT64: Float64,
    ColumnType.STRING: String,
    ColumnType.BOOL: Bool,
    ColumnType.TIMESTAMP: UnixTimestamp,
}
_KEY_TYPES = {EntityType.INT64: ValueType.INT64, EntityType.STRING: ValueType.STRING}


def entities(views: Iterable[View]) -> dict[str, Entity]:
    """Return the views' entities by name.

    Raises:
        ContractError: two views give one entity different types.
    """
    keys: dict[str, EntityKey] = {}
    for view in views:
        key = view.definition.entity
        if keys.setdefault(key.name, key) != key:
            raise ContractError(f"view {view.name!r}: entity {key.name!r} has another type in another view")
    return {
        name: Entity(name=name, join_keys=[name], value_type=_KEY_TYPES[key.type])
        for name, key in keys.items()
    }


def feature_view(settings: Settings, view: View, entity: Entity) -> FeatureView:
    """Return Feast's object for a view, its source the view's daily files."""
    definition = view.definition
    key_type = _TYPES[ColumnType(definition.entity.type)]
    return FeatureView(
        name=view.name,
        description=definition.description,
        owner=definition.owner,
        entities=[entity],
        ttl=definition.ttl,
        schema=[
            Field(name=definition.entity.name, dtype=key_type),
            *(
                Field(name=field.name, dtype=_TYPES[field.dtype], description=field.description)
                for field in definition.fields
            ),
        ],
        source=_source(settings, view),
        tags={"owner": definition.owner},
        online=True,
    )


def _source(settings: Settings, view: View) -> DataSource:
    told = {
        "name": view.name,
        "path": str(offline_folder(settings, view.name) / "*.parquet"),
        "timestamp_field": TIMESTAMP,
        "owner": view.definition.owner,
    }
    if settings.engine is EngineName.SPARK:
        # Only who asks for Spark loads its side of Feast.
        from include.features.spark_source import FilesOnSparkSource  # noqa: PLC0415

        return FilesOnSparkSource(**told)
    return FileSource(file_format=ParquetFormat(), **told)


def feature_service(
    folder: ModelFolder, views: Mapping[str, FeatureView]
) -> tuple[FeatureService, list[OnDemandFeatureView]]:
    """Return the feature service of a model, just the inputs its contract names, and its on-demand views.

    Raises:
        ContractError: the contract names a view, a feature or a transform that does not exist, or the
            transform fails.
    """
    contract = folder.contract
    selected: list[FeatureView | OnDemandFeatureView] = _selected(contract, views)
    computed = [
        on_demand_view(contract, item, load_transform(str(item.transform), folder.path), views)
        for item in contract.signature.transformed
    ]
    service = FeatureService(
        name=contract.features.service,
        features=[*selected, *computed],
        owner=contract.owner.email,
        description=contract.description,
        tags={"model": contract.name},
    )
    return service, computed


def _selected(contract: ModelContract, views: Mapping[str, FeatureView]) -> list[FeatureView]:
    selected = []
    for name, inputs in contract.signature.views.items():
        if name not in views:
            raise ContractError(
                f"{contract.name}: features.inputs: no feature view {name!r}; there are: {', '.join(views)}"
            )
        known = {feature.name for feature in views[name].features}
        unknown = [feature for feature in inputs if feature not in known]
        if unknown:
            raise ContractError(
                f"{contract.name}: features.inputs: view {name!r} has no feature {', '.join(unknown)}; "
                f"it has: {', '.join(sorted(known))}"
            )
        selected.append(views[name][list(inputs)])
    return selected
