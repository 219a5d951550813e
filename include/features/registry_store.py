"""Feast's registry file, written in one step: Feast truncates it in place, so a reader could meet half."""

from uuid import uuid4

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.utils import _utc_now

from include.adapters.files import write_atomically


class AtomicFileRegistryStore(FileRegistryStore):  # type: ignore[misc] # Feast has no types
    """A file registry whose readers see the old registry or the new one."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid4())
        registry_proto.last_updated.FromDatetime(_utc_now())
        write_atomically(self._filepath, registry_proto.SerializeToString())
