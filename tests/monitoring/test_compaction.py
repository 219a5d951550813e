from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_home import compacted_store, settle_home
from include.adapters.compacted_log import CompactedDay, CompactedLog
from include.adapters.prediction_log import PredictionLog, find, find_all, ids_of_request, latest, read
from include.adapters.prediction_parquet import to_table
from include.adapters.segments import segments
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, DataError
from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow
from include.monitoring import compaction
from include.monitoring.compaction import compact_predictions
from tests.adapters.test_prediction_log import MOMENT, left_open, row
from tests.buckets import new_bucket

DAY = MOMENT.date()
LATER = timedelta(minutes=11)


@pytest.fixture(params=["folder", "bucket"], scope="module")
def bucket(request) -> str:
    """Where compacted predictions lie: each kind of store."""
    if request.param == "folder":
        return ""
    request.getfixturevalue("s3")
    return f"s3://{new_bucket()}"


@pytest.fixture
def home(tmp_path: Path, bucket: str) -> Settings:
    """Settings of a home of one's own."""
    return home_in(tmp_path, bucket)


def home_in(folder: Path, bucket: str) -> Settings:
    """Return settings of a home, with a place of its own in a bucket if there is one."""
    return Settings(home=folder, compacted_url=bucket and f"{bucket}/{uuid7(MOMENT)}")


def now() -> datetime:
    """Return a moment at which what was just written may be compacted."""
    return datetime.now(UTC) + LATER


def logged(home: Settings, rows: list[PredictionRow]) -> list[PredictionRow]:
    """Log rows in a segment of their own; return them."""
    log = PredictionLog(home.predictions_folder, 2**20)
    log.append(rows)
    log.close()
    return rows


def by_id(rows: Iterator[PredictionRow] | list[PredictionRow]) -> list[PredictionRow]:
    """Return rows by id."""
    return sorted(rows, key=lambda item: item.prediction_id)


def files(home: Settings) -> list[str]:
    """Return the compacted files."""
    return compacted_store(home.predictions_folder).uris("model=*/day=*/*.parquet")


def test_rows_move_to_a_file_a_model_and_day(home):
    """Segments go, and every way to read the log gives what it gave before."""
    rows = logged(home, [row(model=model, request_id="r") for model in ("churn", "spend")])
    rows += logged(home, [row(MOMENT + timedelta(days=1)), row(unit="2")])
    done = compact_predictions(home, now())

    assert (4, 3, 3, 0, ()) == (done.rows, done.segments, done.files, done.left, done.damaged)
    assert ["model=churn/day=2017-11-01", "model=churn/day=2017-11-02", "model=spend/day=2017-11-01"] == [
        path.rpartition("/")[0] for path in files(home)
    ]
    assert [] == segments(home.predictions_folder)
    check_reads(home, rows)


def check_reads(home: Settings, rows: list[PredictionRow]) -> None:
    """Hold every reader against the rows that were logged."""
    log, ids = home.predictions_folder, [item.prediction_id for item in rows]
    moments = [item.predicted_at for item in rows]
    assert by_id(rows) == by_id(read(log))
    assert {item.prediction_id: item for item in rows} == find_all(log, [*ids, uuid7(MOMENT)])
    assert rows[-1:] == [find(log, prediction_id) for prediction_id in ids[-1:]]
    window = (min(moments), max(moments) + timedelta(microseconds=1))
    assert by_id(rows) == by_id(latest(log, *window, lambda _: True, most=10**6, looked_at=10**6))
    assert 1 == len(latest(log, *window, lambda _: True, most=10**6, looked_at=1))
    at = [item for item in rows if (item.request_id, item.predicted_at) == ("r", MOMENT)]
    assert frozenset(item.prediction_id for item in at) == ids_of_request(log, "r", MOMENT)
    assert by_id(item for item in rows if item.predicted_at < MOMENT) == by_id(read(log, None, MOMENT))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("compact", "append", "append", "append")),
        st.lists(
            st.builds(
                lambda hours, model, unit: row(
                    MOMENT + timedelta(hours=hours), model=model, unit=unit, request_id="r"
                ),
                st.integers(-30, 30),
                st.sampled_from(("churn", "spend")),
                st.text(max_size=3),
            ),
            min_size=1,
            max_size=4,
        ),
    ),
    min_size=1,
    max_size=8,
)
"""Appends and compactions that take turns."""


@budget(deadline=None, max_examples=15)
@given(steps=STEPS)
def test_raw_and_compacted_are_one_log(steps, tmp_path_factory):
    """However appends and compactions take turns: each row once, by every reader."""
    check_one_log(home_in(tmp_path_factory.mktemp("home"), ""), steps)


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
@budget(deadline=None, max_examples=15)
@given(steps=STEPS)
def test_raw_and_a_bucket_are_one_log(steps, tmp_path_factory):
    """So, too, in a bucket."""
    check_one_log(home_in(tmp_path_factory.mktemp("home"), f"s3://{new_bucket()}"), steps)


def check_one_log(home: Settings, steps: list[tuple[str, list[PredictionRow]]]) -> None:
    """Take steps, then hold every reader against the rows."""
    rows: list[PredictionRow] = []
    for step, batch in steps:
        if step == "append":
            rows += logged(home, batch)
        else:
            compact_predictions(home, now())
    if rows:
        check_reads(home, rows)


def test_young_and_open_segments_stay_raw(home):
    """What a restarted gateway needs for repeated requests, and what is being written, is left alone."""
    logged(home, [row()])
    written = segments(home.predictions_folder)[0].stat().st_mtime
    log = PredictionLog(home.predictions_folder, 2**20)
    log.append([row()])

    # Less a moment: a file's time has more digits than a datetime.
    window = timedelta(seconds=home.request_window_seconds, milliseconds=-1)
    assert 0 == compact_predictions(home, datetime.fromtimestamp(written, UTC) + window).rows
    assert 1 == compact_predictions(home, now()).rows
    assert 2 == len(list(read(home.predictions_folder)))
    log.close()
    assert 1 == compact_predictions(home, now()).rows
    assert 0 == compact_predictions(home, now()).rows


def test_a_killed_writers_segment_is_sealed_and_moved(home):
    """Its torn tail stays beside where it lay."""
    path = left_open(home.predictions_folder, [row()])
    with path.open("ab") as file:
        file.write(b"half a rec")
    compact_predictions(home, now())

    assert ([], 1) == (segments(home.predictions_folder), len(list(read(home.predictions_folder))))
    assert b"half a rec" == path.with_suffix(".torn").read_bytes()


def test_a_damaged_segment_stays_and_the_others_move(home):
    """It is named; readers meet its error as before."""
    kept = logged(home, [row()])
    damaged = segments(home.predictions_folder)[0].with_name("0.log")
    damaged.write_bytes(b"no segment at all")
    done = compact_predictions(home, now())

    assert (1, 1) == (done.rows, len(done.damaged))
    assert "0.log" in done.damaged[0]
    assert kept == [find(home.predictions_folder, kept[0].prediction_id)]
    with pytest.raises(DataError, match=r"0\.log"):
        list(read(home.predictions_folder))


def test_segments_wait_for_those_who_read_them(home):
    """A reader that began before finds everything once; the next run deletes what it left."""
    rows = logged(home, [row(unit=str(number)) for number in range(3)])
    reading = read(home.predictions_folder)
    first = next(reading)
    done = compact_predictions(home, now())

    assert (3, 1) == (done.rows, done.left)
    assert by_id(rows) == by_id([first, *reading]) == by_id(read(home.predictions_folder))
    assert (0, 0) == (compact_predictions(home, now()).rows, len(segments(home.predictions_folder)))
    assert by_id(rows) == by_id(read(home.predictions_folder))


def test_what_a_killed_run_wrote_and_did_not_record_goes(home):
    """A file no record names is nobody's, and the next run removes it."""
    logged(home, [row()])
    settle_home(home.predictions_folder, home.compacted_url)
    stray = f"model=churn/day={DAY}/{'0' * 32}.parquet"
    compacted_store(home.predictions_folder).write(stray, b"half a file")
    compact_predictions(home, now())

    assert 1 == len(files(home))
    assert stray not in files(home)


def test_what_a_killed_run_asked_for_comes_too_late(home):
    """Its record is refused once the next run deleted its files; what that run wrote has other names."""
    [item] = logged(home, [row()])
    settle_home(home.predictions_folder, home.compacted_url)
    log = CompactedLog(home.predictions_folder)
    seen = log.seen(DAY)
    lost = CompactedFiles(home.predictions_folder).write("churn", DAY, 0, to_table([item]))
    compact_predictions(home, now())

    with pytest.raises(ArtefactError, match="changed meanwhile"):
        log.record(DAY, CompactedDay(files=(lost,), segments=frozenset({"0.log"})), seen)
    assert lost.uri not in files(home)
    compacted_store(home.predictions_folder).delete(lost.uri)
    assert [item] == list(read(home.predictions_folder))


def test_a_log_keeps_its_place_and_a_bucket_its_log(home, s3, tmp_path):
    """Neither may its compacted part be left behind, nor two logs share one."""
    rows = logged(home, [row()])
    compact_predictions(home, now())
    elsewhere = f"s3://{new_bucket()}"
    for other in {"", elsewhere} - {home.compacted_url}:
        with pytest.raises(DataError, match="NINETY_COMPACTED_URL"):
            compact_predictions(Settings(home=tmp_path, compacted_url=other), now())
    if home.compacted_url:
        with pytest.raises(DataError, match="of another log"):
            compact_predictions(Settings(home=tmp_path / "other", compacted_url=home.compacted_url), now())
    check_reads(home, rows)


def test_an_empty_log_may_move(tmp_path, s3):
    """To a bucket, to another one, and back."""
    url = f"s3://{new_bucket()}"
    for place in (url, f"{url}/deeper", "", url):
        home = Settings(home=tmp_path, compacted_url=place)
        assert 0 == compact_predictions(home, now()).rows
    rows = logged(home, [row()])
    assert 1 == compact_predictions(home, now()).files
    check_reads(home, rows)
    assert [] == list(tmp_path.rglob("*.parquet"))


def test_memory_is_bounded_by_groups_and_files_by_rows(home, monkeypatch):
    """Small groups and files give the same rows."""
    monkeypatch.setattr(compaction, "GROUP_BYTES", 1_000)
    monkeypatch.setattr(compaction, "FILE_ROWS", 2)
    rows = [item for _ in range(5) for item in logged(home, [row() for _ in range(3)])]
    done = compact_predictions(home, now())

    assert (15, 5, 10) == (done.rows, done.segments, done.files)
    check_reads(home, rows)
    assert [] == [file for file in CompactedLog(home.predictions_folder).day(DAY).files if file.rows > 2]


def test_a_lost_file_is_an_error_by_name(home):
    """A file the record names and that is gone is damage, not an empty day."""
    [item] = logged(home, [row()])
    compact_predictions(home, now())
    store, [uri] = compacted_store(home.predictions_folder), files(home)
    with store.open(uri) as file:
        half = file.read(100)
    store.write(uri, half)

    with pytest.raises(DataError, match="of the compacted log cannot be read"):
        list(read(home.predictions_folder))
    store.delete(uri)
    with pytest.raises(DataError, match="of the compacted log cannot be read"):
        find(home.predictions_folder, item.prediction_id)
