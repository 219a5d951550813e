import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from include.adapters import prediction_log
from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedLog
from include.adapters.logged_columns import read_columns
from include.adapters.prediction_parquet import to_table
from include.adapters.segments import segments
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.predictions import PredictionRow, Source
from include.monitoring.compaction import compact_predictions
from tests.adapters.test_prediction_log import MOMENT, logged, row
from tests.adapters.test_prediction_parquet import rows

DAY = timedelta(days=1)
EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC))
EVERY_SOURCE = tuple(Source)
LATER = timedelta(minutes=11)


def home_of(folder: Path) -> Settings:
    """Return settings of a home of one's own."""
    return Settings(home=folder)


def compact(home: Settings) -> None:
    """Compact whatever is logged."""
    compact_predictions(home, datetime.now(UTC) + LATER)


def as_columns(found: list[PredictionRow]) -> list[tuple[object, ...]]:
    """Return what the columns below say of rows, computed row by row."""
    return sorted(
        (
            (
                each.prediction_id,
                str(each.status),
                each.request_id,
                each.bucket,
                (each.outputs or ())[1] if len(each.outputs or ()) > 1 else None,
                number(each.features.get("a")),
                text(each.features.get("b")),
                number(each.request_features.get("a")),
                utc(each.feature_timestamps.get("v")),
            )
            for each in found
        ),
        key=str,
    )


COLUMNS = (
    "prediction_id",
    "status",
    "request_id",
    "bucket",
    "output.1",
    "feature.a",
    "feature.b",
    "request.a",
    "timestamp.v",
)


def number(value: object) -> float | None:
    """Return a logged value as a number; text is none."""
    return None if value is None or isinstance(value, str) else float(value)


def text(value: object) -> str | None:
    """Return a logged text."""
    return value if isinstance(value, str) else None


def utc(value: object) -> object:
    """Return a moment with Python's own UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def read_rows(home: Settings, start: datetime, end: datetime) -> list[tuple[object, ...]]:
    """Return what the reader says, row by row."""
    table = read_columns(home, "churn", start, end, COLUMNS, texts={"b"}, sources=EVERY_SOURCE)
    return sorted((tuple(map(utc, each.values())) for each in table.to_pylist()), key=str)


MOMENTS = st.none() | st.datetimes(
    *map(datetime.fromisoformat, ("1970-01-01", "2200-01-01")), timezones=st.just(UTC)
)
VALUES = st.floats() | st.integers(-(2**53), 2**53) | st.booleans() | st.none()


@st.composite
def any_row(draw) -> PredictionRow:
    """Any row there can be, with features of a name."""
    drawn = draw(rows())
    features = {"a": draw(VALUES | st.text("xyé", max_size=3)), "b": draw(st.text(max_size=3) | st.none())}
    keyed = {
        "features": features,
        "request_features": {"a": draw(VALUES)},
        "feature_timestamps": {"v": draw(MOMENTS)},
    }
    return row(
        drawn.predicted_at,
        model=draw(st.sampled_from(("churn", "churn", "spend"))),
        request_id=drawn.request_id,
        outputs=drawn.outputs,
        bucket=drawn.bucket,
        status=drawn.status,
        source=drawn.source,
        **keyed,
    )


@budget(deadline=None, max_examples=20)
@given(compacted=st.lists(any_row(), max_size=5), raw=st.lists(any_row(), max_size=3), data=st.data())
def test_columns_say_what_the_rows_do(compacted, raw, data, tmp_path_factory):
    """Whatever is logged, compacted or not: the values of `prediction_log.read`, in any window."""
    home = home_of(tmp_path_factory.mktemp("home"))
    moments = [each.predicted_at for each in (*compacted, *raw)]
    bounds = [*EVER, *moments, *(moment + timedelta(microseconds=1) for moment in moments)]
    start, end = sorted(data.draw(st.tuples(st.sampled_from(bounds), st.sampled_from(bounds))))
    if compacted:
        logged(home.predictions_folder, compacted)
        compact(home)
    if raw:
        logged(home.predictions_folder, raw)
    expected = [
        each for each in prediction_log.read(home.predictions_folder, start, end) if each.model == "churn"
    ]

    assert str(as_columns(expected)) == str(read_rows(home, start, end))


def test_the_window_is_half_open_and_sources_are_chosen(tmp_path):
    """Compacted and raw: the first moment is in, the last is out; shadows are not answers."""
    home = home_of(tmp_path)
    for step in range(2):
        for each in (MOMENT - DAY, MOMENT, MOMENT + DAY):
            logged(
                home.predictions_folder, [row(each, unit=f"{step}{each:%d}"), row(each, source=Source.SHADOW)]
            )
        if step == 0:
            compact(home)

    table = read_columns(home, "churn", MOMENT - DAY, MOMENT + DAY, ["unit", "predicted_at"])
    assert ["001", "031", "101", "131"] == sorted(table["unit"].to_pylist())
    assert 4 == read_columns(home, "churn", MOMENT, MOMENT + DAY, ["unit"], sources=EVERY_SOURCE).num_rows


def test_an_empty_window_has_its_columns(tmp_path):
    """No log at all, a day without the model: a table without rows, of the same columns and types."""
    home = home_of(tmp_path)
    columns = ["unit", "output.0", "feature.a", "feature.b", "timestamp.v"]
    types = [
        pyarrow.string(),
        pyarrow.float64(),
        pyarrow.float64(),
        pyarrow.string(),
        pyarrow.timestamp("us", "UTC"),
    ]
    nothing = read_columns(home, "churn", *EVER, columns, texts={"b"})
    logged(home.predictions_folder, [row(model="spend")])
    compact(home)

    assert pyarrow.schema(list(zip(columns, types, strict=True))) == nothing.schema
    assert nothing == read_columns(home, "churn", *EVER, columns, texts={"b"})


@pytest.mark.parametrize(
    "column", ["features", "entity", "exact", "feature.", "output.x", "nonsense", "view.a"]
)
def test_what_is_no_column_is_refused(tmp_path, column):
    """Mappings are read by key."""
    with pytest.raises(ValueError, match="no column of the prediction log"):
        read_columns(home_of(tmp_path), "churn", *EVER, [column])


def test_numbers_json_cannot_hold_are_read(tmp_path):
    """NaN and infinity come back as logged, beside a value that is missing."""
    home = home_of(tmp_path)
    values = [math.nan, math.inf, None, 1, True]
    logged(
        home.predictions_folder,
        [row(unit=str(place), features={"a": each}) for place, each in enumerate(values)],
    )
    compact(home)

    table = read_columns(home, "churn", *EVER, ["unit", "feature.a"]).sort_by("unit")
    assert str([math.nan, math.inf, None, 1.0, 1.0]) == str(table["feature.a"].to_pylist())


def test_text_that_reads_as_a_number_is_one(tmp_path):
    """Where a number is asked for; any other text is missing."""
    home = home_of(tmp_path)
    texts = ["1.5", "x", ""]
    logged(
        home.predictions_folder, [row(unit=str(at), features={"a": each}) for at, each in enumerate(texts)]
    )

    table = read_columns(home, "churn", *EVER, ["unit", "feature.a"]).sort_by("unit")
    assert [1.5, None, None] == table["feature.a"].to_pylist()


def test_a_field_an_older_file_lacks_has_its_default(tmp_path):
    """What was compacted before a field was added is read all the same."""
    home = home_of(tmp_path)
    logged(home.predictions_folder, [row()])
    compact(home)
    store, log = CompactedFiles(home.predictions_folder), CompactedLog(home.predictions_folder)
    seen = log.seen(MOMENT.date())
    older = to_table([row(unit="older")]).drop_columns(["request_entities", "error"])
    file = store.write("churn", MOMENT.date(), seen.content.revision, older)
    log.record(MOMENT.date(), seen.content.model_copy(update={"files": (*seen.content.files, file)}), seen)

    table = read_columns(home, "churn", *EVER, ["unit", "request_entities", "error"]).sort_by("unit")
    assert [("1", 1, None), ("older", 1, None)] == [tuple(each.values()) for each in table.to_pylist()]


def test_rows_of_segments_are_taken_in_batches(tmp_path, monkeypatch):
    """However few at once, all of them."""
    monkeypatch.setattr("include.adapters.logged_columns.BATCH_ROWS", 2)
    home = home_of(tmp_path)
    logged(home.predictions_folder, [row(unit=str(number)) for number in range(5)])

    assert [*"01234"] == sorted(read_columns(home, "churn", *EVER, ["unit"])["unit"].to_pylist())


def test_damage_is_named(tmp_path):
    """A damaged segment and a file that is gone are errors, never missing rows."""
    home = home_of(tmp_path)
    logged(home.predictions_folder, [row()])
    compact(home)
    [file] = home.predictions_folder.rglob("*.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:100])
    with pytest.raises(DataError, match="of the compacted log cannot be read"):
        read_columns(home, "churn", *EVER, ["unit"])
    file.write_bytes(content)
    logged(home.predictions_folder, [row()])
    segments(home.predictions_folder)[0].write_bytes(b"no segment at all")
    with pytest.raises(DataError, match="not a log segment"):
        read_columns(home, "churn", *EVER, ["unit"])
