"""The gateway's read side of Feast: the latest values of entities, straight from the online store.

It reads what was materialised last at every call; only the registry, which says what views there are, is
kept. Half of what Feast's own `get_online_features` costs is spared by calling its store directly; a test
holds the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Error as SqliteError

from feast import FeatureStore, FeatureView, RepoConfig
from feast.errors import FeatureViewNotFoundException
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError

from include.adapters.online_backend import is_redis, reader_configuration
from include.config.settings import Settings
from include.contracts.errors import ServingError
from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey, EntityType

PROJECT = "ninety"
"""Feast's project; a part of the online tables' names."""


@dataclass(frozen=True)
class OnlineRow:
    """One entity's latest values."""

    features: dict[str, dict[str, FeatureValue]]
    """By view and feature name; None where the value is null or the entity has no row in the view."""
    timestamps: dict[str, datetime | None]
    """Event time by view, UTC; None where the entity has no row in it."""


class OnlineFeatures:
    """Reads the online store; one object serves a process for its life."""

    def __init__(self, settings: Settings) -> None:
        self._config = RepoConfig(
            project=PROJECT,
            provider="local",
            registry={"path": str(settings.feature_registry), "cache_ttl_seconds": 0},
            online_store=reader_configuration(settings),
            entity_key_serialization_version=3,
        )
        self._store, self._failures = _store(settings)
        self._views: dict[str, FeatureView] = {}

    def read(
        self, entity_key: EntityKey, values: Sequence[int | str], views: Mapping[str, Sequence[str]]
    ) -> list[OnlineRow]:
        """Return one row per key value, in order.

        Args:
            entity_key: name and type of the key.
            values: key values; they may repeat.
            views: names of the wanted features by view.

        Raises:
            ServingError: a view is not registered or was never materialised, or registry or store cannot
                be read.
        """
        keys = [_key(entity_key, value) for value in values]
        read = {name: self._read_view(name, keys, wanted) for name, wanted in views.items()}
        return [_row(views, {name: rows[index] for name, rows in read.items()}) for index in range(len(keys))]

    def _read_view(
        self, name: str, keys: list[EntityKeyProto], wanted: Sequence[str]
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        try:
            rows: list[tuple[datetime | None, dict[str, Value] | None]] = self._store.online_read(
                self._config, self._view(name), keys, list(wanted)
            )
        except self._failures as error:
            raise ServingError(
                f"feature view {name!r} cannot be read from the online store: {error}; was it materialised?"
            ) from error
        return rows

    def _view(self, name: str) -> FeatureView:
        if name not in self._views:
            try:
                self._views[name] = FeatureStore(config=self._config).get_feature_view(name)
            except FeatureViewNotFoundException as error:
                raise ServingError(f"feature view {name!r} is not in the registry: {error}") from error
            except (OSError, DecodeError) as error:
                raise ServingError(f"the feature registry cannot be read: {error}") from error
        return self._views[name]


def _store(settings: Settings) -> tuple[OnlineStore, tuple[type[Exception], ...]]:
    """Return the store to read and what it raises; Redis is only imported where it is used."""
    if not is_redis(settings):
        return SqliteOnlineStore(), (SqliteError, DecodeError)
    from feast.infra.online_stores.redis import RedisOnlineStore  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    return RedisOnlineStore(), (RedisError, DecodeError)


def _key(entity_key: EntityKey, value: int | str) -> EntityKeyProto:
    typed = (
        Value(int64_val=int(value)) if entity_key.type is EntityType.INT64 else Value(string_val=str(value))
    )
    return EntityKeyProto(join_keys=[entity_key.name], entity_values=[typed])


def _row(
    views: Mapping[str, Sequence[str]],
    read: Mapping[str, tuple[datetime | None, dict[str, Value] | None]],
) -> OnlineRow:
    features: dict[str, dict[str, FeatureValue]] = {}
    timestamps: dict[str, datetime | None] = {}
    for name, wanted in views.items():
        moment, protos = read[name]
        # Where there is no row, SQLite gives no moment and Redis the epoch.
        is_row = moment is not None and bool(moment.timestamp()) and bool(protos)
        timestamps[name] = moment.astimezone(UTC) if moment is not None and is_row else None
        features[name] = {feature: _value((protos or {}).get(feature)) for feature in wanted}
    return OnlineRow(features, timestamps)


def _value(proto: Value | None) -> FeatureValue:
    kind = None if proto is None else proto.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    value: FeatureValue = getattr(proto, kind)
    return value
