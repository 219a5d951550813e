"""Feast's store for this machine: its configuration, and its registry kept equal to our files."""

import fcntl
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml
from feast import FeatureService, FeatureStore, FeatureView, RepoConfig
from feast.on_demand_feature_view import OnDemandFeatureView

from include.adapters.files import write_atomically
from include.adapters.online_backend import is_redis, store_configuration
from include.adapters.online_rows import LAYOUT, PROJECT
from include.adapters.spark.environment import provide_spark
from include.adapters.spark.session import feast_configuration
from include.config.models import model_folders
from include.config.settings import EngineName, Settings
from include.contracts.canonical import content_hash
from include.contracts.errors import ContractError
from include.features.definitions import entities, feature_service, feature_view
from include.features.views import BrokenView, View, load_views, log_broken

CONFIGURATION_NAME = "feature_store.yaml"
"""Written into the features folder, so that `feast -c <folder>` works there."""
_ASOF_STORE = "include.features.asof_store.AsofOfflineStore"
_SPARK_STORE = "include.features.spark_store.SparkAsofOfflineStore"
_SQLITE_STORE = "include.features.online_store.GuardedSqliteOnlineStore"
_REDIS_STORE = "include.features.redis_store.GuardedRedisOnlineStore"
_APPLIED_NAME = "applied.sha256"

_log = logging.getLogger(__name__)


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the content of feature_store.yaml."""
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": {
            "path": str(settings.feature_registry),
            "registry_store_type": "include.features.registry_store.AtomicFileRegistryStore",
        },
        **_engine(settings),
        "online_store": store_configuration(settings)
        | {"type": _REDIS_STORE if is_redis(settings) else _SQLITE_STORE},
        "materialization": {"pull_latest_features": True},
        "entity_key_serialization_version": 3,
    }


def _engine(settings: Settings) -> dict[str, Any]:
    """Return what joins features to entities, and what brings them online where Spark does."""
    if settings.engine is EngineName.DUCKDB:
        return {"offline_store": {"type": _ASOF_STORE}}
    spark = feast_configuration(settings)
    return {
        "offline_store": {"type": _SPARK_STORE, "spark_conf": spark},
        "batch_engine": {"type": "spark.engine", "spark_conf": spark},
    }


def open_store(settings: Settings) -> FeatureStore:
    """Return Feast's store, its registry brought up to our definitions first if they changed.

    Any number of processes may call this at once.

    Raises:
        ContractError: a view's definition is wrong. A model whose contract is wrong is left out and logged.
        PlatformError: Spark is asked for and not installed.
    """
    if settings.engine is EngineName.SPARK:
        provide_spark()
    broken: list[BrokenView] = []
    views = load_views(settings, broken.append)
    for item in broken:
        log_broken(item)
    kept = frozenset((*views, *(item.view for item in broken)))
    with registry_lock(settings):
        store = FeatureStore(config=RepoConfig(repo_path=settings.features_folder, **configuration(settings)))
        _apply(settings, store, views, kept)
    return store


@contextmanager
def registry_lock(settings: Settings) -> Iterator[None]:
    """Hold the registry for writing: Feast reads, changes and writes it whole."""
    settings.features_folder.mkdir(parents=True, exist_ok=True)
    with (settings.features_folder / "registry.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apply(settings: Settings, store: FeatureStore, views: Mapping[str, View], kept: Collection[str]) -> None:
    known = entities(views.values())
    feast_views = {
        name: feature_view(settings, view, known[view.definition.entity.name]) for name, view in views.items()
    }
    services, computed = _services(settings, feast_views)
    wanted = _definitions_hash(settings, views, kept, services, computed)
    marker = settings.features_folder / _APPLIED_NAME
    if marker.is_file() and marker.read_text() == wanted and settings.feature_registry.is_file():
        return
    text = yaml.safe_dump(configuration(settings), sort_keys=False)
    write_atomically(settings.features_folder / CONFIGURATION_NAME, text.encode())
    with warnings.catch_warnings():
        # Feast warns of every on-demand view; what ours give offline and online is held equal by a test.
        warnings.filterwarnings("ignore", "On demand feature view is an experimental", RuntimeWarning)
        store.apply([*known.values(), *feast_views.values(), *computed, *services])
    _forget(store, kept, {item.name for item in (*services, *computed)})
    write_atomically(marker, wanted.encode())


def _forget(store: FeatureStore, kept: Collection[str], wanted: Collection[str]) -> None:
    """Remove the views whose files were deleted, and what was built on them, from the registry.

    A view that is broken for the moment stays, and so do values online: a version that serves may read them.
    """
    gone = {view.name for view in store.list_feature_views() if view.name not in kept}
    for service in store.list_feature_services():
        used = {item.name for item in service.feature_view_projections}
        if used & gone and service.name not in wanted:
            store.delete_feature_service(service.name)
    for view in store.list_on_demand_feature_views():
        used = {item.name for item in view.source_feature_view_projections.values()}
        if used & gone and view.name not in wanted:
            store.delete_feature_view(view.name)
    for name in gone:
        store.delete_feature_view(name)
        store.registry.delete_data_source(name, store.project)


def _services(
    settings: Settings, views: Mapping[str, FeatureView]
) -> tuple[list[FeatureService], list[OnDemandFeatureView]]:
    services, computed = [], []
    for folder in model_folders(settings.model_folders).values():
        try:
            service, on_demand = feature_service(folder, views)
        except ContractError as error:
            _log.warning("model %s has no feature service: %s", folder.name, error)
            continue
        services.append(service)
        computed.extend(on_demand)
    return services, computed


def _definitions_hash(
    settings: Settings,
    views: Mapping[str, View],
    kept: Collection[str],
    services: list[FeatureService],
    computed: list[OnDemandFeatureView],
) -> str:
    return content_hash(
        {
            "configuration": configuration(settings),
            "online_layout": LAYOUT,
            "views": [view.definition.model_dump(mode="json") for view in views.values()],
            "kept": sorted(kept),
            "services": [_service_content(service) for service in services],
            "computed": {view.name: view.udf_string for view in computed},
        }
    )


def _service_content(service: FeatureService) -> dict[str, Any]:
    # Feast's own text of a service carries the moment it was made.
    return {
        "name": service.name,
        "owner": service.owner,
        "description": service.description,
        "tags": service.tags,
        "features": {
            item.name: [feature.name for feature in item.features]
            for item in service.feature_view_projections
        },
    }
