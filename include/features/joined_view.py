"""What a point-in-time join needs to know of one feature view, whatever engine joins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from feast import FeatureView


@dataclass(frozen=True)
class JoinedView:
    """A view of which features are asked for."""

    relation: str
    """The files, as the engine's SQL names them."""
    keys: tuple[tuple[str, str], ...]
    """(column of the files, column of the entity rows)."""
    features: tuple[tuple[str, str], ...]
    """(column of the files, name in the result)."""
    timestamp: str
    created: str | None
    ttl: timedelta | None

    @classmethod
    def of(cls, view: FeatureView, refs: Sequence[str], relation: str, *, full_names: bool) -> Self:
        """Return a view with those of the references `view:feature` that are its own."""
        source = view.batch_source
        raw = {new: old for old, new in source.field_mapping.items()}
        wanted = [ref.split(":")[1] for ref in refs if ref.split(":")[0] == view.projection.name_to_use()]
        prefix = f"{view.projection.name_alias or view.name}__" if full_names else ""
        keys = view.projection.join_key_map or {item.name: item.name for item in view.entity_columns}
        return cls(
            relation=relation,
            keys=tuple((raw.get(ours, ours), theirs) for ours, theirs in keys.items()),
            features=tuple((raw.get(name, name), prefix + name) for name in wanted),
            timestamp=source.timestamp_field,
            created=source.created_timestamp_column or None,
            ttl=view.ttl or None,
        )
