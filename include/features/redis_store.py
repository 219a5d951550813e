"""Feast's Redis online store with a guard against older values that holds under concurrent writers.

Feast's own compares in the client, between two round trips, and refuses a row of the same timestamp too, so
that a day computed again would never reach the readers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from feast import FeatureView, utils
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig, _versioned_fv_name
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from google.protobuf.timestamp_pb2 import Timestamp

OnlineValue = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

# The stored timestamp is a protobuf: field 1 is a varint of seconds, which is all our stamps carry.
_GUARD = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and #stored > 1 and stored:byte(1) == 8 then
    local seconds, scale, at = 0, 1, 2
    repeat
        local byte = stored:byte(at)
        seconds = seconds + (byte % 128) * scale
        scale, at = scale * 128, at + 1
    until byte < 128
    if seconds > tonumber(ARGV[2]) then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], unpack(ARGV, 3))
return 1
"""


class GuardedRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the guarded store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.redis_store.GuardedRedisOnlineStore"


class GuardedRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc] # Feast has no types
    """Redis, where an entity's values are replaced whole, and never by some with an older event timestamp.

    The server itself compares and writes, in one script: no other writer comes in between.
    """

    @contextmanager
    def one_write(self, config: RepoConfig) -> Iterator[None]:  # noqa: ARG002 - as the SQLite store has it
        """Write what is written inside as it comes: Redis has no transaction that readers see through.

        An entity's values change whole; a run that dies is completed by the next one.
        """
        yield

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[OnlineValue],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows, each if what is stored is not newer, in whole seconds; one round trip."""
        client = self._get_client(config.online_store)
        script = client.register_script(_GUARD)
        client.script_load(_GUARD)
        with client.pipeline(transaction=False) as pipe:
            for entity_key, values, moment, _ in data:
                key = _redis_key(config.project, entity_key, config.entity_key_serialization_version)
                arguments = list(_arguments(_versioned_fv_name(table, config), values, moment))
                pipe.evalsha(script.sha, 1, key, *arguments)
            pipe.execute()
        if progress:
            progress(len(data))


def _arguments(view: str, values: dict[str, Value], moment: datetime) -> Iterator[bytes | str | int]:
    stamp = Timestamp()
    stamp.FromDatetime(utils.make_tzaware(moment))
    yield f"_ts:{view}"
    yield stamp.seconds
    yield stamp.SerializeToString()
    for name, value in values.items():
        yield _mmh3(f"{view}:{name}")
        yield value.SerializeToString()
