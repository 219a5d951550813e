"""What pydantic finds, for whoever wrote the file: the key's path, what is wrong, what is allowed."""

from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def problems_of(path: Path, kind: type[BaseModel], error: ValidationError) -> str:
    """Return one line per problem of a file that should hold a `kind`."""
    lines = (f"  {_key_path(item['loc'])}: {_said(kind, item)}" for item in error.errors(include_url=False))
    return "\n".join([f"{path}:", *lines])


def model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation there is
    """Return the model inside `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, list, Union, UnionType}:
        return next((found for item in get_args(annotation) if (found := model_in(item))), None)
    return None


def _said(kind: type[BaseModel], item: ErrorDetails) -> str:
    if item["type"] == "extra_forbidden":
        return _unknown_key(kind, item["loc"])
    if item["type"] == "missing":
        return "is missing"
    return item["msg"].removeprefix("Value error, ")


def _unknown_key(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    model = _model_at(kind, location[:-1])
    allowed = list(model.model_fields) if model is not None else []
    close = get_close_matches(str(location[-1]), allowed, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"there is no such key{meant} Allowed here: {', '.join(allowed)}"


def _model_at(kind: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = kind
    for part in location:
        if isinstance(part, str) and found is not None and part in found.model_fields:
            found = model_in(found.model_fields[part].annotation)
    return found


def _key_path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "(file)"
