"""A candidate in the running Triton for as long as it is measured, under a name no version can have.

Whoever measures holds a lock, which a killed process lets go; so a candidate found in Triton or in its
repository by the next holder is a leftover, and is removed. Triton's supervisor does not know these names
and never loads them after a restart.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from include.adapters.files import sha256_of
from include.adapters.model_repository import stage_version
from include.adapters.triton_control import TritonControl
from include.adapters.triton_memory import check_memory
from include.config.settings import TritonBackend
from include.contracts.model import Resources
from include.contracts.packages import MANIFEST_NAME, MODEL_NAME
from include.contracts.signatures import Signature

PREFIX = "candidate-"
"""Of every temporary name; the names of models have no hyphen."""
_LOCK_NAME = "candidates.lock"
_RUN_DIGITS = 12


@contextmanager
def loaded_candidate(
    repository: Path,
    triton: TritonControl,
    run_id: str,
    graph: Path,
    *,
    signature: Signature,
    resources: Resources,
    memory_mb: int,
    backend: TritonBackend = TritonBackend.PYTHON,
) -> Iterator[str]:
    """Load a candidate's graph, give its Triton name, and take it away again; one at a time.

    Args:
        repository: Triton's model repository.
        triton: the server.
        run_id: the candidate's run.
        graph: its ONNX file.
        signature: its inputs and output.
        resources: as it would be served with.
        memory_mb: what all models in Triton may take together; 0 for no bound.
        backend: what runs it there.

    Raises:
        ServingError: Triton cannot be reached, has no memory left for it, or refuses the graph.
    """
    name = f"{PREFIX}{run_id[:_RUN_DIGITS]}"
    with _lock(repository, fcntl.LOCK_EX):
        _remove(repository, triton)
        try:
            with TemporaryDirectory() as temporary:
                package = _package(Path(temporary), graph)
                stage_version(package, repository, name, signature, resources, backend=backend)
            check_memory(triton, name, resources.memory_mb, memory_mb)
            triton.load(name)
            yield name
        finally:
            _remove(repository, triton)


def remove_leftovers(repository: Path, triton: TritonControl) -> tuple[str, ...]:
    """Remove what a killed measurement left in Triton; return the names. One under way is left alone.

    Raises:
        ServingError: there are leftovers and Triton cannot be reached; they stay for the next time.
    """
    try:
        with _lock(repository, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return _remove(repository, triton)
    except BlockingIOError:
        return ()


def _remove(repository: Path, triton: TritonControl) -> tuple[str, ...]:
    """Unload every candidate that has files, then delete these; they stay until Triton could be told."""
    names = tuple(sorted(folder.name for folder in repository.glob(f"{PREFIX}*")))
    for name in names:
        triton.unload(name)
        shutil.rmtree(repository / name)
    return names


def _package(folder: Path, graph: Path) -> Path:
    """Lay out what `stage_version` takes: the graph, and a manifest that names its hash."""
    shutil.copyfile(graph, folder / MODEL_NAME)
    files = {MODEL_NAME: sha256_of(folder / MODEL_NAME)}
    (folder / MANIFEST_NAME).write_text(json.dumps({"files": files}), "utf-8")
    return folder


@contextmanager
def _lock(repository: Path, how: int) -> Iterator[None]:
    repository.mkdir(parents=True, exist_ok=True)
    with (repository.parent / _LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, how)
        yield
