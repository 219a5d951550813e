"""Request-time transforms as files: `transforms/<name>.py`, one function of that name and nothing else.

The function takes columns (a dict of lists of equal length) and gives a list of that length. It is run by
the feature store, which keeps only its text, and by the gateway, which has only the standard library to
spare: so it imports nothing else, and what it imports it imports inside.
"""

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import ContractError, ModelError
from include.contracts.predictions import FeatureValue
from include.contracts.signatures import FeatureInput

SHARED_TRANSFORMS = REPOSITORY_ROOT / "include" / "transforms"
TRANSFORMS_NAME = "transforms"
"""Folder of a model folder that holds its own transforms."""

Columns = dict[str, list[FeatureValue]]
TransformFunction = Callable[[Columns], Sequence[FeatureValue]]


@dataclass(frozen=True)
class Transform:
    """A transform's text, and what it defines."""

    name: str
    source: str
    """The function alone, as it stands in its file."""

    @cached_property
    def function(self) -> TransformFunction:
        """The function; it sees nothing of its module."""
        scope: dict[str, TransformFunction] = {}
        exec(compile(self.source, f"<transform {self.name}>", "exec"), scope)  # noqa: S102 - the repository's own code
        return scope[self.name]

    @property
    def sha256(self) -> str:
        """Hash of the text."""
        return sha256(self.source.encode()).hexdigest()


def load_transform(name: str, model_folder: Path | None = None) -> Transform:
    """Return a transform; a model folder's own comes before a shared one.

    Raises:
        ContractError: there is none of that name, or it is not one self-contained function.
    """
    own = () if model_folder is None else (model_folder / TRANSFORMS_NAME,)
    for folder in (*own, SHARED_TRANSFORMS):
        path = folder / f"{name}.py"
        if path.is_file():
            return _read(path)
    raise ContractError(
        f"no transform {name!r}: neither in {SHARED_TRANSFORMS} nor in the model's own {TRANSFORMS_NAME}/"
    )


def as_trained(transform: Transform, version: str, trained_sha256: Mapping[str, str]) -> Transform:
    """Return the transform, if its text is the one a version was trained with.

    Raises:
        ContractError: it is not.
    """
    if trained_sha256.get(transform.name) != transform.sha256:
        raise ContractError(
            f"transform {transform.name!r} is not the one version {version} was trained with; "
            "bring its text back, and give the changed one a name of its own"
        )
    return transform


def run_transform(
    transform: Transform,
    item: FeatureInput,
    rows: Sequence[Mapping[str, FeatureValue]],
    seconds: Sequence[float],
) -> Sequence[FeatureValue]:
    """Return an input's values for rows of view features, each at its moment in seconds since 1970 UTC.

    Raises:
        ModelError: the transform fails, or gives another number of values.
    """
    columns: Columns = {
        column.name: list(seconds) if column.view is None else [row[column.name] for row in rows]
        for column in item.reads
    }
    try:
        values = transform.function(columns)
    except Exception as error:
        raise ModelError(f"transform {transform.name!r} fails: {type(error).__name__}") from error
    if len(values) != len(rows):
        raise ModelError(f"transform {transform.name!r} gives {len(values)} values for {len(rows)} rows")
    return values


def _read(path: Path) -> Transform:
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ContractError(f"{path} is not Python: {error}") from error
    statements = [node for node in tree.body if not _is_text(node)]
    if len(statements) != 1 or not isinstance(statements[0], ast.FunctionDef):
        raise ContractError(f"{path} must hold one function and nothing else, imports inside of it")
    function = statements[0]
    if function.name != path.stem or function.decorator_list:
        raise ContractError(f"{path}: its function must be called {path.stem!r} and bear no decorator")
    foreign = sorted(_imported(function) - sys.stdlib_module_names)
    if foreign:
        raise ContractError(f"{path} imports {', '.join(foreign)}; only the standard library is at hand")
    return Transform(path.stem, ast.get_source_segment(text, function) or "")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _imported(function: ast.FunctionDef) -> set[str]:
    names = {
        alias.name for node in ast.walk(function) if isinstance(node, ast.Import) for alias in node.names
    } | {node.module or "" for node in ast.walk(function) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}
