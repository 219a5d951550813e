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

from include.adapters.sources import tables_of
from include.config.models import model_folders
from include.config.settings import Settings
from include.config.views import SHARED_VIEWS, VIEWS_NAME, read_view_definition
from include.contracts.errors import ContractError, NinetyError
from include.contracts.views import ViewDefinition

DAYS = "days"
"""Relation of the days to compute."""

_log = logging.getLogger(__name__)


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

    @property
    def path(self) -> Path:
        """File of the query."""
        folder = SHARED_VIEWS if self.model_folder is None else self.model_folder / VIEWS_NAME
        return folder / f"{self.name}.sql"


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
            contract = folder.written
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
    return settings.offline_folder / view


def _read_view(path: Path, model_folder: Path | None) -> View:
    query = path.with_suffix(".sql")
    if not query.is_file():
        raise ContractError(f"{path}: its query {query.name} is missing")
    definition = read_view_definition(path)
    sql = query.read_text(encoding="utf-8")
    if tables_of(sql) != {DAYS, *definition.sources}:
        raise ContractError(
            f"{query}: it reads {', '.join(sorted(tables_of(sql)))}; "
            f"it must read {DAYS} and the sources named in {path.name}: {', '.join(definition.sources)}"
        )
    return View(definition, sql, model_folder)
