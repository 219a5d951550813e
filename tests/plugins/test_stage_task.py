"""What tasks know of their run."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from airflow.sdk.api.datamodels._generated import DagRun

from include.config.settings import REPOSITORY_ROOT


@pytest.fixture
def stage_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the plugin, imported as Airflow does."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    yield import_module("stage_task")
    sys.modules.pop("stage_task", None)


@pytest.mark.parametrize(
    ("trigger", "conf", "expected"),
    [
        ("ada", "olga", "ada"),
        ("ada", None, "ada"),
        (None, "olga", "olga"),
        (None, None, "system"),
    ],
)
def test_nobody_asks_in_anothers_name(
    stage_task: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    trigger: str | None,
    conf: str | None,
    expected: str,
) -> None:
    """The conf names who asked only where the system triggered the run on their behalf."""
    run = SimpleNamespace(triggering_user_name=trigger)
    context = {"params": {"requested_by": conf}, "dag_run": run}
    monkeypatch.setattr(stage_task, "get_current_context", lambda: context)
    assert expected == stage_task.requested_by()


def test_a_run_knows_when_it_was_asked_for(stage_task: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a run without a logical date, in UTC."""
    run = DagRun(
        dag_id="churn_release",
        run_id="by hand",
        logical_date=None,
        start_date=None,
        run_after=datetime(2017, 11, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        run_type="manual",
        state="running",
        consumed_asset_events=[],
        data_interval_start=None,
        data_interval_end=None,
        end_date=None,
        partition_key=None,
    )
    monkeypatch.setattr(stage_task, "get_current_context", lambda: {"dag_run": run})
    moment = stage_task.asked_at()
    assert (datetime(2017, 11, 1, 12, tzinfo=UTC), UTC) == (moment, moment.tzinfo)
