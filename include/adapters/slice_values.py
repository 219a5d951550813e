"""Which part of a slice each unit belongs to, by the offline rows of a feature view."""

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow

from include.config.settings import Settings
from include.contracts.views import TIMESTAMP

SCHEMA = pyarrow.schema([("unit", pyarrow.string()), ("part", pyarrow.string())])


def slice_values(settings: Settings, view: str, column: str, key: str, moment: datetime) -> pyarrow.Table:
    """Return unit and part, by each unit's latest row no later than a moment.

    Args:
        settings: say where the offline rows lie.
        view: name of the feature view.
        column: whose values are the parts; units without a value are left out.
        key: column of the unit.
        moment: so that nothing that happened after it decides a unit's part.

    Returns:
        A table of `SCHEMA`; empty where the view has no rows yet.
    """
    files = _files(settings.offline_folder / view, moment)
    if not files:
        return SCHEMA.empty_table()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.sql(
            f"""
            SELECT "{key}"::VARCHAR AS unit, arg_max("{column}"::VARCHAR, {TIMESTAMP}) AS part
            FROM read_parquet($files) WHERE {TIMESTAMP} <= $moment AND "{column}" IS NOT NULL GROUP BY 1
            """,  # noqa: S608 - names out of a contract that was held against the view
            params={"files": files, "moment": moment},
        )
        return rows.to_arrow_table().cast(SCHEMA)


def _files(folder: Path, moment: datetime) -> list[str]:
    """Return the files of the days until a moment's."""
    last = moment.date().isoformat()
    return [str(path) for path in sorted(folder.glob("*.parquet")) if path.stem <= last]
