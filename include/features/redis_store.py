"""Feast's Redis online store with a guard against older values that holds under concurrent writers.

Feast's own compares in the client, between two round trips, and refuses a row of the same timestamp too, so
that a day computed again would never reach the readers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from feast import Entity, FeatureView
from feast.infra.online_stores.helpers import _redis_key
from feast.infra.online_stores.helpers import _redis_key_prefix as _key_prefix
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from include.adapters.online_rows import VIEWS_KEY, field_of, pack, stamp_field_of, unpack_stamped
from include.features.packed_values import OnlineValues, plain_values, seconds_of, to_values

_GUARD = """
local stored = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '')
if stored and stored > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
"""


class GuardedRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the guarded store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.redis_store.GuardedRedisOnlineStore"


class GuardedRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc] # Feast has no types
    """Redis, where an entity's values are replaced whole, and never by some with an older event timestamp.

    The server itself compares and writes, in one script: no other writer comes in between.
    """

    # Feast's Redis store asks for its own layout's fields there; the base class calls `online_read`.
    _read_features_per_fv = OnlineStore._read_features_per_fv

    @contextmanager
    def one_write(self, config: RepoConfig) -> Iterator[None]:  # noqa: ARG002 - as the SQLite store has it
        """Write what is written inside as it comes: Redis has no transaction that readers see through.

        An entity's values change whole; a run that dies is completed by the next one.
        """
        yield

    def update(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002 - Feast's signature
        entities_to_keep: Sequence[Entity],  # noqa: ARG002 - Feast's signature
        partial: bool,  # noqa: ARG002 - Feast's signature
    ) -> None:
        """Say which views may be read, and drop the values of those that are gone."""
        client = self._get_client(config.online_store)
        if tables_to_keep:
            client.sadd(VIEWS_KEY, *(view.name for view in tables_to_keep))
        for view in tables_to_delete:
            client.srem(VIEWS_KEY, view.name)
            self.delete_table(config, view)

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Drop a view's values of all entities."""
        client = self._get_client(config.online_store)
        pattern = _key_prefix(table.join_keys) + b"*" + config.project.encode()
        with client.pipeline(transaction=False) as pipe:
            for key in client.scan_iter(pattern):
                pipe.hdel(key, field_of(table.name), stamp_field_of(table.name))
            pipe.execute()

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: OnlineValues,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows, each if what is stored is not newer, in whole seconds; one round trip."""
        client = self._get_client(config.online_store)
        script = client.register_script(_GUARD)
        client.script_load(_GUARD)
        with client.pipeline(transaction=False) as pipe:
            for entity_key, values, moment, _ in data:
                key = _redis_key(config.project, entity_key, config.entity_key_serialization_version)
                seconds = seconds_of(moment)
                packed = pack((seconds, plain_values(values)))
                fields = stamp_field_of(table.name), seconds, field_of(table.name), packed
                pipe.evalsha(script.sha, 1, key, *fields)
            pipe.execute()
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Return each entity's event time and values; None and None where it has no row."""
        with self._get_client(config.online_store).pipeline(transaction=False) as pipe:
            for entity_key in entity_keys:
                key = _redis_key(config.project, entity_key, config.entity_key_serialization_version)
                pipe.hget(key, field_of(table.name))
            packed: list[bytes | None] = pipe.execute()
        rows = [None if item is None else unpack_stamped(item) for item in packed]
        return [to_values(table, requested_features, row) for row in rows]
