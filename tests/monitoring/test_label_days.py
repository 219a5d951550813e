"""Days joined with their labels, on a real log and a real label store."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from include.adapters.label_store import record_labels
from include.adapters.labelled_store import LabelledStore, days_between
from include.adapters.outcome_log import OutcomeLog
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.identifiers import uuid7
from include.contracts.labelled import Refusal
from include.contracts.predictions import OutcomeRow, PredictionRow, Source, Status
from include.monitoring.compaction import compact_predictions
from include.monitoring.label_days import JoinedDays, join_days
from include.monitoring.retention import forget_old_days
from tests.adapters.test_prediction_log import logged, row

CHURN = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn").contract
DAY = timedelta(days=1)
MIDNIGHT = datetime(2017, 11, 1, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)
KNOWN = MIDNIGHT + 14 * DAY


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home with a prediction a unit: a, b and c."""
    home = Settings(home=tmp_path)
    logged(home.predictions_folder, [row(NOON, unit=unit) for unit in "abc"])
    return home


def learn(home: Settings, values: dict[str, float], as_of: datetime, event_at: datetime = MIDNIGHT) -> None:
    """Record labels of a moment as they were computed at another."""
    table = pyarrow.table(
        {
            "unit": list(values),
            "event_at": pyarrow.array([event_at] * len(values), pyarrow.timestamp("us", "UTC")),
            "known_at": pyarrow.array([event_at + 14 * DAY] * len(values), pyarrow.timestamp("us", "UTC")),
            "value": list(values.values()),
        }
    )
    record_labels(home, "churn", table, "label.sql", as_of)


def join(home: Settings, as_of: datetime) -> JoinedDays:
    """Join whatever changed."""
    return join_days(home, CHURN, as_of)


def truths(home: Settings, known_by: datetime, end: datetime = MIDNIGHT + DAY) -> dict[str, float]:
    """Return the truth by unit as it was known by a moment."""
    found = LabelledStore(home, "churn").read(MIDNIGHT, end, known_by, ("unit", "value"))
    return dict(zip(*found.to_pydict().values(), strict=True))


def files(home: Settings) -> dict[Path, bytes]:
    """Return every file of the store."""
    return {path: path.read_bytes() for path in home.labelled_folder.rglob("*") if path.is_file()}


def test_a_day_is_joined_once_its_labels_are_known(home):
    """Before that moment nothing is; again, nothing changes and nothing is read."""
    learn(home, {"a": 1.0, "b": 0.0}, KNOWN)

    assert (1, 0) == (len(join(home, KNOWN - DAY).days), len(truths(home, KNOWN)))
    assert 2 == join(home, KNOWN).rows
    assert {"a": 1.0, "b": 0.0} == truths(home, KNOWN)
    before = files(home)
    assert JoinedDays((), 0) == join(home, KNOWN) == join(home, KNOWN + DAY)
    assert before == files(home)


def test_late_labels_and_corrections_reopen_their_day(home):
    """Only what is new is added, and what was known before can still be read."""
    learn(home, {"a": 1.0, "b": 0.0}, KNOWN)
    join(home, KNOWN)
    first = files(home)
    learn(home, {"a": 0.0, "b": 0.0, "c": 1.0}, KNOWN + 5 * DAY)

    assert 2 == join(home, KNOWN + 5 * DAY).rows
    assert {"a": 1.0, "b": 0.0} == truths(home, KNOWN)
    assert {"a": 0.0, "b": 0.0, "c": 1.0} == truths(home, KNOWN + 5 * DAY)
    parquet = {path: content for path, content in first.items() if path.suffix == ".parquet"}
    assert parquet.items() <= files(home).items()


def test_a_late_prediction_reopens_its_day(home):
    """Logged after the day was joined; compaction alone adds nothing."""
    learn(home, {"a": 1.0}, KNOWN)
    join(home, KNOWN)
    logged(home.predictions_folder, [row(NOON, unit="a")])

    assert 1 == join(home, KNOWN).rows
    compact_predictions(home, datetime.now(UTC) + timedelta(hours=1))
    assert 0 == join(home, KNOWN).rows
    [state] = [LabelledStore(home, "churn").day(MIDNIGHT.date())]
    assert (4, 2) == (state.predictions, state.labelled)


def test_what_was_joined_outlasts_its_log_and_goes_with_its_days(home):
    """Without predictions a day is not joined anew; retention takes labelled days as it takes the log's."""
    learn(home, {"a": 1.0}, KNOWN)
    join(home, KNOWN)
    shutil.rmtree(home.predictions_folder)

    assert JoinedDays((), 0) == join(home, KNOWN + DAY)
    assert {"a": 1.0} == truths(home, KNOWN + DAY)
    assert 3 == LabelledStore(home, "churn").day(MIDNIGHT.date()).predictions
    short = Settings(home=home.home, log_days=7)
    assert 0 == forget_old_days(short, (MIDNIGHT + 7 * DAY).date()).days
    assert 1 == forget_old_days(short, (MIDNIGHT + 8 * DAY).date()).days
    assert {} == truths(home, KNOWN + DAY)


def test_only_answers_of_versions_count(home):
    """Not shadows, drills, refusals, or a default score that no version gave."""
    others: list[PredictionRow] = [
        row(NOON, unit="d", source=Source.SHADOW),
        row(NOON, unit="d", source=Source.OIP),
        row(NOON, unit="d", status=Status.REFUSED, outputs=None, served_version=None),
        row(NOON, unit="d", status=Status.FALLBACK, served_version=None),
        row(NOON, unit="e", source=Source.BATCH, status=Status.FALLBACK),
    ]
    logged(home.predictions_folder, others)
    learn(home, {"d": 1.0, "e": 1.0}, KNOWN)
    join(home, KNOWN)

    assert {"e": 1.0} == truths(home, KNOWN)


def test_outcomes_join_by_the_prediction_they_name(home):
    """Those of other metrics and models do not; bad ones are in quarantine, counted."""
    prediction_id = uuid7(NOON)
    logged(home.predictions_folder, [row(NOON, unit="d", prediction_id=prediction_id)])

    def told(outcome_id: str, **changes: object) -> OutcomeRow:
        values = {"outcome_id": outcome_id, "model": "churn", "metric": "label", "value": 1.0}
        moments = {"occurred_at": NOON + DAY, "recorded_at": NOON + DAY}
        return OutcomeRow(**(values | moments | {"prediction_id": prediction_id} | changes))

    log = OutcomeLog(home.outcomes_folder, 2**20)
    log.append(
        [
            told("good"),
            told("other", metric="revenue"),
            told("elsewhere", model="spend"),
            told("unknown", prediction_id=uuid7(NOON)),
            told("no id", prediction_id="what"),
            told("impossible", value=7.0),
            told("early", occurred_at=NOON - DAY, recorded_at=NOON),
            told("of a unit", prediction_id=None, unit="a", value=0.0, occurred_at=NOON),
        ]
    )
    log.close()
    done = join(home, NOON + 2 * DAY)

    assert {"d": 1.0, "a": 0.0} == truths(home, NOON + 2 * DAY)
    refused = {day.start.date().day: day.refused for day in done.days}
    assert {
        1: {
            Refusal.UNKNOWN_PREDICTION: 1,
            Refusal.IMPOSSIBLE_VALUE: 1,
            Refusal.FROM_THE_FUTURE: 1,
        },
        2: {Refusal.UNKNOWN_PREDICTION: 1},
    } == refused
    kept = [pyarrow.parquet.read_table(path) for path in home.quarantine_folder.rglob("*.parquet")]
    ids = {name for table in kept for name in table["outcome_id"].to_pylist()}
    assert {"unknown", "no id", "impossible", "early"} == ids
    assert JoinedDays((), 0) == join(home, NOON + 2 * DAY)


def test_what_a_killed_run_added_is_not_added_again(home):
    """Killed between its rows and its note, it is made good by the next."""
    learn(home, {"a": 1.0}, KNOWN)
    join(home, KNOWN)
    [note] = home.labelled_folder.rglob("day.json")
    note.unlink()

    assert 0 == join(home, KNOWN + DAY).rows
    assert {"a": 1.0} == truths(home, KNOWN + DAY)


def test_days_between_are_midnights():
    """Half-open, whatever the bounds."""
    assert [MIDNIGHT, MIDNIGHT + DAY] == days_between(MIDNIGHT, MIDNIGHT + 2 * DAY)
    assert [MIDNIGHT + DAY] == days_between(NOON, MIDNIGHT + 2 * DAY)
    assert [] == days_between(MIDNIGHT, MIDNIGHT)
