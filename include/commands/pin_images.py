"""`make pin-images`: digests of all images of others, asked of their registries, written behind their tags.

A digest is what a registry says of a tag at a moment: it can only be asked, by an engine that reaches the
registry. Run it where you build, look at the difference, commit it; run again to take what a tag became.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from include.adapters.files import write_atomically
from include.commands.terminal import run_command
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError

FOLDER = REPOSITORY_ROOT / "docker"
_PATTERNS = ("*.yaml", "*.Dockerfile", "kubernetes/*.yaml")
_IMAGE = re.compile(
    r"^(?P<head>\s*image: |ARG PYTHON=)(?P<tag>(?!ninety-)[\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?$", re.M
)
"""An image of others where it is named, pinned or not; ours are built here."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LAST_CHARACTERS = 500


def main() -> None:
    """Pin every image that a file under `docker/` names."""
    run_command(lambda: pin(FOLDER))


def pin(folder: Path) -> None:
    """Write each image's digest behind its tag, all or none.

    Raises:
        PlatformError: a registry does not tell one.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in files(folder)}
    digests = {tag: digest_of(tag) for tag in tags(texts.values())}
    for path, text in texts.items():
        write_atomically(path, pinned(text, digests).encode())
    for tag, digest in digests.items():
        print(f"{tag}@{digest}")


def files(folder: Path) -> list[Path]:
    """Return the files that name images."""
    return sorted(path for pattern in _PATTERNS for path in folder.glob(pattern))


def tags(texts: Iterable[str]) -> list[str]:
    """Return the images of others that texts name, by name and tag."""
    return sorted({found["tag"] for text in texts for found in _IMAGE.finditer(text)})


def pinned(text: str, digests: dict[str, str]) -> str:
    """Return a text with a digest behind each image's tag."""
    return _IMAGE.sub(lambda found: f"{found['head']}{found['tag']}@{digests[found['tag']]}", text)


def digest_of(tag: str) -> str:
    """Return what an image's registry says a tag is; of all its architectures together.

    Raises:
        PlatformError: there is no Docker, or the registry does not tell.
    """
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", tag]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own names
    except FileNotFoundError:
        raise PlatformError("docker is not installed: run this where images are built") from None
    digest = done.stdout.strip()
    if done.returncode != 0 or not _DIGEST.fullmatch(digest):
        raise PlatformError(f"{tag}: no digest: {(done.stderr or done.stdout)[-_LAST_CHARACTERS:].strip()}")
    return digest


if __name__ == "__main__":
    main()
