"""Feature views as files: one `.yaml` that says what a view is, one `.sql` that says how it is computed.

The SQL reads relations named as its sources and a relation `days(day TIMESTAMP)` of UTC midnights, and
gives one row per entity and day: the entity's key, `event_timestamp` = day, and the fields. A row may
use only what happened before its day.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.adapters.sources import tables_of
from include.config.models import model_folders
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.checks import Checks
from include.contracts.errors import ContractError, NinetyError
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

_log = logging.getLogger(__name__)


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
    window: Duration | None = None
    """How far before its day a row looks; none: at all there is, or its sources do not say when."""
    sources: tuple[str, ...] = Field(min_length=1)
    fields: tuple[ViewField, ...] = Field(min_length=1)
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


@dataclass(frozen=True)
class BrokenView:
    """A view of a model's own folder that cannot be read, computed or brought online."""

    model: str
    view: str
    error: str


Tell = Callable[[BrokenView], None]
"""Whom a broken view of a model folder is told to."""


def log_broken(broken: BrokenView) -> None:
    """Log which view of which model is left out, and why."""
    _log.error("view %s of model %s is left out: %s", broken.view, broken.model, broken.error)


def load_views(settings: Settings, tell: Tell = log_broken) -> dict[str, View]:
    """Return all views by name, the shared ones and those of the model folders.

    What is wrong with a model folder's view is told, and the view left out: it breaks that model alone.

    Args:
        settings: says where model folders lie.
        tell: gets each broken view of a model folder.

    Raises:
        ContractError: a shared definition or its query is missing or wrong.
    """
    models = sorted(path.parent for root in settings.model_folders for path in root.glob(f"*/{VIEWS_NAME}"))
    found: dict[str, View] = {}
    for folder, model in ((SHARED_VIEWS, None), *((path / VIEWS_NAME, path) for path in models)):
        for path in sorted(folder.glob("*.yaml")):
            with confined(model, path.stem, tell):
                view = _read_view(path, model)
                _check_beside(view, path, found)
                found[view.name] = view
    return found


def used_views(settings: Settings, tell: Tell = log_broken) -> dict[str, View]:
    """Return the views that a model's contract names, in its inputs or its slices, by name.

    What no model reads need not be computed: the demo's views ask nothing of a platform without its models.

    Raises:
        ContractError: as `load_views`.
    """
    named = set()
    for folder in model_folders(settings.model_folders).values():
        try:
            contract = folder.contract
        except ContractError as error:
            _log.warning("model %s needs no views: %s", folder.name, error)
            continue
        named |= {*contract.signature.views, *(part.view for part in contract.slices)}
    return {name: view for name, view in load_views(settings, tell).items() if name in named}


@contextmanager
def confined(model_folder: Path | None, view: str, tell: Tell) -> Iterator[None]:
    """Tell an error of a model folder's own view instead of raising it; a shared view's stops everybody."""
    try:
        yield
    except NinetyError as error:
        if model_folder is None:
            raise
        tell(BrokenView(model_folder.name, view, str(error)))


def _check_beside(view: View, path: Path, others: Mapping[str, View]) -> None:
    if view.name in others:
        raise ContractError(f"{path}: there is already a feature view named {view.name!r}")
    key = view.definition.entity
    for other in others.values():
        if other.definition.entity.name == key.name and other.definition.entity != key:
            raise ContractError(f"{path}: entity {key.name!r} has another type in the view {other.name!r}")


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
