"""Pages of monitors' runs: how long they are kept."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.artefact_home import artefact_store
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.monitoring.reports import forget_old_reports, page_uri
from tests.databases import new_sqlite_ledger

TODAY = date(2026, 3, 1)
MONITORS = (Monitor.FEATURE_DRIFT, Monitor.PERFORMANCE)


def moment(days: int) -> datetime:
    """Return a moment some days before today's midnight."""
    return datetime.combine(TODAY, datetime.min.time(), UTC) - timedelta(days=days)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two monitors' runs of 31, 30 and 1 days ago with their pages, and what is no page; 30 days are kept."""
    new_sqlite_ledger(tmp_path)
    found = Settings(home=tmp_path, report_days=30)
    store = artefact_store(found)
    store.write("monitoring/churn/importance/20200101T000000Z.json", b"{}")
    with closing(MeasurementStore(found.ledger_uri)) as seen:
        for monitor in MONITORS:
            for days in (31, 30, 1):
                uri = page_uri("churn", monitor, moment(days))
                run = MonitorRun(
                    model="churn",
                    monitor=monitor,
                    as_of=moment(days),
                    recorded_at=moment(days),
                    verdict=Verdict.OK,
                    summary="nothing drifted",
                )
                seen.record(run, ())
                store.write(uri, b"<html>")
                seen.attach_report(run, uri)
    return found


def kept(settings: Settings) -> list[bool]:
    """Say of each run, the latest first, whether it still has its page, as the store and its row agree."""
    store = artefact_store(settings)
    with closing(MeasurementStore(settings.ledger_uri)) as seen:
        runs = seen.runs("churn", monitor=MONITORS[0])
    assert [run.report_uri is not None for run in runs] == [
        store.exists(page_uri(run.model, run.monitor, run.as_of)) for run in runs
    ]
    return [run.report_uri is not None for run in runs]


def test_old_pages_go_and_their_runs_stay(settings):
    """Of every monitor, and nothing else; the next run finds nothing."""
    assert 2 == forget_old_reports(settings, TODAY)
    assert [True, True, False] == kept(settings)
    assert artefact_store(settings).exists("monitoring/churn/importance/20200101T000000Z.json")
    assert 0 == forget_old_reports(settings, TODAY)


@pytest.mark.parametrize("changes", [{"report_days": 0}, {"replay": True}, {"report_days": 31}])
def test_nothing_goes_that_shall_stay(settings, changes):
    """Without a limit, in a replay, and on the last day that is kept."""
    assert 0 == forget_old_reports(settings.model_copy(update=changes), TODAY)
    assert [True] * 3 == kept(settings)


def test_a_killed_run_leaves_no_link_to_nothing(settings, monkeypatch):
    """The runs forget first; what lies about goes with the next run."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("include.adapters.artefacts.ArtefactStore.delete", killed)
        with pytest.raises(KeyboardInterrupt):
            forget_old_reports(settings, TODAY)
    with closing(MeasurementStore(settings.ledger_uri)) as seen:
        assert [True, True, False] == [
            run.report_uri is not None for run in seen.runs("churn", monitor=MONITORS[0])
        ]
    assert 2 == forget_old_reports(settings, TODAY)
    assert [True, True, False] == kept(settings)
