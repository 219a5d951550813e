"""YAML as a person meant it: a key written twice is an error, not a silent choice of the last."""

from pathlib import Path
from typing import Any

import yaml

from include.contracts.errors import ContractError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a mapping with the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, each of its keys once."""
        seen: set[object] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                line = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is written twice, again in line {line}"
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds; a model judges it
    """Return what a YAML file holds.

    Raises:
        ContractError: it is not YAML, or a key is written twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ContractError(f"{path} is not YAML: {error}") from error
