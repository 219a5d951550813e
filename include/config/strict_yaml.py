"""YAML as a person meant it: a key written twice is an error, not a silent choice of the last."""

from pathlib import Path
from typing import Any

import yaml

from include.contracts.errors import ContractError

_MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a mapping with the same key twice."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Return the mapping as written, each of its keys once; what `<<` takes over comes later."""
        node = super().compose_mapping_node(anchor)
        seen: set[object] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            name = self.construct_object(key)
            if name in seen:
                line = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is written twice, again in line {line}"
                )
            seen.add(name)
        return node


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds; a model judges it
    """Return what a YAML file holds.

    Raises:
        ContractError: it is not YAML, a key is written twice, or a value is none of its kind, such as a
            day no calendar has.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise ContractError(f"{path} is not YAML: {error}") from error
