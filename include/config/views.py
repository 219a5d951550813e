"""What a contract may ask of the feature views: read from their definitions alone."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from include.config.problems import problems_of
from include.config.settings import REPOSITORY_ROOT
from include.config.strict_yaml import read_yaml
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from include.contracts.signatures import FeatureKind
from include.contracts.sources import ColumnType
from include.contracts.views import ViewDefinition

SHARED_VIEWS = REPOSITORY_ROOT / "include" / "features" / "views"
VIEWS_NAME = "views"
"""Folder of a model folder that holds its own views."""

_READS_AS = {
    FeatureKind.NUMERIC: frozenset({ColumnType.INT64, ColumnType.FLOAT64, ColumnType.BOOL}),
    FeatureKind.CATEGORICAL: frozenset({ColumnType.STRING}),
}


def read_view_definition(path: Path) -> ViewDefinition:
    """Return what a view's `.yaml` says.

    Raises:
        ContractError: it is wrong, or its name is not its file's.
    """
    try:
        definition = ViewDefinition.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ContractError(problems_of(path, ViewDefinition, error)) from error
    if definition.name != path.stem:
        raise ContractError(f"{path}: the view's name {definition.name!r} must equal its file's name")
    return definition


def named_views(contract: ModelContract, folder: Path) -> dict[str, ViewDefinition]:
    """Return the definitions of the views a contract names, a model folder's own before the shared ones.

    Names without a definition are left out.

    Raises:
        ContractError: a definition is wrong.
    """
    names = {*contract.signature.views, *(part.view for part in contract.slices)}
    places = (folder / VIEWS_NAME, SHARED_VIEWS)
    found = {}
    for name in sorted(names):
        path = next((place / f"{name}.yaml" for place in places if (place / f"{name}.yaml").is_file()), None)
        if path is not None:
            found[name] = read_view_definition(path)
    return found


def check_views(contract: ModelContract, folder: Path) -> None:
    """Refuse a contract that names what no feature view has.

    Raises:
        ContractError: one line per problem, each with the path of its key and what there is.
    """
    views = named_views(contract, folder)
    wrong = [*_wrong_inputs(contract, views), *_wrong_slices(contract, views), *_wrong_keys(contract, views)]
    if wrong:
        raise ContractError("\n".join([f"{folder}:", *(f"  {line}" for line in wrong)]))


def _wrong_inputs(contract: ModelContract, views: dict[str, ViewDefinition]) -> Iterator[str]:
    for index, item in enumerate(contract.features.inputs):
        where = f"features.inputs.{index}"
        if item.view is not None:
            yield from _unknown(where, item.view, item.name, views)
            yield from _mistyped(where, item.view, item.name, item.kind, views)
        for place, read in enumerate(item.reads):
            if read.view is not None:
                yield from _unknown(f"{where}.reads.{place}", read.view, read.name, views)


def _wrong_slices(contract: ModelContract, views: dict[str, ViewDefinition]) -> Iterator[str]:
    for index, part in enumerate(contract.slices):
        yield from _unknown(f"slices.{index}", part.view, part.column, views)


def _wrong_keys(contract: ModelContract, views: dict[str, ViewDefinition]) -> Iterator[str]:
    for name, view in views.items():
        if view.entity != contract.entity:
            yield (
                f"entity: the view {name!r} is kept by {view.entity.name} ({view.entity.type.value}), "
                f"the model by {contract.entity.name} ({contract.entity.type.value})"
            )


def _unknown(where: str, view: str, column: str, views: dict[str, ViewDefinition]) -> Iterator[str]:
    if view not in views:
        shared = ", ".join(sorted(path.stem for path in SHARED_VIEWS.glob("*.yaml")))
        yield f"{where}.view: there is no feature view {view!r}; shared ones: {shared}"
    elif column not in (names := [field.name for field in views[view].fields]):
        yield f"{where}: the view {view!r} has no column {column!r}; it has: {', '.join(names)}"


def _mistyped(
    where: str, view: str, column: str, kind: FeatureKind, views: dict[str, ViewDefinition]
) -> Iterator[str]:
    fields = {field.name: field.dtype for field in views[view].fields} if view in views else {}
    if column in fields and fields[column] not in _READS_AS[kind]:
        yield f"{where}.kind: {column!r} of {view!r} is {fields[column].value}, which is not {kind.value}"
