"""Predictions whose truth is in: Parquet under `<labelled>/<model>/day=<day>/`, rows never taken back.

A run adds what it found new: first labels, late ones, corrections. So what was known at any moment can be
read again. Beside the rows lies what the last run made of the day.

var/labelled/<model>/day=2017-11-01/20171116T000000Z-<hash of the rows>.parquet
                                   /day.json
"""

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from include.adapters.files import write_atomically
from include.config.settings import Settings
from include.contracts.labelled import LabelledDay

_MOMENT = pyarrow.timestamp("us", "UTC")
SCHEMA = pyarrow.schema(
    [
        ("prediction_id", pyarrow.string()),
        ("unit", pyarrow.string()),
        ("predicted_at", _MOMENT),
        ("served_version", pyarrow.string()),
        ("assigned_variant", pyarrow.string()),
        ("outputs", pyarrow.list_(pyarrow.float64())),
        ("value", pyarrow.float64()),
        ("known_at", _MOMENT),
        ("label_version", pyarrow.int64()),
        ("label_source", pyarrow.string()),
    ]
)
"""Columns of a prediction with its label; of two rows of a prediction the larger `label_version` counts."""
_STATE = "day.json"
_KEY = ("prediction_id", "label_version", "value")
_NEW = "SELECT * FROM joined ANTI JOIN stored USING (prediction_id, label_version, value)"
_LATEST = (
    "SELECT * FROM stored WHERE known_at <= $known_by "
    "QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY label_version DESC, value) = 1"
)


class LabelledStore:
    """A model's labelled predictions."""

    def __init__(self, settings: Settings, model: str) -> None:
        """Args: settings: says where the store lies; model: whose."""
        self._folder = settings.labelled_folder / model

    def days(self) -> list[date]:
        """Return the days there is anything of, in order."""
        return sorted(
            date.fromisoformat(path.name.removeprefix("day=")) for path in self._folder.glob("day=*")
        )

    def day(self, day: date) -> LabelledDay | None:
        """Return what the last run made of a day; None before the first."""
        path = self._of(day) / _STATE
        return LabelledDay.model_validate_json(path.read_bytes()) if path.is_file() else None

    def add(self, joined: pyarrow.Table, state: LabelledDay) -> int:
        """Add the rows of a day that are not there yet, then note what was made of it; return how many.

        A killed run is made good by the next: what it added is not added again.
        """
        day = state.start.date()
        files = self._files(day)
        new = _query(_NEW, {}, joined=joined, stored=_read(files, _KEY)) if files else joined
        if new.num_rows:
            content = _bytes(new.cast(SCHEMA))
            name = f"{state.as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256(content).hexdigest()[:16]}.parquet"
            write_atomically(self._of(day) / name, content)
        write_atomically(self._of(day) / _STATE, state.model_dump_json(indent=1).encode())
        return int(new.num_rows)

    def read(
        self, start: datetime, end: datetime, known_by: datetime, columns: Sequence[str] = tuple(SCHEMA.names)
    ) -> pyarrow.Table:
        """Return the predictions of the days in [start, end) with the truth as it was known by a moment.

        Args:
            start: a midnight.
            end: a midnight.
            known_by: labels known later do not count.
            columns: which.
        """
        first, last = (moment.astimezone(UTC).date() for moment in (start, end))
        found = [SCHEMA.empty_table().select(columns)]
        for day in self.days():
            if first <= day < last and (files := self._files(day)):
                found.append(_known(files, known_by, columns))
        return pyarrow.concat_tables([each.cast(found[0].schema) for each in found])

    def forget_before(self, first: date) -> int:
        """Delete the days before a day; return how many."""
        old = [day for day in self.days() if day < first]
        for day in old:
            shutil.rmtree(self._of(day))
        return len(old)

    def _of(self, day: date) -> Path:
        return self._folder / f"day={day.isoformat()}"

    def _files(self, day: date) -> list[Path]:
        return sorted(self._of(day).glob("*.parquet"))


def midnight(day: date) -> datetime:
    """Return the moment a UTC day begins."""
    return datetime.combine(day, time(), UTC)


def days_between(start: datetime, end: datetime) -> list[datetime]:
    """Return the midnights in [start, end)."""
    first = midnight(start.astimezone(UTC).date())
    first += timedelta(days=first < start)
    return [first + timedelta(days=number) for number in range(-(-(end - first) // timedelta(days=1)))]


def _known(files: Sequence[Path], known_by: datetime, columns: Sequence[str]) -> pyarrow.Table:
    """Return the latest label of each prediction of a day; within a file each has one."""
    stored = _read(files, list({*columns, *_KEY, "known_at"}))
    if len(files) == 1:
        limit = pyarrow.scalar(known_by, stored["known_at"].type)
        return stored.filter(compute.less_equal(stored["known_at"], limit)).select(columns)
    return _query(_LATEST, {"known_by": known_by}, stored=stored).select(columns)


def _read(files: Sequence[Path], columns: Sequence[str]) -> pyarrow.Table:
    tables = [pyarrow.parquet.read_table(path, columns=list(columns), partitioning=None) for path in files]
    return pyarrow.concat_tables(tables)


def _bytes(table: pyarrow.Table) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=[
            "served_version",
            "assigned_variant",
            "label_source",
            "known_at",
            "label_version",
            "value",
        ],
        write_statistics=False,
    )
    return bytes(sink.getvalue())


def _query(sql: str, parameters: dict[str, object], **tables: pyarrow.Table) -> pyarrow.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql, params=parameters).to_arrow_table()
