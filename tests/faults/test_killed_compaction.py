"""A compaction killed before and after each of its durable effects: no row is lost, none is there twice."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.client import BaseClient

from include.adapters.compacted_home import compacted_store
from include.adapters.compacted_log import CompactedLog
from include.adapters.prediction_log import PredictionLog, find_all, read
from include.adapters.segments import segments
from include.config.settings import Settings
from include.contracts.predictions import PredictionRow
from include.monitoring import compaction
from tests.adapters.test_prediction_log import MOMENT, left_open, row
from tests.buckets import new_bucket
from tests.faults.effects import Effects
from tests.faults.processes import in_a_process, succeeding


@pytest.fixture(params=["folder", "bucket"])
def variables(request) -> dict[str, str]:
    """Variables of a process that compacts; homes add their own place in the bucket."""
    if request.param == "folder":
        return {}
    server = request.getfixturevalue("s3")
    return {**server, "BUCKET": f"s3://{new_bucket()}"}


def settings_of(home: Path, variables: dict[str, str]) -> Settings:
    """Return the settings of a home."""
    bucket = variables.get("BUCKET")
    return Settings(home=home, compacted_url=f"{bucket}/{home.name}" if bucket else "")


def compact(home: Path, variables: dict[str, str], kill_at: int | None = None) -> list[str]:
    """Compact in this process, one or two segments at a time, killed at a moment if one is given."""
    os.environ |= variables
    compaction.GROUP_BYTES = 3_000
    effects = Effects(home, kill_at)
    effects.hook()
    effects.watch(BaseClient, "_make_api_call", lambda *call: call[1] in ("PutObject", "DeleteObject"))
    compaction.compact_predictions(settings_of(home, variables), datetime.now(UTC) + timedelta(minutes=11))
    return effects.moments


def filled(home: Path) -> list[PredictionRow]:
    """Log rows of two days and two models in several segments, one left by a killed writer; return them."""
    folder = Settings(home=home).predictions_folder
    rows = []
    for number in range(3):
        batch = [
            row(MOMENT + timedelta(days=day), model=model, unit=f"{number}")
            for day in (0, 1)
            for model in ("churn", "spend")
        ]
        log = PredictionLog(folder, 2**20)
        log.append(batch)
        log.close()
        rows += batch
    rows.append(row(unit="left"))
    with left_open(folder, rows[-1:]).open("ab") as file:
        file.write(b"half a record")
    return rows


def check(home: Path, rows: list[PredictionRow], moment: str) -> None:
    """Hold what is read against what was logged."""
    folder = Settings(home=home).predictions_folder
    found = sorted(read(folder), key=lambda item: item.prediction_id)
    assert sorted(rows, key=lambda item: item.prediction_id) == found, moment
    ids = [item.prediction_id for item in rows]
    assert {item.prediction_id: item for item in rows} == find_all(folder, ids), moment


@pytest.mark.faults
def test_a_compaction_may_be_killed_at_any_moment(tmp_path, variables):
    """After each kill, and again after the next run, every row is read once; then nothing is left over."""
    filled(tmp_path / "whole")
    moments = succeeding(compact, tmp_path / "whole", variables)
    assert len(moments) > 30
    assert ("BUCKET" in variables) == any("PutObject" in moment for moment in moments)

    for place, moment in killing(moments):
        home = tmp_path / str(place)
        rows = filled(home)
        code, _ = in_a_process(compact, home, variables, place)
        assert -signal.SIGKILL == code, moment
        check(home, rows, moment)
        succeeding(compact, home, variables)
        check(home, rows, moment)
        check_tidy(home, moment)


def killing(moments: list[str]) -> list[tuple[int, str]]:
    """Return the moments to kill at: those of the bucket if there is one, else all."""
    numbered = list(enumerate(moments, 1))
    return [each for each in numbered if "Object" in each[1]] or numbered


def check_tidy(home: Path, moment: str) -> None:
    """No segment, no stray file and nothing half-written is left."""
    folder = Settings(home=home).predictions_folder
    assert [] == segments(folder), moment
    log = CompactedLog(folder)
    recorded = {file.uri for day in log.days() for file in log.day(day).files}
    parquet = compacted_store(folder).uris("model=*/day=*/*.parquet")
    assert parquet, moment
    assert [] == [uri for uri in parquet if uri not in recorded], moment
