"""A model: what it promises, what served when, how it fares."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from include.adapters.packages import load_report
from include.contracts.alerts import Alert
from include.contracts.errors import ArtefactError
from include.contracts.measurements import Measurement, Monitor, MonitorRun
from include.contracts.model import ModelContract
from include.contracts.moments import UtcDatetime
from include.contracts.packages import Version
from include.contracts.releases import Release
from include.contracts.reports import Calibration, EvaluationReport, Histogram, SliceFigures
from include.contracts.retraining import RetrainRequest
from include.pages.airflow_facts import STRICT, AirflowFacts, DagFacts, WaitingQuestion
from include.pages.desk import Desk
from include.pages.experiments import ExperimentLine, experiment_lines
from include.pages.models import headline, release_progress
from include.pages.progress import Progress
from include.pages.scores import ScoreShares, score_shares
from include.pages.service import service_trends
from include.pages.traffic import Reign, VariantShare, approvers, reigns, shares
from include.pages.trends import HeatMap, Trend, heat_map, trends

SPANS = (7, 30, 90, 365)
"""Days that lines may reach back."""
POINTS = 120
"""Most points of a line."""
HEAT_WINDOWS = 56
"""Most windows of a heat map."""
RUNS = 12


class VersionLine(BaseModel):
    """One version, as a line of a table."""

    model_config = STRICT

    version: Version
    approved_by: tuple[str, ...]
    serves: bool


class ModelPage(BaseModel):
    """One model."""

    model_config = STRICT

    now: UtcDatetime
    days: int
    """How far back lines reach from the last look of their monitor."""
    model: str
    contract: ModelContract | None
    contract_sha256: str | None
    problem: str | None
    retired: str | None
    shares: tuple[VariantShare, ...]
    reigns: tuple[Reign, ...]
    versions: tuple[VersionLine, ...]
    """The latest first."""
    releases: tuple[Release, ...]
    """The latest first."""
    experiments: tuple[ExperimentLine, ...]
    release: Progress | None
    questions: tuple[WaitingQuestion, ...]
    requests: tuple[RetrainRequest, ...]
    """What waits for a training."""
    alerts: tuple[Alert, ...]
    dags: tuple[DagFacts, ...]
    runs: tuple[MonitorRun, ...]
    """The last looks of every monitor."""
    headline: str
    """The metric that stands for it."""
    performance: tuple[Trend, ...]
    objectives: tuple[Trend, ...]
    scores: tuple[Trend, ...]
    score_shares: tuple[ScoreShares, ...]
    slices: tuple[Trend, ...]
    drift: HeatMap | None
    evaluated: str | None
    """The version whose evaluation is shown below: the champion, else the newest."""
    calibration: Calibration | None
    histograms: tuple[Histogram, ...]
    slice_figures: tuple[SliceFigures, ...]


def model_page(desk: Desk, model: str, airflow: AirflowFacts, now: datetime, days: int = 90) -> ModelPage:
    """Return a model's page."""
    ledger, contract, route = desk.ledger, desk.contract(model), desk.ledger.route(model)
    versions = ledger.versions(model, retired=True)
    releases, answers = ledger.releases(model), ledger.answers(model)
    serving = route.champion.version if route else None
    measured = _measured(desk, model, timedelta(days=days))
    evaluated = serving or (versions[-1].version if versions else None)
    report = _report(desk, versions, evaluated)
    return ModelPage(
        now=now,
        days=days,
        model=model,
        contract=contract,
        contract_sha256=contract.sha256 if contract else None,
        problem=desk.contract_problem(model),
        retired=ledger.retired_models().get(model),
        shares=shares(route) if route else (),
        reigns=reigns(ledger.route_history(model), releases, answers),
        versions=tuple(
            VersionLine(
                version=version,
                approved_by=approvers(version.version, releases, answers),
                serves=version.version == serving,
            )
            for version in reversed(versions)
        ),
        releases=releases[::-1],
        experiments=experiment_lines(desk, model),
        release=release_progress(desk, model, now),
        questions=airflow.questions.get(model, ()),
        requests=ledger.retrain_requests(model),
        alerts=ledger.open_alerts(model),
        dags=airflow.dags.get(model, ()),
        runs=tuple(
            run for monitor in Monitor for run in desk.measurements.runs(model, monitor=monitor, limit=RUNS)
        ),
        headline=headline(contract),
        performance=trends(each for each in measured[Monitor.PERFORMANCE] if each.slice is None),
        objectives=service_trends(measured[Monitor.OBJECTIVES]),
        score_shares=score_shares(measured[Monitor.PREDICTION_DRIFT]),
        scores=trends(each for each in measured[Monitor.PREDICTION_DRIFT] if each.slice is None),
        slices=trends(each for each in measured[Monitor.PERFORMANCE] if each.slice is not None),
        drift=heat_map(measured[Monitor.FEATURE_DRIFT]),
        evaluated=evaluated if report else None,
        calibration=report.calibration if report else None,
        histograms=report.histograms if report else (),
        slice_figures=report.slices if report else (),
    )


def _measured(desk: Desk, model: str, span: timedelta) -> dict[Monitor, Sequence[Measurement]]:
    """Return what each monitor measured lately, counted back from its own last look."""
    found: dict[Monitor, Sequence[Measurement]] = dict.fromkeys(Monitor, ())
    for monitor, run in desk.measurements.last_runs(model).items():
        most = HEAT_WINDOWS if monitor is Monitor.FEATURE_DRIFT else POINTS
        found[monitor] = desk.measured.thinned(model, monitor, run.as_of - span, run.as_of, most)
    return found


def _report(desk: Desk, versions: Sequence[Version], wanted: str | None) -> EvaluationReport | None:
    version = next((each for each in versions if each.version == wanted), None)
    try:
        return None if version is None else load_report(desk.artefacts, version)
    except ArtefactError:
        return None
