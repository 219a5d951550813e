from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.compacted_log import CompactedLog
from include.adapters.outcome_columns import FOLDER, copy_sealed
from include.adapters.outcome_log import OutcomeLog
from include.adapters.outcome_log import read as read_outcomes
from include.adapters.prediction_log import PredictionLog, read
from include.adapters.reading_lock import reading
from include.config.settings import Settings
from include.contracts.predictions import OutcomeRow
from include.monitoring.compaction import compact_predictions
from include.monitoring.retention import Forgotten, forget_old_days
from tests.adapters.test_prediction_log import MOMENT, row
from tests.buckets import new_bucket

DAY = timedelta(days=1)
TODAY = (MOMENT + 10 * DAY).date()


@pytest.fixture(params=["folder", "bucket"])
def settings(request, tmp_path) -> Settings:
    """Days 0 and 5 of predictions in Parquet and in segments, and of outcomes; seven days are kept."""
    url = ""
    if request.param == "bucket":
        request.getfixturevalue("s3")
        url = f"s3://{new_bucket()}"
    settings = Settings(home=tmp_path, compacted_url=url, log_days=7)
    write(settings, MOMENT, MOMENT + 5 * DAY)
    compact_predictions(settings, datetime.now(UTC) + timedelta(hours=1))
    write(settings, MOMENT, MOMENT + 5 * DAY)
    outcomes = OutcomeLog(settings.outcomes_folder, 2**20)
    outcomes.append([outcome("old", MOMENT), outcome("young", MOMENT + 5 * DAY)])
    outcomes.close()
    return settings


def write(settings, *moments):
    """Log a prediction at each moment, and seal it."""
    log = PredictionLog(settings.predictions_folder, 2**20)
    log.append([row(moment) for moment in moments])
    log.close()


def outcome(outcome_id, moment):
    """An outcome that occurred at a moment."""
    about = {"model": "churn", "metric": "m", "value": 1.0, "unit": "1"}
    return OutcomeRow(outcome_id=outcome_id, occurred_at=moment, recorded_at=moment, **about)


def kept(settings):
    """Return the days of the predictions there are, one for each."""
    return [item.predicted_at.date() for item in read(settings.predictions_folder)]


def test_old_days_go_and_young_ones_stay(settings):
    """Parquet, segments, records and outcomes; a second run finds nothing."""
    assert 2 == copy_sealed(settings.outcomes_folder)
    assert Forgotten(days=2) == forget_old_days(settings, TODAY)
    assert 1 == len(list(settings.outcomes_folder.glob(f"{FOLDER}/*/*.parquet")))
    young = (MOMENT + 5 * DAY).date()
    assert [young] * 2 == kept(settings)
    assert [young] == CompactedLog(settings.predictions_folder).days()
    assert ["young"] == [item.outcome_id for item in read_outcomes(settings.outcomes_folder)]
    assert Forgotten() == forget_old_days(settings, TODAY)


@pytest.mark.parametrize("changes", [{"log_days": 0}, {"replay": True}, {"log_days": 10}])
def test_nothing_goes_that_shall_stay(settings, changes):
    """Without a limit, in a replay, and on the last day that is kept."""
    assert Forgotten() == forget_old_days(settings.model_copy(update=changes), TODAY)
    assert 4 == len(kept(settings))


def test_a_day_that_is_read_or_written_waits(settings):
    """It is whole for its reader; the next run takes it."""
    with reading(settings.predictions_folder):
        assert Forgotten(days=1, left=1) == forget_old_days(settings, TODAY)
    assert 4 == len(kept(settings))
    log = PredictionLog(settings.predictions_folder, 2**20)
    log.append([row(MOMENT)])
    assert 1 == forget_old_days(settings, TODAY).left
    log.close()
    assert Forgotten(days=1) == forget_old_days(settings, TODAY)
    assert 2 == len(kept(settings))


@pytest.mark.parametrize("step", ["delete_unrecorded", "forget"])
def test_a_killed_run_hides_the_day_and_the_next_one_ends_it(settings, monkeypatch, step):
    """Its rows are gone for readers at once; its bytes are, in the end."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CompactedLog, step, killed)
        with pytest.raises(KeyboardInterrupt):
            forget_old_days(settings, TODAY)
    assert 2 == len(kept(settings))
    forget_old_days(settings, TODAY)
    assert [(MOMENT + 5 * DAY).date()] == CompactedLog(settings.predictions_folder).days()
    assert MOMENT.date().isoformat() not in "".join(
        str(path) for path in settings.predictions_folder.rglob("*") if path.is_file()
    )
