"""The artefact store: packages, training snapshots and reports under confined relative paths."""

import shutil
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from include.adapters.files import scratch_folder, sync, write_atomically
from include.contracts.errors import ArtefactError


class ArtefactStore:
    """A folder of artefacts; a URI is a relative path inside it."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def path(self, uri: str) -> Path:
        """Return where an artefact lies.

        Raises:
            ArtefactError: the URI is absolute or leads out of the store.
        """
        parts = PurePosixPath(uri).parts
        target = (self._root / uri).resolve()
        if not parts or ".." in parts or not target.is_relative_to(self._root) or target == self._root:
            raise ArtefactError(f"artefact URI {uri!r} leads out of the artefact store; use a relative path")
        return target

    def place(self, uri: str) -> str:
        """Return where an artefact lies, for people."""
        return str(self.path(uri))

    def exists(self, uri: str) -> bool:
        """Say whether there is an artefact at a URI."""
        return self.path(uri).exists()

    def read(self, uri: str) -> bytes:
        """Return an artefact's bytes.

        Raises:
            ArtefactError: there is none.
        """
        path = self.path(uri)
        if not path.is_file():
            raise ArtefactError(f"no artefact at {uri!r} in {self._root}")
        return path.read_bytes()

    def open(self, uri: str) -> BinaryIO:
        """Open an artefact for reading any part of it; the caller closes it.

        Raises:
            ArtefactError: there is none.
        """
        try:
            return self.path(uri).open("rb")
        except FileNotFoundError:
            raise ArtefactError(f"no artefact at {uri!r} in {self._root}") from None

    def uris(self, pattern: str) -> list[str]:
        """Return the URIs that fit a pattern, such as `model=*/day=2017-11-01/*.parquet`, in order."""
        found = (path for path in self._root.glob(pattern) if path.is_file())
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def delete(self, uri: str) -> None:
        """Delete an artefact that may be gone already."""
        self.path(uri).unlink(missing_ok=True)

    def write(self, uri: str, content: bytes) -> None:
        """Store bytes, replacing what was there in one step."""
        write_atomically(self.path(uri), content)

    def tagged(self, uri: str) -> tuple[bytes, str] | None:
        """Return an artefact's bytes and a tag that changes with them; None if there is none."""
        try:
            content = self.path(uri).read_bytes()
        except FileNotFoundError:
            return None
        return content, sha256(content).hexdigest()

    def replace(self, uri: str, content: bytes, tag: str | None) -> None:
        """Store bytes in one step where what is there has a tag still; None: where there is nothing.

        For one writer at a time: between the look and the step another one's write would be lost.

        Raises:
            ArtefactError: it changed meanwhile.
        """
        found = self.tagged(uri)
        if tag != (found and found[1]):
            raise ArtefactError(f"{uri!r} in {self._root} was changed meanwhile; run it again")
        self.write(uri, content)

    def withdraw(self, uri: str) -> None:
        """Delete a published folder that may be gone already; one with its content may be published anew."""
        shutil.rmtree(self.path(uri), ignore_errors=True)

    def publish(self, folder: Path, uri: str) -> None:
        """Move a copy of a folder into place in one step; what is already there stays.

        For content-addressed URIs: the same URI means the same bytes.
        """
        target = self.path(uri)
        if target.exists():
            return
        with scratch_folder(target.parent, target.name) as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            for path in (*copy.rglob("*"), copy):
                sync(path)
            copy.rename(target)
            sync(target.parent)
