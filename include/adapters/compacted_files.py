"""The files of the compacted log: written, read, and searched for single rows.

Apart from the records, since Arrow takes a while to import and who finds no file needs none.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyarrow

from include.adapters import prediction_parquet
from include.adapters.artefacts import ArtefactStore
from include.adapters.compacted_home import compacted_store
from include.adapters.compacted_log import CompactedFile
from include.contracts.errors import ArtefactError, DataError
from include.contracts.predictions import PredictionRow


class CompactedFiles:
    """Files by what their day's record says of them."""

    def __init__(self, log: Path) -> None:
        """Args: log: folder of the prediction log."""
        self._store = compacted_store(log)

    def write(self, model: str, day: date, revision: int, table: pyarrow.Table) -> CompactedFile:
        """Write rows of a model and day, sorted by id, as a file; the same rows give the same file.

        Args:
            model: the rows' model.
            day: their day.
            revision: that of the day's record, which does not name the file yet.
            table: the rows.

        Raises:
            ArtefactError: it cannot be written.
        """
        content = prediction_parquet.write(table)
        name = f"{revision:06d}-{sha256(content).hexdigest()[:32]}.parquet"
        uri = f"model={model}/day={day.isoformat()}/{name}"
        self._store.write(uri, content)
        ids = table["prediction_id"]
        return CompactedFile(uri=uri, rows=len(table), first=ids[0].as_py(), last=ids[-1].as_py())

    def rows(self, file: CompactedFile) -> Iterator[PredictionRow]:
        """Yield the rows of a file by id.

        Raises:
            DataError: it is gone or damaged; so with the others.
        """
        with self._opened(file) as content:
            yield from prediction_parquet.read(content)

    def local(self, file: CompactedFile) -> Path | None:
        """Return where a file lies on this machine's disk; None where it lies in a bucket."""
        return self._store.path(file.uri) if isinstance(self._store, ArtefactStore) else None

    def columns(self, file: CompactedFile, names: Sequence[str]) -> pyarrow.Table:
        """Return fields of all rows of a file, by id."""
        with self._opened(file) as content:
            return prediction_parquet.read_columns(content, names)

    def rows_backwards(self, file: CompactedFile) -> Iterator[PredictionRow]:
        """Yield the rows of a file, the largest id first."""
        with self._opened(file) as content:
            yield from prediction_parquet.read_backwards(content)

    def find(self, file: CompactedFile, prediction_ids: Collection[str]) -> Iterator[PredictionRow]:
        """Yield the rows of ids in a file."""
        with self._opened(file) as content:
            yield from prediction_parquet.find(content, prediction_ids)

    def ids_of_request(self, file: CompactedFile, request_id: str, moment: datetime) -> list[str]:
        """Return the prediction ids a request has in a file at a moment."""
        with self._opened(file) as content:
            return prediction_parquet.ids_of_request(content, request_id, moment)

    @contextmanager
    def _opened(self, file: CompactedFile) -> Iterator[BinaryIO]:
        try:
            with self._store.open(file.uri) as content:
                yield content
        except (ArtefactError, OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{file.uri} of the compacted log cannot be read: {error}") from error
