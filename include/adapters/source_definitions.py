"""Where sources are defined and where their files lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb
from pydantic import ValidationError

from include.adapters.defects import literal
from include.adapters.duckdb_engine import raw_relation
from include.adapters.engines import Engine, EngineError, RawRows
from include.config.problems import problems_of
from include.config.settings import REPOSITORY_ROOT, Settings
from include.config.strict_yaml import read_yaml
from include.contracts.errors import ContractError, SourceError
from include.contracts.sources import SOURCES_NAME, SourceDefinition

SHARED_SOURCES = REPOSITORY_ROOT / "include" / "data" / "sources"

_PACKAGE_SCHEME = "package:"


@dataclass(frozen=True)
class LocatedSource:
    """A source's definition and the URI its rows are read from."""

    definition: SourceDefinition
    uri: str

    @property
    def relation(self) -> str:
        """The table function by which DuckDB reads the raw rows."""
        return raw_relation(self.uri)

    def raw(self, engine: Engine) -> RawRows:
        """Return the raw rows and their columns' types.

        Raises:
            SourceError: the file cannot be read.
        """
        try:
            return engine.raw(self.uri)
        except EngineError as error:
            raise SourceError(
                f"source {self.definition.name!r} cannot be read from {self.uri}: {error}"
            ) from error

    def state(self) -> list[tuple[str, int, str]]:
        """Return name, size and modification time of each file: equal while nothing was written.

        Raises:
            SourceError: the files cannot be listed.
        """
        query = (
            f"SELECT filename, size, last_modified::VARCHAR FROM read_blob({literal(self.uri)}) ORDER BY ALL"  # noqa: S608
        )
        with duckdb.connect() as connection:
            try:
                rows = connection.execute(query).fetchall()
            except duckdb.Error as error:
                raise SourceError(
                    f"source {self.definition.name!r} cannot be read from {self.uri}: {error}"
                ) from error
        return [(name, size, modified) for name, size, modified in rows]

    def missing(self, raw: Mapping[str, str]) -> list[str]:
        """Return the raw columns that are needed and not there."""
        needed = (item.column for item in self.definition.columns.values() if item.otherwise is None)
        return sorted(name for name in needed if name not in raw)


def locate_source(settings: Settings, name: str, model_folders: Sequence[Path] = ()) -> LocatedSource:
    """Return a source by name; a model folder's own definition comes before the shared one.

    Raises:
        SourceError: there is no definition, or it is wrong.
    """
    folders = (*(folder / SOURCES_NAME for folder in model_folders), SHARED_SOURCES)
    path = next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)
    if path is None:
        raise SourceError(
            f"no source {name!r}: there is no {name}.yaml in {', '.join(str(folder) for folder in folders)}"
        )
    definition = _read_definition(path)
    return LocatedSource(definition, settings.sources.get(name) or _located(definition.uri, path.parent))


def source_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the sources a folder defines."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _read_definition(path: Path) -> SourceDefinition:
    try:
        definition = SourceDefinition.model_validate(read_yaml(path))
    except ContractError as error:
        raise SourceError(str(error)) from error
    except ValidationError as error:
        raise SourceError(problems_of(path, SourceDefinition, error)) from error
    if definition.name != path.stem:
        raise SourceError(f"{path}: the source's name {definition.name!r} must equal its file's name")
    return definition


def _located(uri: str, folder: Path) -> str:
    if not uri.startswith(_PACKAGE_SCHEME):
        return str(folder / uri)
    package, _, path = uri.removeprefix(_PACKAGE_SCHEME).partition("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{uri}: the package {package!r} is not installed; run `make setup`")
    return str(Path(next(iter(found.submodule_search_locations))) / path)
