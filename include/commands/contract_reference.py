"""`make contract-reference`: JSON schemas for editors and pages for people, of contracts and experiments.

All are read off the models of `include.contracts` and the docstrings under their keys.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from include.adapters.files import write_atomically
from include.commands.terminal import run_command
from include.config.problems import model_in
from include.config.settings import REPOSITORY_ROOT
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.model import ModelContract
from include.contracts.moments import format_duration

SCHEMA = REPOSITORY_ROOT / "docs" / "contract.schema.json"
PAGE = REPOSITORY_ROOT / "docs" / "contract.md"
EXPERIMENT_SCHEMA = REPOSITORY_ROOT / "docs" / "experiment.schema.json"
EXPERIMENT_PAGE = REPOSITORY_ROOT / "docs" / "experiment-plan.md"

_HEADING = """# The contract, key by key

`include/models/<model>/contract.yaml` is the hand-off between data science and engineering. It is
strict: a key that is not here, a value that is not allowed, a gate that can never pass or never be
judged, a slice that no view has: the contract is refused where it is read, with the path of the key and
what would be right, and only this model's DAGs stop. What is allowed and not carried out yet, a ramp of
several stages, a hold or a bake, is told by `make readiness`, and refused where a release opens.

Durations are a whole number and one of s, m, h, d, w: `90s`, `48h`, `14d`. Written by `make
contract-reference` from the docstrings in `include/contracts/`. An editor that reads
`contract.schema.json` completes and checks while you type: the first line of a contract names it.
"""

_EXPERIMENT_HEADING = """# An experiment's plan, key by key

`include/models/<model>/experiments/<name>.yaml`. How to run one: [experiments.md](experiments.md).

It is strict: a key that is not here, a value that is not allowed, shares that do not add up, a metric the
contract does not have: the plan is refused where it is read, with the path of the key and what is allowed,
and only this experiment's DAGs stop. Durations are a whole number and one of s, m, h, d, w. Written by `make
contract-reference` from the docstrings in `include/contracts/experiment_plan.py`. An editor completes and
checks while you type if the first line names the schema:
`# yaml-language-server: $schema=../../../../docs/experiment.schema.json`.
"""

_WORDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "timedelta": "duration",
    "DegradationRule": "phrase",
    "RetrainTrigger": "phrase",
}


def main() -> None:
    """Write all files."""
    run_command(write_reference)


def write_reference() -> None:
    """Write schemas and pages into docs/."""
    for path, content in (
        (SCHEMA, schema_text()),
        (PAGE, page()),
        (EXPERIMENT_SCHEMA, schema_text(ExperimentPlan, "Experiment")),
        (EXPERIMENT_PAGE, page(ExperimentPlan, _EXPERIMENT_HEADING)),
    ):
        write_atomically(path, content.encode())
        print(f"wrote {path}")


def schema_text(kind: type[BaseModel] = ModelContract, title: str = "Model contract") -> str:
    """Return the JSON schema of a contract or plan, with what each key means."""
    schema = kind.model_json_schema()
    definitions = {each.__name__: each for each in models_of(kind)}
    for name, part in [(kind.__name__, schema), *schema["$defs"].items()]:
        if name in definitions:
            meanings = meanings_of(definitions[name])
            for key, value in part["properties"].items():
                value["description"] = meanings[key]
    return json.dumps(schema | {"title": title}, indent=2, ensure_ascii=False) + "\n"


def page(kind: type[BaseModel] = ModelContract, heading: str = _HEADING) -> str:
    """Return the reference as Markdown: one table a block, in the order of the keys."""
    sections = [_section(path, each) for path, each in _blocks("", kind)]
    return "\n".join([heading, *sections])


def models_of(kind: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all that its keys hold, each once."""
    found = [kind]
    for _, inner in _blocks("", kind):
        if inner not in found:
            found.append(inner)
    return found


def meanings_of(kind: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each key of a model; empty where there is none."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    found = dict.fromkeys(kind.model_fields, "")
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(after.value.value).split())
    return found


def _blocks(path: str, kind: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each block of keys with its path, the outer one first."""
    yield path, kind
    for name, field in kind.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None:
            many = "[]" if _is_list(field.annotation) else ""
            yield from _blocks(f"{path}.{name}{many}".removeprefix("."), inner)


def _section(path: str, kind: type[BaseModel]) -> str:
    meanings = meanings_of(kind)
    rows = [
        f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {_cell(meanings[name])} |"
        for name, field in kind.model_fields.items()
    ]
    title = f"`{path}`" if path else "At the top"
    return "\n".join(
        [
            f"## {title}",
            "",
            inspect.cleandoc(kind.__doc__ or ""),
            "",
            "| key | takes | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _type(annotation: Any) -> str:  # noqa: ANN401 - any annotation there is
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{item.value}`" for item in annotation)
    parts = [item for item in getattr(annotation, "__args__", ()) if item not in {type(None), Ellipsis}]
    name = str(getattr(annotation, "__name__", annotation))
    if name == "Literal":
        return ", ".join(f"`{item}`" for item in parts)
    if name in {"tuple", "list"}:
        return f"list of {_type(parts[0])}"
    if name == "dict":
        return "keys and values"
    if parts:
        return " or ".join(dict.fromkeys(_type(item) for item in parts))
    return _WORDS.get(name, "block" if model_in(annotation) else name)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or (
        value and isinstance(value, tuple) and isinstance(value[0], BaseModel)
    ):
        return "its own defaults"
    if value is None or value in ((), {}):
        return "none"
    written = json.dumps(_plain(value))
    return f"`{written}`"


def _plain(value: Any) -> Any:  # noqa: ANN401 - any default there is
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, timedelta):
        return format_duration(value)
    return value.value if isinstance(value, Enum) else value


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 - any annotation there is
    return getattr(annotation, "__origin__", None) in {tuple, list}


if __name__ == "__main__":
    main()
