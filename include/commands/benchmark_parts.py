"""A benchmark measured part by part: each part's figures stand beside the others', under their commit."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from include.commands.benchmark_record import BENCHMARKS, Figure, provenance

Parts = Mapping[str, Mapping[str, Figure]]
"""Figures by part."""

_SIGN = "of_part_"
"""`<part>` stands behind it in the name of what a part says about itself."""
_ABOUT = ("commit", "commit_dirty", "load_average_before", "figures")


def origin() -> dict[str, Figure]:
    """Return what a part says about itself: its commit, and how busy the machine is before it is measured."""
    found = provenance(())
    return {
        "commit": found["commit"],
        "commit_dirty": found["commit_dirty"],
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def read_parts(name: str, folder: Path = BENCHMARKS) -> dict[str, dict[str, Figure]]:
    """Return the figures of a benchmark that were written before, by part; none where nothing was."""
    path = folder / f"{name}.json"
    record: dict[str, Figure] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    listed = {
        key.removesuffix("_figures").removeprefix(_SIGN): str(names).split()
        for key, names in record.items()
        if key.startswith(_SIGN) and key.endswith("_figures")
    }
    return {
        part: {figure: record[figure] for figure in names}
        | {about: record[f"{_SIGN}{part}_{about}"] for about in _ABOUT if about != "figures"}
        for part, names in listed.items()
    }


def flat(parts: Parts) -> dict[str, Figure]:
    """Return the figures of all parts under flat names, each part's list of its own among them."""
    figures: dict[str, Figure] = {}
    for part, told in parts.items():
        own = {name: value for name, value in told.items() if name not in _ABOUT}
        figures |= own | {f"{_SIGN}{part}_{name}": told[name] for name in _ABOUT if name != "figures"}
        figures[f"{_SIGN}{part}_figures"] = " ".join(own)
    return figures
