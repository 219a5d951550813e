"""Where the compacted part of a prediction log lies: a folder inside the log's, or a bucket.

The log itself says which, so whoever reads it finds all of it; the setting only tells compaction.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from include.adapters.artefacts import ArtefactStore
from include.adapters.files import write_atomically
from include.contracts.errors import ArtefactError, DataError

FOLDER = "compacted"
"""Name of the folder inside the log's."""
_POINTER = "home.json"
_OWNER = "log.json"


class CompactedStore(Protocol):
    """What the compacted part asks of the store it lies in; `ArtefactStore` says what each does."""

    def tagged(self, uri: str) -> tuple[bytes, str] | None:
        """Return an artefact's bytes and a tag that changes with them; None if there is none."""

    def replace(self, uri: str, content: bytes, tag: str | None) -> None:
        """Store bytes in one step where what is there has a tag still; None: where there is nothing."""

    def write(self, uri: str, content: bytes) -> None:
        """Store bytes, replacing what was there in one step."""

    def open(self, uri: str) -> BinaryIO:
        """Open an artefact for reading any part of it; the caller closes it."""

    def uris(self, pattern: str) -> list[str]:
        """Return the URIs that fit a pattern, in order."""

    def delete(self, uri: str) -> None:
        """Delete an artefact that may be gone already."""


class _Home(BaseModel):
    """Where the compacted part of which log lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Empty: the folder."""
    log: str
    """A name the log was given."""


def compacted_store(log: Path) -> CompactedStore:
    """Return the store of a prediction log's compacted part.

    Raises:
        DataError: the log does not say where it is.
    """
    return _store(log, _home(log))


@contextmanager
def compacting(log: Path) -> Iterator[None]:
    """Wait until no other process changes the compacted part of a log, and keep all from it."""
    lock = log / FOLDER / "compaction.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def settle_home(log: Path, url: str) -> None:
    """Make sure that the compacted part lies, from now on, where it shall; one process at a time.

    Args:
        log: folder of the prediction log.
        url: `s3://bucket/prefix`; empty means the folder inside the log's.

    Raises:
        DataError: it lies elsewhere already, or there lies the part of another log.
        ArtefactError: the bucket cannot be reached, or ignores conditions of writes.
    """
    home = _home(log) or _Home(url="", log=uuid4().hex)
    wanted = home.model_copy(update={"url": url})
    if home != wanted:
        _check_left(log, home, url)
        # The name first: a bucket is claimed with it, and whoever is killed then claims it again.
        _point(log, home)
    if url:
        _claim(_store(log, wanted), wanted)
    if home != wanted:
        _point(log, wanted)


def _home(log: Path) -> _Home | None:
    pointer = log / FOLDER / _POINTER
    try:
        return _Home.model_validate_json(pointer.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DataError(f"{pointer} does not say where the compacted log lies: {error}") from error


def _store(log: Path, home: _Home | None) -> CompactedStore:
    if home is None or not home.url:
        return ArtefactStore(log / FOLDER)
    # boto3 takes a while to import, and who has no bucket needs none.
    from include.adapters.s3_store import S3Store  # noqa: PLC0415

    return S3Store(home.url)


def _check_left(log: Path, home: _Home, url: str) -> None:
    """Make sure that nothing stays behind where the compacted part lay."""
    if _store(log, home).uris("days/*.json"):
        raise DataError(
            f"the compacted log lies in {home.url or log / FOLDER}, and NINETY_COMPACTED_URL says "
            f"{url or 'the folder'}: move 'days' and 'model=…' there first, or set it back"
        )


def _point(log: Path, home: _Home) -> None:
    write_atomically(log / FOLDER / _POINTER, home.model_dump_json(indent=1).encode())


def _claim(store: CompactedStore, home: _Home) -> None:
    """Make sure that a bucket's prefix is this log's: two would forget each other's segments."""
    ours = home.model_dump_json(indent=1).encode()
    if _created(store, ours) and _created(store, ours):
        store.delete(_OWNER)
        raise ArtefactError(
            f"the server of {home.url} ignores If-None-Match, without which rows could be lost"
        )
    found = store.tagged(_OWNER)
    if found is None or _Home.model_validate_json(found[0]).log != home.log:
        raise DataError(f"{home.url} holds the compacted part of another log; give each a prefix of its own")


def _created(store: CompactedStore, ours: bytes) -> bool:
    try:
        store.replace(_OWNER, ours, None)
    except ArtefactError:
        return False  # it is there; should the bucket be out of reach, reading it says so
    return True
