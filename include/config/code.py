"""The code that builds something: its commit, whether it differs from it, and its fingerprint."""

import subprocess
from collections.abc import Iterator
from glob import glob
from hashlib import sha256
from pathlib import Path

from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.config.strict_yaml import read_yaml
from include.contracts.errors import PlatformError
from include.contracts.packages import CodeState
from include.contracts.sources import SOURCES_NAME

LOCK_NAME = "requirements.lock"
WATCHED = ("include", "dags", "plugins", "serving", "requirements.txt", LOCK_NAME)
"""What makes a tree dirty when it differs from the commit; locks of serving lie under serving/."""

TRAINING_CODE = (
    "include/adapters/label_store.py",
    "include/data/labels.py",
    "include/features/asof_store.py",
    "include/features/definitions.py",
    "include/features/training_set.py",
    "include/features/transforms.py",
    "include/stats/metrics.py",
    "include/training",
)
"""Code outside the model folder that decides what any training run yields: its labels, the join, the loop."""
PROSE = ".md"
"""Suffix of what is written for people: a runbook's edit changes no model."""
EXPERIMENTS = "experiments"
"""Folder of a model folder that decides who gets which version, and nothing of what a version is."""
DECIDING = frozenset({".py", ".sql", ".yaml"})
"""Suffixes of what is code whatever a source's URI matches."""
VIEWS = "include/features/views"
TRANSFORMS = "include/transforms"


def code_state(settings: Settings, folder: ModelFolder, root: Path = REPOSITORY_ROOT) -> CodeState:
    """Return the state of the code that trains a model.

    The commit is the setting's, else git's. Where there is no repository, as in an image, a commit
    must be set, and the tree is taken to be that commit.

    Args:
        settings: for a commit set by whoever built this machine.
        folder: the model's folder, inside `root` or not.
        root: the repository's root.

    Raises:
        PlatformError: no commit is set and git cannot name one, or the lock is missing.
    """
    in_repository = (root / ".git").exists()
    if not (in_repository or settings.commit):
        raise PlatformError(f"{root} is no git repository: set NINETY_COMMIT to the commit that is deployed")
    lock = root / LOCK_NAME
    if not lock.is_file():
        raise PlatformError(f"{lock} is missing: run `make setup`")
    return CodeState(
        commit=settings.commit or _git(root, "rev-parse", "--verify", "HEAD").strip(),
        dirty=in_repository and _is_dirty(root),
        fingerprint=fingerprint(folder, root),
        lock_sha256=sha256(lock.read_bytes()).hexdigest(),
    )


def fingerprint(folder: ModelFolder, root: Path = REPOSITORY_ROOT) -> str:
    """Return the SHA-256 over names and bytes of the model folder, its feature SQL and the training code.

    Training code is what labels, joins and trains; prose in Markdown is left out, and so are experiments
    and data that lies in the model folder, which the URIs of its source definitions name.
    Of the shared views and transforms only those count that the model reads: another's change is not its own.

    Raises:
        ContractError: the contract does not load, so what the model reads is unknown; or a source definition
            is not YAML.
    """
    digest = sha256()
    for name, path in sorted(_fingerprinted(folder, root)):
        content = path.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _fingerprinted(folder: ModelFolder, root: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file under a name that does not depend on where the repository lies."""
    data = _data(folder)
    for label, place in (("model", folder.path), *((code, root / code) for code in TRAINING_CODE)):
        for path in [place] if place.is_file() else place.rglob("*"):
            relative = path.relative_to(place)
            if not path.is_file() or any(map(_is_scratch, relative.parts)):
                continue
            if label == "model" and relative.parts[0] == EXPERIMENTS:
                continue
            if path.suffix != PROSE and path.resolve() not in data:
                yield f"{label}/{relative.as_posix()}", path
    for name in sorted(_shared(folder)):
        if (root / name).is_file():
            yield name, root / name


def _data(folder: ModelFolder) -> set[Path]:
    """Return the files that the model folder's own source definitions name."""
    sources = folder.path / SOURCES_NAME
    definitions = [read_yaml(path) for path in sorted(sources.glob("*.yaml"))]
    uris = [str(item["uri"]) for item in definitions if isinstance(item, dict) and "uri" in item]
    found = {
        Path(name).resolve()
        for uri in uris
        for name in glob(str(sources / uri), recursive=True)  # noqa: PTH207 - a URI may be absolute
    }
    return {path for path in found if path.suffix not in DECIDING}


def _shared(folder: ModelFolder) -> set[str]:
    """Return the shared files a model may read: those of its views and transforms."""
    signature = folder.contract.signature
    views = {f"{VIEWS}/{view}{suffix}" for view in signature.views for suffix in (".sql", ".yaml")}
    return views | {f"{TRANSFORMS}/{item.transform}.py" for item in signature.transformed}


def _is_scratch(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__"


def _is_dirty(root: Path) -> bool:
    return bool(_git(root, "status", "--porcelain", "--untracked-files=all", "--", *WATCHED).strip())


def _git(root: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the git of the machine's PATH
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as error:
        raise PlatformError(
            "git is not installed: install it, or set NINETY_COMMIT to the commit that is deployed"
        ) from error
    except subprocess.CalledProcessError as error:
        raise PlatformError(
            f"git {arguments[0]} failed in {root}: {error.stderr.strip()}; "
            "commit once, or set NINETY_COMMIT to the commit that is deployed"
        ) from error
    return answer.stdout
