"""What tasks know of their run."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

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
