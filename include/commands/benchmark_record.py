"""How a benchmark is kept: figures for machines, a table and a picture for people.

`docs/benchmarks/<name>.json` is a flat object of named figures with the machine, the versions and the commit
they were measured on; beside it lie `<name>.md` and `<name>.png`.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from include.adapters.files import write_atomically
from include.config.settings import REPOSITORY_ROOT

Figure = float | int | str | bool
"""What may stand in a record."""

_RECORDS = (":(exclude)docs/benchmarks", ":(exclude)docs/test-runs.json")
"""Records do not make a tree dirty: they are written one after the other."""

BENCHMARKS = REPOSITORY_ROOT / "docs" / "benchmarks"


def write_record(
    name: str,
    title: str,
    figures: Mapping[str, Figure],
    libraries: Sequence[str],
    folder: Path = BENCHMARKS,
    *,
    notes: str = "",
) -> Path:
    """Write the figures, with where they come from, as JSON and as a Markdown table; return the JSON's path.

    Args:
        name: file name without its ending; the picture is `<name>.png`, written by whoever draws it.
        title: heading of the table.
        figures: what was measured, each under a name that ends in its unit where it has one.
        libraries: distributions whose versions matter.
        folder: where to write; it is made if missing.
        notes: Markdown between the picture and the table.

    Raises:
        subprocess.CalledProcessError: git cannot name the commit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {**figures, **provenance(libraries)}
    path = folder / f"{name}.json"
    write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    write_atomically(folder / f"{name}.md", markdown(title, name, record, notes).encode())
    return path


def provenance(libraries: Sequence[str], root: Path = REPOSITORY_ROOT) -> dict[str, Figure]:
    """Return the machine, the versions and the commit, under flat names."""
    status = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *_RECORDS)
    facts: dict[str, Figure] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python_version": platform.python_version(),
        "commit": _git(root, "rev-parse", "HEAD"),
        "commit_dirty": bool(status),
    }
    return facts | {f"{library}_version": version(library) for library in libraries}


def markdown(title: str, name: str, record: Mapping[str, Figure], notes: str = "") -> str:
    """Return the page for people: the picture, what is to be said about it, a table of the figures."""
    rows = [f"| {key} | {text_of(value)} |" for key, value in record.items()]
    said = [notes, ""] if notes else []
    return "\n".join(
        [f"# {title}", "", f"![{title}]({name}.png)", "", *said, "| figure | value |", "|---|---|", *rows, ""]
    )


def text_of(value: Figure) -> str:
    """Return a figure for people."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - own arguments
