"""A compaction killed before and after each of its durable effects: no row is lost, none is there twice."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.prediction_log import PredictionLog, find_all, read
from include.adapters.segments import segments
from include.config.settings import Settings
from include.contracts.predictions import PredictionRow
from include.monitoring import compaction
from tests.adapters.test_prediction_log import MOMENT, left_open, row
from tests.faults.effects import Effects
from tests.faults.processes import in_a_process, succeeding


def compact(home: Path, kill_at: int | None = None) -> list[str]:
    """Compact in this process, one or two segments at a time, killed at a moment if one is given."""
    compaction.GROUP_BYTES = 3_000
    effects = Effects(home, kill_at)
    effects.hook()
    compaction.compact_predictions(Settings(home=home), datetime.now(UTC) + timedelta(minutes=11))
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
def test_a_compaction_may_be_killed_at_any_moment(tmp_path):
    """After each kill, and again after the next run, every row is read once; then nothing is left over."""
    filled(tmp_path / "whole")
    moments = succeeding(compact, tmp_path / "whole")
    assert len(moments) > 30

    for place, moment in enumerate(moments, 1):
        home = tmp_path / str(place)
        rows = filled(home)
        code, _ = in_a_process(compact, home, place)
        assert -signal.SIGKILL == code, moment
        check(home, rows, moment)
        succeeding(compact, home)
        check(home, rows, moment)
        check_tidy(home, moment)


def check_tidy(home: Path, moment: str) -> None:
    """No segment, no stray file and nothing half-written is left."""
    folder = Settings(home=home).predictions_folder
    assert [] == segments(folder), moment
    compacted = folder / "compacted"
    recorded = "".join(path.read_text() for path in compacted.glob("days/*.json"))
    parquet = [path.relative_to(compacted).as_posix() for path in compacted.rglob("*.parquet")]
    assert parquet, moment
    assert [] == [uri for uri in parquet if uri not in recorded], moment
