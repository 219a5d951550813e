"""Artefacts in a bucket of S3, with the methods of `ArtefactStore` that the compacted log needs.

boto3 and not Arrow's own client: only here can a write be conditional, and on that no row being lost rests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, RawIOBase
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from include.contracts.errors import ArtefactError

READ_BYTES = 256 * 2**10
"""Least bytes of a request for a part: a footer or the columns of a row group take one or two of them."""
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
_ABSENT = frozenset({"NoSuchKey"})
_CHANGED = frozenset({"409", "412", "ConditionalRequestConflict", "PreconditionFailed", *_ABSENT})
"""NoSuchKey: what was to be replaced is gone."""


class S3Store:
    """The artefacts under a prefix; a URI is the rest of the key."""

    def __init__(self, url: str) -> None:
        """Args: url: `s3://bucket/prefix`."""
        parts = urlsplit(url)
        self._url = url
        self._bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/".lstrip("/")

    def tagged(self, uri: str) -> tuple[bytes, str] | None:
        """Return an artefact's bytes and its ETag; None if there is none.

        Raises:
            ArtefactError: the bucket cannot be read; so with all others.
        """
        with self._asking(uri):
            try:
                answer = _client().get_object(**self._at(uri))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
            return answer["Body"].read(), answer["ETag"]

    def replace(self, uri: str, content: bytes, tag: str | None) -> None:
        """Store bytes in one step where what is there has an ETag still; None: where there is nothing.

        Raises:
            ArtefactError: it changed meanwhile.
        """
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with self._asking(uri):
            try:
                _client().put_object(**self._at(uri), Body=content, **condition)
            except ClientError as error:
                if _code(error) not in _CHANGED:
                    raise
                raise ArtefactError(f"{uri!r} in {self._url} was changed meanwhile; run it again") from None

    def write(self, uri: str, content: bytes) -> None:
        """Store bytes, replacing what was there in one step."""
        with self._asking(uri):
            _client().put_object(**self._at(uri), Body=content)

    def open(self, uri: str) -> BinaryIO:
        """Open an artefact for reading any part of it; the caller closes it.

        Raises:
            ArtefactError: there is none.
        """
        with self._asking(uri):
            size = _client().head_object(**self._at(uri))["ContentLength"]
        return BufferedReader(_Parts(self, uri, size), READ_BYTES)

    def part(self, uri: str, start: int, size: int) -> bytes:
        """Return some bytes of an artefact."""
        with self._asking(uri):
            answer = _client().get_object(**self._at(uri), Range=f"bytes={start}-{start + size - 1}")
            content: bytes = answer["Body"].read()
        return content

    def uris(self, pattern: str) -> list[str]:
        """Return the URIs that fit a pattern, such as `model=*/day=2017-11-01/*.parquet`, in order."""
        *folders, name = pattern.split("/")
        places = [""]
        for folder in folders:
            places = [found for place in places for found in self._folders(place, folder)]
        return sorted(uri for place in places for uri in self._listed(place) if _fits(uri, name))

    def tags(self, uri: str) -> dict[str, str]:
        """Return the ETag of every file in a folder, at any depth, by its name there.

        Of a file, its own under an empty name; nothing where there is neither.
        """
        pages = _client().get_paginator("list_objects_v2")
        key = self._prefix + uri
        with self._asking(uri):
            found = {
                item["Key"].removeprefix(key): item["ETag"]
                for page in pages.paginate(Bucket=self._bucket, Prefix=key)
                for item in page.get("Contents", ())
            }
        return {name.removeprefix("/"): tag for name, tag in found.items() if not name or name[0] == "/"}

    def delete(self, uri: str) -> None:
        """Delete an artefact that may be gone already."""
        with self._asking(uri):
            _client().delete_object(**self._at(uri))

    def _folders(self, place: str, pattern: str) -> list[str]:
        if "*" not in pattern:
            return [f"{place}{pattern}/"]
        return [uri for uri in self._listed(place) if uri.endswith("/") and _fits(uri[:-1], pattern)]

    def _listed(self, place: str) -> Iterator[str]:
        """Yield what lies right in a folder; the URIs of folders end in a slash."""
        pages = _client().get_paginator("list_objects_v2")
        with self._asking(place):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + place, Delimiter="/"):
                for item in page.get("CommonPrefixes", ()):
                    yield item["Prefix"].removeprefix(self._prefix)
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self._prefix)

    def _at(self, uri: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + uri}

    @contextmanager
    def _asking(self, uri: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ArtefactError(f"{uri!r} in {self._url}: {error}") from error


class _Parts(RawIOBase):
    """A file of which only what is read is fetched."""

    def __init__(self, store: S3Store, uri: str, size: int) -> None:
        self._store = store
        self._uri = uri
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place; return it."""
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever has a buffer
        """Fill a buffer from where the file is; return how many bytes there were."""
        size = min(len(buffer), self._size - self._position)
        if size <= 0:
            return 0
        buffer[:size] = self._store.part(self._uri, self._position, size)
        self._position += size
        return size


@cache
def _client() -> Any:  # noqa: ANN401 - made by boto3 as it runs
    """Return this process's client; threads may share it."""
    return boto3.session.Session().client("s3", config=_CONFIG)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _fits(uri: str, pattern: str) -> bool:
    return fnmatchcase(uri.rpartition("/")[2], pattern)
