"""An experiment: the plan, its verdict, the looks against their bounds, guardrails, every table."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from pydantic import BaseModel

from include.adapters.ledger.history import EventFilter
from include.config.experiments import ExperimentFile, experiment_files
from include.contracts.errors import ContractError, LedgerError
from include.contracts.events import LedgerEvent
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiment_results import Analysis, Comparison, Look
from include.contracts.experiments import Experiment
from include.contracts.moments import UtcDatetime
from include.pages.airflow_facts import STRICT, AirflowFacts, WaitingQuestion
from include.pages.desk import Desk
from include.stats.experiment_design import design_of

EVENTS = 200
CONTROL_DAG = "control"
"""`<experiment>_control` starts, advances and stops it."""


class Bounds(BaseModel):
    """The planned bounds of the primary metric's statistic."""

    model_config = STRICT

    fractions: tuple[float, ...]
    """Of the plan's information."""
    upper: tuple[float, ...]
    lower: tuple[float | None, ...]
    """None: there is none."""


class ExperimentLine(BaseModel):
    """One experiment as a line of a table; one that was never started has only its plan."""

    model_config = STRICT

    experiment_id: str
    name: str
    description: str
    state: str
    share: float | None
    started_at: UtcDatetime | None
    ended_at: UtcDatetime | None
    problem: str | None


class TreatmentLine(BaseModel):
    """One treatment against control."""

    model_config = STRICT

    name: str
    """In the plan."""
    version: str | None
    """None: it was never started."""
    share: float
    """At present; before the start, the plan's."""
    information: float | None
    """Planned; None: it was never started."""
    looks: tuple[Look, ...]
    """Oldest first."""
    last: Comparison | None
    """What the last analysis said of it; None: nothing."""


class ExperimentPage(BaseModel):
    """One experiment."""

    model_config = STRICT

    now: UtcDatetime
    model: str
    plan: ExperimentPlan
    planned_now: bool
    """Whether the model's folder still holds the plan as it is shown."""
    experiment: Experiment | None
    """None: it was never started."""
    bounds: Bounds
    analyses: tuple[Analysis, ...]
    """The latest first."""
    treatments: tuple[TreatmentLine, ...]
    """In the order of the plan."""
    questions: tuple[WaitingQuestion, ...]
    events: tuple[LedgerEvent, ...]
    """Oldest first."""

    @property
    def last(self) -> Analysis | None:
        """The latest analysis."""
        return self.analyses[0] if self.analyses else None

    @property
    def control_dag(self) -> str:
        """Id of the DAG that acts on it."""
        return f"{self.plan.name}_{CONTROL_DAG}"


def experiment_lines(desk: Desk, model: str) -> tuple[ExperimentLine, ...]:
    """Return a model's experiments, the latest first, then the plans that were never started."""
    known = [_started(each) for each in reversed(desk.ledger.experiments(model))]
    ids = {each.experiment_id for each in known}
    return (*known, *(line for line in _planned(desk, model) if line.experiment_id not in ids))


def open_experiment(desk: Desk, model: str) -> ExperimentLine | None:
    """Return a model's running experiment; None where none runs."""
    found = desk.ledger.open_experiment_of(model)
    return None if found is None else _started(found)


def model_of_experiment(desk: Desk, experiment_id: str, models: Collection[str]) -> str:
    """Return whose an experiment is, started or planned.

    Raises:
        LedgerError: none of these models has it.
    """
    found = desk.ledger.experiment(experiment_id)
    if found is not None:
        return found.model
    for model in models:
        if _file(desk, model, experiment_id) is not None:
            return model
    raise LedgerError(f"there is no experiment {experiment_id!r}")


def experiment_page(
    desk: Desk, model: str, experiment_id: str, airflow: AirflowFacts, now: datetime
) -> ExperimentPage:
    """Return an experiment's page.

    Raises:
        LedgerError: there is neither an experiment nor a plan of this id.
    """
    experiment, file = desk.ledger.experiment(experiment_id), _file(desk, model, experiment_id)
    plan = experiment.plan if experiment else file.written if file else None
    if plan is None:
        raise LedgerError(f"there is no experiment {experiment_id!r}")
    analyses = desk.ledger.analyses(model, experiment_id)
    return ExperimentPage(
        now=now,
        model=model,
        plan=plan,
        planned_now=file is not None and file.written.sha256 == plan.sha256,
        experiment=experiment,
        bounds=_bounds(plan),
        analyses=tuple(reversed(analyses)),
        treatments=tuple(
            _treatment(plan, experiment, analyses, place) for place in range(len(plan.treatments))
        ),
        questions=tuple(
            each for each in airflow.questions.get(model, ()) if each.dag_id == f"{plan.name}_{CONTROL_DAG}"
        ),
        events=tuple(
            reversed(desk.ledger.latest_events(EventFilter(model=model, subject=experiment_id), EVENTS))
        ),
    )


def _treatment(
    plan: ExperimentPlan, experiment: Experiment | None, analyses: Sequence[Analysis], place: int
) -> TreatmentLine:
    # An analysis that is void compared nothing.
    said = [each.comparisons[place] for each in analyses if place < len(each.comparisons)]
    share = experiment.share if experiment else plan.shares[-1]
    return TreatmentLine(
        name=plan.treatments[place].name,
        version=experiment.treatment_versions[place] if experiment else None,
        share=plan.slots(share)[place].share,
        information=experiment.size.informations[place] if experiment else None,
        looks=tuple(each.look for each in said if each.look is not None),
        last=said[-1] if said else None,
    )


def _bounds(plan: ExperimentPlan) -> Bounds:
    design = design_of(plan)
    lowest = -1e3
    return Bounds(
        fractions=tuple(float(each) for each in design.fractions),
        upper=tuple(float(each) for each in design.upper),
        lower=tuple(float(each) if each > lowest else None for each in design.lower),
    )


def _started(each: Experiment) -> ExperimentLine:
    return ExperimentLine(
        experiment_id=each.experiment_id,
        name=each.name,
        description=each.plan.description,
        state=each.state.value,
        share=each.share,
        started_at=each.started_at,
        ended_at=each.ended_at,
        problem=None,
    )


def _planned(desk: Desk, model: str) -> Iterator[ExperimentLine]:
    for file in _files(desk, model).values():
        try:
            plan, problem = file.plan, None
        except ContractError as error:
            plan, problem = None, str(error)
        yield ExperimentLine(
            experiment_id=plan.salt if plan else file.name,
            name=file.name,
            description=plan.description if plan else "",
            state="planned",
            share=None,
            started_at=None,
            ended_at=None,
            problem=problem,
        )


def _file(desk: Desk, model: str, experiment_id: str) -> ExperimentFile | None:
    for file in _files(desk, model).values():
        try:
            if file.written.salt == experiment_id:
                return file
        except ContractError:
            continue
    return None


def _files(desk: Desk, model: str) -> dict[str, ExperimentFile]:
    folder = desk.folders().get(model)
    return {} if folder is None else experiment_files(folder)
