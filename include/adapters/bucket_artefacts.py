"""The artefact store in a bucket of S3: what is read is fetched once into a folder of this machine.

What was fetched lies under the hash of what the bucket said it holds, so that it is never out of date, and
may be deleted at any time.

    <cache>/<hash of names and ETags>/<uri>
"""

from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from include.adapters.artefacts import ArtefactStore
from include.adapters.files import scratch_folder
from include.adapters.s3_store import S3Store
from include.contracts.canonical import canonical_json
from include.contracts.errors import ArtefactError

PUBLISHED = ".published"
"""Object that is written when a folder is complete; before, there is no such folder."""


class BucketArtefacts(ArtefactStore):
    """Artefacts under a bucket's prefix; a URI is the rest of the key."""

    def __init__(self, url: str, cache: Path) -> None:
        """Args: url: `s3://bucket/prefix`; cache: folder for what is fetched, made if missing."""
        super().__init__(cache)
        self._bucket = S3Store(url)
        self._url = url

    def path(self, uri: str) -> Path:
        """Return where an artefact lies on this machine, fetching what is not here yet.

        A path of nothing where there is no such artefact.

        Raises:
            ArtefactError: the URI leads out of the store, or the bucket cannot be read; so with all others.
        """
        tags = self._tags(uri)
        version = sha256(canonical_json(tags)).hexdigest()
        target = self._root / version / uri
        if tags and not target.exists():
            self._fetch(uri, tags, target)
        return target

    def place(self, uri: str) -> str:
        """Return where an artefact lies, for people."""
        return f"{self._url}/{self._confined(uri)}"

    def exists(self, uri: str) -> bool:
        """Say whether there is an artefact at a URI."""
        return bool(self._tags(uri))

    def read(self, uri: str) -> bytes:
        """Return an artefact's bytes."""
        found = self.tagged(uri)
        if found is None:
            raise ArtefactError(f"no artefact at {uri!r} in {self._url}")
        return found[0]

    def open(self, uri: str) -> BinaryIO:
        """Open an artefact for reading any part of it; the caller closes it."""
        return self._bucket.open(self._confined(uri))

    def uris(self, pattern: str) -> list[str]:
        """Return the URIs that fit a pattern, such as `model=*/day=2017-11-01/*.parquet`, in order."""
        return [uri for uri in self._bucket.uris(self._confined(pattern)) if not _is_mark(uri)]

    def delete(self, uri: str) -> None:
        """Delete an artefact that may be gone already."""
        self._bucket.delete(self._confined(uri))

    def write(self, uri: str, content: bytes) -> None:
        """Store bytes, replacing what was there in one step."""
        self._bucket.write(self._confined(uri), content)

    def tagged(self, uri: str) -> tuple[bytes, str] | None:
        """Return an artefact's bytes and its ETag; None if there is none."""
        return self._bucket.tagged(self._confined(uri))

    def replace(self, uri: str, content: bytes, tag: str | None) -> None:
        """Store bytes in one step where what is there has an ETag still; None: where there is nothing."""
        self._bucket.replace(self._confined(uri), content, tag)

    def withdraw(self, uri: str) -> None:
        """Delete a published folder that may be gone already: its mark first, so that nobody reads half."""
        names = self._bucket.tags(self._confined(uri))
        for name in sorted(names, key=lambda name: name != PUBLISHED):
            self._bucket.delete(f"{uri}/{name}")

    def publish(self, folder: Path, uri: str) -> None:
        """Store a copy of a folder, which is there once it is complete; what is already there stays.

        For content-addressed URIs: the same URI means the same bytes.
        """
        if self.exists(uri):
            return
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name, path in sorted(files.items()):
            self._bucket.write(f"{uri}/{name}", path.read_bytes())
        self._bucket.write(f"{uri}/{PUBLISHED}", b"")

    def _tags(self, uri: str) -> dict[str, str]:
        """Return the ETags of a URI's files by their names in it; a file's own name in itself is empty."""
        found = self._bucket.tags(self._confined(uri))
        if "" in found:
            return {"": found[""]}
        return {name: tag for name, tag in found.items() if name != PUBLISHED} if PUBLISHED in found else {}

    def _fetch(self, uri: str, tags: dict[str, str], target: Path) -> None:
        with scratch_folder(self._root, target.name) as scratch:
            copy = scratch / target.name
            for name in tags:
                file = copy / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(self.read(f"{uri}/{name}".rstrip("/")))
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy.rename(target)
            except OSError:
                if not target.exists():  # another process may have been faster
                    raise

    def _confined(self, uri: str) -> str:
        super().path(uri)
        return uri


def _is_mark(uri: str) -> bool:
    return uri.rpartition("/")[2] == PUBLISHED
