"""`make new-model NAME=… [TASK=… ENTITY=…]`: a model folder that loads, parses and trains."""

import argparse
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from include.adapters.source_definitions import locate_source
from include.commands.contract_reference import SCHEMA
from include.commands.terminal import run_command
from include.config.models import ModelFolder, model_folders
from include.config.settings import Settings, settings
from include.config.views import SHARED_VIEWS, read_view_definition
from include.contracts.errors import PlatformError
from include.contracts.signatures import FeatureKind, Task
from include.contracts.sources import ColumnType, SourceDefinition
from include.contracts.views import ViewDefinition, ViewField

TEMPLATES = Path(__file__).with_name("model_template")
PLACEHOLDER = "your-"
"""What a value begins with that its owner has yet to write."""
BLANK = "Write here"
"""What a runbook's sentence begins with that its owner has yet to write."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_NUMBERS = frozenset({ColumnType.INT64, ColumnType.FLOAT64})


@dataclass(frozen=True)
class _Start:
    """What a task begins with: label and gates that a first training can be judged by."""

    label: str
    value: str
    threshold: str
    metric: str
    margin: float
    tolerance: float
    classes: str = ""


_STARTS = {
    Task.BINARY: _Start(
        label="1 where {entity} is not seen in [t, t + 14 days), among those seen in the 30 days before t.",
        value="CASE WHEN followed.times IS NULL THEN 1 ELSE 0 END",
        threshold="{metric: roc_auc, minimum: 0.6}",
        metric="roc_auc",
        margin=0.02,
        tolerance=0.01,
    ),
    Task.MULTICLASS: _Start(
        label="0, 1, 2 or more times that {entity} is seen in [t, t + 14 days), among those seen before.",
        value="least(coalesce(followed.times, 0), 2)",
        threshold="{metric: accuracy, minimum: 0.4}",
        metric="accuracy",
        margin=0.0,
        tolerance=0.01,
        classes="\nclasses: [never, once, often]",
    ),
    Task.REGRESSION: _Start(
        label="Times that {entity} is seen in [t, t + 14 days), among those seen in the 30 days before t.",
        value="coalesce(followed.times, 0)",
        threshold="{metric: r2, minimum: 0.1}",
        metric="mean_absolute_error",
        margin=0.0,
        tolerance=0.1,
    ),
}


def main() -> None:
    """Scaffold as the command line says."""
    parser = argparse.ArgumentParser(prog="make new-model", description=__doc__)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--task", type=Task, choices=list(Task), default=Task.BINARY, metavar="TASK")
    parser.add_argument("--entity", metavar="ENTITY", help="key of the views to begin with; else the first")
    given = parser.parse_args()
    run_command(lambda: print(new_model(settings(), given.name, given.task, given.entity)))


def new_model(settings: Settings, name: str, task: Task, entity: str | None) -> str:
    """Write a model folder into the first of the model folders, and return what to do next.

    Nothing is written where the folder would not load.

    Args:
        settings: says where model folders lie.
        name: the model's name.
        task: what it predicts.
        entity: key of the shared views it begins with; None takes those there are.

    Raises:
        PlatformError: the name is taken or none, or no shared view is kept by the entity.
    """
    if not _NAME.fullmatch(name):
        raise PlatformError(f"{name!r} cannot be a model's name: write lower-case letters, digits, _")
    if name in model_folders(settings.model_folders):
        raise PlatformError(f"there is already a model {name!r}; choose another NAME")
    target = settings.model_folders[0] / name
    if target.exists():
        raise PlatformError(f"{target} exists already; choose another NAME, or remove it")
    view = _view_of(entity)
    filled = _values(target, task, view, _source_of(settings, view))
    with TemporaryDirectory(dir=settings.model_folders[0], prefix=".new-") as temporary:
        draft = Path(temporary) / name
        _write(draft, filled)
        _ = ModelFolder(draft).contract
        shutil.move(draft, target)
    return (
        f"{target} loads and parses; now make it yours:\n"
        f"  label.sql says what is predicted, contract.yaml the rest (docs/contract.md)\n"
        f"  make train MODEL={name} AS_OF=<day>   trains and judges it here, registers nothing\n"
        f"  make readiness MODEL={name}           says what is left to do before production"
    )


def _view_of(entity: str | None) -> ViewDefinition:
    """Return the smallest shared view of an entity that has a number in it."""
    views = [read_view_definition(path) for path in sorted(SHARED_VIEWS.glob("*.yaml"))]
    mine = [view for view in views if entity in {None, view.entity.name} and _numbers(view)]
    if not mine:
        known = ", ".join(sorted({view.entity.name for view in views}))
        raise PlatformError(
            f"no shared feature view is kept by {entity!r}; there are views of: {known}. A model that brings "
            "its own source and view: docs/features-howto.md"
        )
    return min(mine, key=lambda view: len(view.fields))


def _source_of(settings: Settings, view: ViewDefinition) -> SourceDefinition:
    """Return the first source of a view that says when something happened to its entity."""
    definitions = (locate_source(settings, name).definition for name in view.sources)
    fit = (item for item in definitions if item.event_at is not None and view.entity.name in item.columns)
    found = next(fit, None)
    if found is None:
        raise PlatformError(f"no source of the view {view.name!r} says when something happened")
    return found


def _values(target: Path, task: Task, view: ViewDefinition, source: SourceDefinition) -> dict[str, object]:
    start = _STARTS[task]
    label = start.label.format(entity=view.entity.name)
    return {
        "schema": os.path.relpath(SCHEMA, target),
        "name": target.name,
        "task": task.value,
        "question": f"{PLACEHOLDER}question, in a sentence",
        "classes": start.classes,
        "entity": view.entity.name,
        "entity_type": view.entity.type.value,
        "label": label,
        "value": start.value,
        "source": source.name,
        "event_at": source.event_at,
        "inputs": "\n".join(f"    - {_input(view, field)}" for field in view.fields),
        "feature": _numbers(view)[0].name,
        "threshold": start.threshold,
        "metric": start.metric,
        "margin": start.margin,
        "tolerance": start.tolerance,
    }


def _numbers(view: ViewDefinition) -> list[ViewField]:
    return [field for field in view.fields if field.dtype in _NUMBERS]


def _input(view: ViewDefinition, field: ViewField) -> str:
    kind = FeatureKind.CATEGORICAL if field.dtype is ColumnType.STRING else FeatureKind.NUMERIC
    return f"{{name: {field.name}, kind: {kind.value}, view: {view.name}}}"


def _write(folder: Path, values: Mapping[str, object]) -> None:
    folder.mkdir()
    for template in TEMPLATES.glob("*.template"):
        text = Template(template.read_text(encoding="utf-8")).substitute(values)
        (folder / template.stem).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
