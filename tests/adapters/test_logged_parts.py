from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedDay, CompactedLog, Seen
from include.adapters.logged_parts import logged_parts
from include.adapters.prediction_log import PredictionLog
from include.adapters.prediction_parquet import to_table
from include.config.settings import Settings
from tests.experiments.world import row

NOON = datetime(2017, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FIELDS = ["unit", "predicted_at", "features"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give a home of the test's own."""
    return Settings(home=tmp_path)


def units(settings: Settings, start: datetime, end: datetime) -> list[str]:
    """Return the units of the parts."""
    with logged_parts(settings, "churn", start, end, FIELDS) as parts:
        files = [pyarrow.parquet.read_table(path, columns=FIELDS, partitioning=None) for path in parts.files]
        tables = list(parts.tables)
    assert all(table.column_names == FIELDS for table in tables)
    return sorted(unit for table in [*files, *tables] for unit in table["unit"].to_pylist())


def log(settings: Settings, *moments: tuple[int, datetime], model: str = "churn") -> None:
    """Log a row a unit."""
    writer = PredictionLog(settings.predictions_folder, 2**20)
    writer.append([row(unit, at, None, None, None, model=model) for unit, at in moments])
    writer.close()


def test_compacted_files_are_named_and_the_rest_comes_as_tables(settings: Settings) -> None:
    """Both together hold each row of the model's days once; another model's are in neither."""
    rows = [row(unit, NOON, None, None, None) for unit in (1, 2)]
    file = CompactedFiles(settings.predictions_folder).write("churn", NOON.date(), 0, to_table(rows))
    CompactedLog(settings.predictions_folder).record(NOON.date(), CompactedDay(files=(file,)), Seen())
    log(settings, (3, NOON), (4, NOON + DAY))
    log(settings, (5, NOON), model="spend")
    assert ["1", "2", "3", "4"] == units(settings, NOON - DAY, NOON + 2 * DAY)
    assert ["4"] == units(settings, NOON + DAY, NOON + 2 * DAY)
    with logged_parts(settings, "churn", NOON, NOON + DAY, FIELDS) as parts:
        assert [file.uri] == ["/".join(path.parts[-3:]) for path in parts.files]


def test_where_nothing_is_logged_there_are_no_parts(settings: Settings) -> None:
    """Neither files nor tables."""
    assert [] == units(settings, NOON, NOON + DAY)
