"""Feature views as files: one `.yaml` that says what a view is, one `.sql` that says how it is computed.

The SQL reads relations named as its sources and a relation `days(day TIMESTAMP)` of UTC midnights, and
gives one row per entity and day: the entity's key, `event_timestamp` = day, and the fields. A row may
use only what happened before its day.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.adapters.sources import tables_of
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.checks import Checks
from include.contracts.errors import ContractError
from include.contracts.moments import Duration
from include.contracts.routes import EntityKey
from include.contracts.sources import ColumnType

SHARED_VIEWS = REPOSITORY_ROOT / "include" / "features" / "views"
VIEWS_NAME = "views"
"""Folder of a model folder that holds its own views."""
DAYS = "days"
"""Relation of the days to compute."""
TIMESTAMP = "event_timestamp"
"""Column of a row's day."""


class ViewField(BaseModel):
    """One feature of a view."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    dtype: ColumnType
    description: str


class ViewDefinition(BaseModel):
    """`views/<name>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    owner: str
    entity: EntityKey
    ttl: Duration
    """Age past which a value must not be used any more."""
    sources: tuple[str, ...] = Field(min_length=1)
    fields: tuple[ViewField, ...] = Field(min_length=1)
    window: Duration | None = None
    """How far before its day a row looks; none means: as far as there is anything."""
    checks: Checks = Checks()
    """What its rows must be like before they are published."""

    @model_validator(mode="after")
    def _checked_are_columns(self) -> "ViewDefinition":
        unknown = sorted(self.checks.named - set(self.columns))
        if unknown:
            raise ValueError(f"checks name columns that do not exist: {', '.join(unknown)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a computed row, in order."""
        return (self.entity.name, TIMESTAMP, *(field.name for field in self.fields))


@dataclass(frozen=True)
class View:
    """A view's definition, its query, and the model folder that brought it, if one did."""

    definition: ViewDefinition
    sql: str
    model_folder: Path | None = None

    @property
    def name(self) -> str:
        """Name of the view."""
        return self.definition.name


def load_views(settings: Settings) -> dict[str, View]:
    """Return all views by name, the shared ones and those of the model folders.

    Raises:
        ContractError: a definition or its query is missing or wrong, or a name is taken twice.
    """
    models = sorted(path.parent for root in settings.model_folders for path in root.glob(f"*/{VIEWS_NAME}"))
    found: dict[str, View] = {}
    for folder, model in ((SHARED_VIEWS, None), *((path / VIEWS_NAME, path) for path in models)):
        for path in sorted(folder.glob("*.yaml")):
            view = _read_view(path, model)
            if view.name in found:
                raise ContractError(f"{path}: there is already a feature view named {view.name!r}")
            found[view.name] = view
    return found


def offline_folder(settings: Settings, view: str) -> Path:
    """Return the folder of a view's offline rows, one Parquet file a day."""
    return settings.features_folder / "offline" / view


def _read_view(path: Path, model_folder: Path | None) -> View:
    query = path.with_suffix(".sql")
    if not query.is_file():
        raise ContractError(f"{path}: its query {query.name} is missing")
    try:
        definition = ViewDefinition.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise ContractError(f"{path}: {error}") from error
    sql = query.read_text(encoding="utf-8")
    if definition.name != path.stem:
        raise ContractError(f"{path}: the view's name {definition.name!r} must equal its file's name")
    if tables_of(sql) != {DAYS, *definition.sources}:
        raise ContractError(
            f"{query}: it reads {', '.join(sorted(tables_of(sql)))}; "
            f"it must read {DAYS} and the sources named in {path.name}: {', '.join(definition.sources)}"
        )
    return View(definition, sql, model_folder)
