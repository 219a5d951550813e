"""Scoring sets: the newest features of every entity, or of given ones, as of a moment, frozen as Parquet.

One query joins all views and streams: Feast's own join holds its answer in memory, and says of no view when
its row was made. A test holds both to the same values.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

from include.adapters.artefact_home import artefact_store
from include.adapters.defects import quoted
from include.adapters.files import sha256_of
from include.config.settings import Settings
from include.contracts.errors import ContractError, DataError
from include.contracts.routes import EntityKey, EntityType
from include.contracts.scoring import ScoringPlan, ScoringSet, stamp_column
from include.contracts.views import TIMESTAMP
from include.features.views import View, load_views, offline_folder

FILE_NAME = "features.parquet"
_KEY_TYPES = {EntityType.INT64: pyarrow.int64(), EntityType.STRING: pyarrow.string()}
_INT64 = range(-(2**63), 2**63)
_MEMORY = "2GB"
"""Beyond it DuckDB goes on in files."""
_WANTED = "wanted"


def freeze_scoring_set(
    settings: Settings, plan: ScoringPlan, entities: Sequence[int | str] | None = None
) -> ScoringSet:
    """Freeze the features a batch's version reads, as they were known to the views at its moment.

    Without a list, every entity is taken that has a usable row, none older than its TTL, in at least one
    view. Given ones are taken once each, whether a view knows them or not. Ordered by entity.

    Columns: the entity's key, then for each view its row's event time (`stamp_column`, null without one) and
    its features; those of a row past its TTL are null. The same rows give the same bytes.

    Raises:
        DataError: no view knows an entity then, a view was never computed, or an entity is no key.
        ContractError: the version reads what no view has any more.
    """
    if entities is not None:
        _check_keys(plan.entity, entities)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "set"
        folder.mkdir()
        rows = _write(settings, plan, entities, folder / FILE_NAME)
        if rows == 0:
            raise DataError(
                f"{plan.model}: no entity has features as of {plan.as_of}: compute those of the days before "
                "it first, or name the entities"
            )
        digest = sha256_of(folder / FILE_NAME)
        uri = f"scoring_sets/{plan.model}/{digest}"
        artefact_store(settings).publish(folder, uri)
    return ScoringSet(sha256=digest, uri=f"{uri}/{FILE_NAME}", rows=rows)


def _check_keys(key: EntityKey, entities: Sequence[int | str]) -> None:
    for place, value in enumerate(entities):
        if key.type is EntityType.STRING:
            fits = isinstance(value, str) and bool(value)
        else:
            fits = type(value) is int and value in _INT64
        if not fits:
            raise DataError(f"entities.{place}: this is no {key.name}, which is {key.type.value}")


def _write(settings: Settings, plan: ScoringPlan, entities: Sequence[int | str] | None, path: Path) -> int:
    """Stream the query into a file; return the rows."""
    rows = 0
    with duckdb.connect(config={"temp_directory": str(path.parents[1]), "memory_limit": _MEMORY}) as database:
        database.execute("SET TimeZone = 'UTC'")
        if entities is not None:
            keys = pyarrow.array(list(entities), _KEY_TYPES[plan.entity.type])
            database.register(_WANTED, pyarrow.table({plan.entity.name: keys}))
        found = database.sql(_query(settings, plan, given=entities is not None))
        reader = found.to_arrow_reader(settings.scoring_chunk_rows)
        with pyarrow.parquet.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    return rows


def _query(settings: Settings, plan: ScoringPlan, *, given: bool) -> str:
    views = _views(settings, plan)
    parts = [
        _ViewPart(
            alias=str(position),
            key=quoted(plan.entity.name),
            stamp=quoted(stamp_column(name)),
            features=tuple(quoted(feature) for feature in features),
            files=_files(settings, views[name], plan.as_of),
            usable_since=_usable_since(plan, name),
        )
        for position, (name, features) in enumerate(plan.signature.views.items())
    ]
    key = quoted(plan.entity.name)
    entities = _given(key) if given else " UNION ".join(part.known for part in parts)
    columns = ", ".join(column for part in parts for column in part.columns)
    return (
        f"WITH {', '.join(part.newest(given=given) for part in parts)}, entity AS ({entities}) "  # noqa: S608 - names are validated, paths quoted
        f"SELECT entity.{key}, {columns} FROM entity {' '.join(part.join for part in parts)} "
        f"ORDER BY entity.{key}"
    )


def _given(key: str) -> str:
    return f"SELECT DISTINCT {key} FROM {_WANTED}"  # noqa: S608


@dataclass(frozen=True)
class _ViewPart:
    """One view's part of the query; names are quoted."""

    alias: str
    key: str
    stamp: str
    features: tuple[str, ...]
    files: str
    usable_since: str

    def newest(self, *, given: bool) -> str:
        """Return each entity's newest stamp: only keys and stamps are held while rows stream by."""
        among = f"WHERE {self.key} IN ({_given(self.key)})" if given else ""
        return (
            f"newest_{self.alias} AS (SELECT {self.key}, max({TIMESTAMP}) AS stamp "  # noqa: S608
            f"FROM {self.files} {among} GROUP BY {self.key})"
        )

    @property
    def known(self) -> str:
        """Return the entities with a usable row."""
        return f"SELECT {self.key} FROM newest_{self.alias} WHERE stamp >= {self.usable_since}"  # noqa: S608

    @property
    def join(self) -> str:
        """Return the join of stamps, and of the values that are still usable."""
        newest, values = f"newest_{self.alias}", f"values_{self.alias}"
        return (
            f"LEFT JOIN {newest} ON {newest}.{self.key} = entity.{self.key} "  # noqa: S608
            f"LEFT JOIN (SELECT * FROM {self.files} WHERE {TIMESTAMP} >= {self.usable_since}) AS {values} "
            f"ON {values}.{self.key} = entity.{self.key} AND {values}.{TIMESTAMP} = {newest}.stamp"
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the stamp and the features, as expressions."""
        values = (f"values_{self.alias}.{feature}" for feature in self.features)
        return (f"newest_{self.alias}.stamp AS {self.stamp}", *values)


def _views(settings: Settings, plan: ScoringPlan) -> dict[str, View]:
    views = load_views(settings)
    if not plan.signature.views:
        raise ContractError(f"{plan.model} {plan.version} reads no feature view, so none names its entities")
    for name, features in plan.signature.views.items():
        if name not in views:
            raise ContractError(f"{plan.model} {plan.version} reads the view {name!r}, which is gone")
        missing = sorted({*features, plan.entity.name} - set(views[name].definition.columns))
        if missing:
            raise ContractError(
                f"{plan.model} {plan.version} reads {', '.join(missing)} of the view {name!r}, "
                "which has no such column any more"
            )
    return {name: views[name] for name in plan.signature.views}


def _files(settings: Settings, view: View, as_of: datetime) -> str:
    folder = offline_folder(settings, view.name)
    last = as_of.date().isoformat()
    paths = [str(path) for path in sorted(folder.glob("*.parquet")) if path.stem <= last]
    if not paths:
        raise DataError(f"view {view.name!r} has no features up to {last} in {folder}: compute them first")
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _usable_since(plan: ScoringPlan, view: str) -> str:
    ttl = plan.feature_ttl_seconds.get(view)
    if ttl is None:
        return "TIMESTAMPTZ '-infinity'"
    return f"TIMESTAMPTZ '{(plan.as_of - timedelta(seconds=ttl)).isoformat(sep=' ')}'"
