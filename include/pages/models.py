"""Every model at a glance: who serves, what changes, how it fares, what waits for a person."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from pydantic import BaseModel

from include.adapters.measured_history import WindowValue
from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.contracts.model import ModelContract
from include.contracts.moments import UtcDatetime
from include.pages.airflow_facts import STRICT, AirflowFacts, DagFacts, WaitingQuestion
from include.pages.desk import Desk
from include.pages.experiments import ExperimentLine, open_experiment
from include.pages.progress import Progress, progress
from include.pages.service import Service, service
from include.pages.traffic import VariantShare, shares

SPARK = timedelta(days=90)
"""How far back the line in a row reaches."""


class Look(BaseModel):
    """A monitor's last look."""

    model_config = STRICT

    verdict: Verdict
    as_of: UtcDatetime
    summary: str


class Spark(BaseModel):
    """The small line of a row."""

    model_config = STRICT

    metric: str
    values: tuple[float | None, ...]
    last: float | None


class ModelRow(BaseModel):
    """One model."""

    model_config = STRICT

    model: str
    description: str | None
    owner: str | None
    problem: str | None
    """Why its contract does not load."""
    retired: str | None
    """Why it was retired."""
    champion: str | None
    shares: tuple[VariantShare, ...]
    release: Progress | None
    experiment: ExperimentLine | None
    """The one that runs."""
    questions: tuple[WaitingQuestion, ...]
    service: Service | None
    """What its service did in the last span that was looked at."""
    looks: dict[Monitor, Look]
    """The last look of each monitor."""
    features_as_of: date | None
    """Newest day of the oldest view it reads; None where nothing was computed."""
    performance: Spark | None
    open_alerts: dict[str, int]
    """By severity."""
    dags: tuple[DagFacts, ...]


class ModelsPage(BaseModel):
    """All models a person may see."""

    model_config = STRICT

    now: UtcDatetime
    rows: tuple[ModelRow, ...]


def models_page(
    desk: Desk,
    models: Sequence[str],
    airflow: AirflowFacts,
    now: datetime,
    freshest: Mapping[str, date | None],
) -> ModelsPage:
    """Return the page.

    Args:
        desk: what is read.
        models: those the person may see.
        airflow: what Airflow knows of them.
        now: wall time.
        freshest: newest computed day by view.
    """
    alerts = desk.ledger.open_alert_counts()
    retired = desk.ledger.retired_models()
    rows = [
        _row(desk, model, airflow, now, freshest).model_copy(
            update={"open_alerts": alerts.get(model, {}), "retired": retired.get(model)}
        )
        for model in models
    ]
    return ModelsPage(now=now, rows=tuple(rows))


def release_progress(desk: Desk, model: str, now: datetime) -> Progress | None:
    """Return how far a model's open release has come; None where none is open."""
    release = desk.ledger.open_release_of(model)
    return None if release is None else progress(release, now)


def _row(
    desk: Desk, model: str, airflow: AirflowFacts, now: datetime, freshest: Mapping[str, date | None]
) -> ModelRow:
    contract, route, looks = (
        desk.contract(model),
        desk.ledger.route(model),
        desk.measurements.last_runs(model),
    )
    return ModelRow(
        model=model,
        description=contract.description if contract else None,
        owner=contract.owner.team if contract else None,
        problem=desk.contract_problem(model),
        retired=None,
        champion=route.champion.version if route else None,
        shares=shares(route) if route else (),
        release=release_progress(desk, model, now),
        experiment=open_experiment(desk, model),
        questions=airflow.questions.get(model, ()),
        service=_service(desk, looks.get(Monitor.OBJECTIVES)),
        looks={
            monitor: Look(verdict=run.verdict, as_of=run.as_of, summary=run.summary)
            for monitor, run in looks.items()
        },
        features_as_of=min(
            (day for view in (contract.signature.views if contract else ()) if (day := freshest.get(view))),
            default=None,
        ),
        performance=_spark(desk, model, headline(contract), looks.get(Monitor.PERFORMANCE)),
        open_alerts={},
        dags=airflow.dags.get(model, ()),
    )


def _service(desk: Desk, run: MonitorRun | None) -> Service | None:
    return None if run is None else service(desk.measurements.measured(run))


def _spark(desk: Desk, model: str, metric: str, run: MonitorRun | None) -> Spark | None:
    if run is None:
        return None
    start = run.as_of - SPARK
    points = one_line(desk.measured.about_everybody(model, Monitor.PERFORMANCE, metric, start))
    if not points:
        return None
    values = tuple(each.value for each in points)
    last = next((value for value in reversed(values) if value is not None), None)
    return Spark(metric=metric, values=values, last=last)


def headline(contract: ModelContract | None) -> str:
    """Return the metric that stands for a model: the one its gates compare with the baseline."""
    return contract.gates.baseline.metric.value if contract else "roc_auc"


def one_line(measured: Sequence[WindowValue]) -> list[WindowValue]:
    """Return one figure a window of the shortest kind, as each was measured last."""
    shortest = min((each.end - each.start for each in measured), default=None)
    latest = {each.end: each for each in measured if each.end - each.start == shortest}
    return [latest[at] for at in sorted(latest)]
