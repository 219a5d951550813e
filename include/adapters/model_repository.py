"""Triton's model repository: how a version is laid out, and how it is known to be whole.

    <repository>/model__1_2_3/
        config.pbtxt
        staged.json          SHA-256 of every other file here
        1/model.py           the generic Python-backend model, where that backend runs it
        1/model.onnx, …      the package's files
        1/manifest.json      the package's own manifest

A version appears under its name in one rename, when every byte of it is on disk.
"""

import json
import shutil
from pathlib import Path, PurePosixPath

from include.adapters.files import scratch_folder, sha256_of, sync
from include.config.settings import REPOSITORY_ROOT, TritonBackend
from include.contracts.errors import ArtefactError
from include.contracts.model import Resources
from include.contracts.packages import MANIFEST_NAME
from include.contracts.signatures import Signature

STAGED = "staged.json"
MEMORY_KEY = "memory_mb"
"""Parameter of a model's configuration that holds its memory budget, in megabytes."""
_MODEL = REPOSITORY_ROOT / "serving" / "triton" / "onnx_model.py"


def stage_version(
    package: Path,
    repository: Path,
    name: str,
    signature: Signature,
    resources: Resources,
    *,
    backend: TritonBackend = TritonBackend.PYTHON,
) -> Path:
    """Lay a package out as a Triton model and return its folder; doing it again changes nothing.

    Args:
        package: folder with `manifest.json` and the files it lists.
        repository: Triton's model repository.
        name: the version's Triton name, as `triton_name` gives it.
        signature: the model's inputs and output.
        resources: most rows Triton joins, and how many processes serve the model at once.
        backend: what runs the graph.

    Raises:
        ArtefactError: the package is not what its manifest says, or the name holds another package.
    """
    files = verify_package(package)
    target = repository / name
    repository.mkdir(parents=True, exist_ok=True)
    # Beside the repository, not in it: Triton lists every folder of its own.
    with scratch_folder(repository.parent, name) as draft:
        config = config_text(name, signature, resources, backend)
        if _already_staged(target, files, config):
            return target
        _lay_out(draft, package, files, config, backend)
        if target.exists():
            target.rename(draft / "replaced")
        (draft / "model").rename(target)
        sync(repository)
    verify_staged(target)
    return target


def verify_package(package: Path) -> dict[str, str]:
    """Compare every file of a package with its manifest; return them with the manifest's own hash.

    Raises:
        ArtefactError: a file is missing, altered, or named outside the package.
    """
    files = _listed(package / MANIFEST_NAME)
    _verify(package, files)
    return {**files, MANIFEST_NAME: sha256_of(package / MANIFEST_NAME)}


def verify_staged(folder: Path) -> None:
    """Compare every file of a staged version with what was staged.

    Raises:
        ArtefactError: a file is missing, altered or was added.
    """
    files = _listed(folder / STAGED)
    _verify(folder, files)
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    # Triton's Python caches the byte code of model.py beside it and cannot be told not to
    written = {str(path) for path in found if "__pycache__" not in path.parts}
    added = written - files.keys() - {STAGED}
    if added:
        raise ArtefactError(f"{folder}: {', '.join(sorted(added))} was added after staging; stage it again")


def config_text(
    name: str, signature: Signature, resources: Resources, backend: TritonBackend = TritonBackend.PYTHON
) -> str:
    """Return config.pbtxt; the memory budget is there for whoever asks Triton what it has loaded."""
    sizes = {
        "numeric": ("TYPE_FP32", len(signature.numeric)),
        "categorical": ("TYPE_STRING", len(signature.categorical)),
    }
    inputs = ",\n".join(
        f'  {{ name: "{tensor}" data_type: {kind} dims: [ {columns} ] }}'
        for tensor, (kind, columns) in sizes.items()
        if columns
    )
    return (
        f'name: "{name}"\nbackend: "{backend.value}"\nmax_batch_size: {resources.maximum_batch}\n'
        f"input [\n{inputs}\n]\n"
        f'output [\n  {{ name: "score" data_type: TYPE_FP32 dims: [ {signature.outputs} ] }}\n]\n'
        "dynamic_batching "
        f"{{ max_queue_delay_microseconds: {resources.maximum_queue_delay_microseconds} }}\n"
        f"instance_group [ {{ kind: KIND_{resources.device.upper()} count: {resources.instances} }} ]\n"
        f'parameters {{ key: "{MEMORY_KEY}" value: {{ string_value: "{resources.memory_mb}" }} }}\n'
    )


def _already_staged(target: Path, files: dict[str, str], config: str) -> bool:
    """Tell whether this very package is staged and whole; one that is damaged or of old is staged anew.

    Raises:
        ArtefactError: another package, whole, holds the name.
    """
    try:
        verify_staged(target)
    except ArtefactError:
        return False
    staged = _listed(target / STAGED)
    if staged["1/" + MANIFEST_NAME] != files[MANIFEST_NAME]:
        raise ArtefactError(
            f"{target} holds another package of the same version; versions are never replaced"
        )
    is_ours = staged.get("1/model.py") in (None, sha256_of(_MODEL))
    return is_ours and (target / "config.pbtxt").read_text("utf-8") == config


def _lay_out(draft: Path, package: Path, files: dict[str, str], config: str, backend: TritonBackend) -> None:
    """Write a version's files under `draft/model` and bring them to disk."""
    folder = draft / "model"
    for relative in files:
        copy = folder / "1" / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / relative, copy)
    (folder / "config.pbtxt").write_text(config, "utf-8")
    ours = ["config.pbtxt"]
    if backend is TritonBackend.PYTHON:
        shutil.copyfile(_MODEL, folder / "1" / "model.py")
        ours.append("1/model.py")
    expected = {"1/" + relative: digest for relative, digest in files.items()}
    expected |= {relative: sha256_of(folder / relative) for relative in ours}
    (folder / STAGED).write_text(json.dumps({"files": expected}, indent=1, sort_keys=True) + "\n", "utf-8")
    for path in (*folder.rglob("*"), folder):
        sync(path)
    verify_staged(folder)


def _listed(manifest: Path) -> dict[str, str]:
    """Read a manifest's `files`: relative path to SHA-256.

    Raises:
        ArtefactError: it is missing, unreadable, or names a path outside its folder.
    """
    try:
        files = json.loads(manifest.read_text("utf-8"))["files"]
        names = {str(relative): str(digest) for relative, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{manifest} is missing or unreadable ({error!r})") from error
    for relative in names:
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts:
            raise ArtefactError(f"{manifest} names {relative!r}, which is outside its folder")
    return names


def _verify(folder: Path, files: dict[str, str]) -> None:
    for relative, expected in files.items():
        path = folder / relative
        if not path.is_file() or path.is_symlink():
            raise ArtefactError(f"{path} is missing; the package is incomplete")
        if (found := sha256_of(path)) != expected:
            raise ArtefactError(f"{path} was altered: SHA-256 {found[:12]}… instead of {expected[:12]}…")
