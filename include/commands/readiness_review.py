"""The production-readiness review: what a model must have before it serves, as pure checks over evidence."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from include.commands.new_model import BLANK, PLACEHOLDER
from include.contracts.consistency import metric_range
from include.contracts.errors import ContractError
from include.contracts.model import Metric, ModelContract, Threshold
from include.contracts.moments import format_duration
from include.contracts.routes import Fallback
from include.contracts.signatures import Task
from include.contracts.views import ViewDefinition
from include.rollout.plan import check_plan

_FEWEST_RUNBOOK_WORDS = 100
_UNREACHABLE = ("@example.com", "@example.org")
_TIGHT = 0.05
"""Part of a bounded metric's range that a champion may at most be undercut by."""
_CHANCE = {Metric.ROC_AUC: 0.5, Metric.R2: 0.0}
"""What a coin reaches, or the labels' mean; any other metric's worst value says as little."""
_BLOCKS = ("feature_drift", "prediction_drift", "performance_monitoring", "auto_retrain")


@dataclass(frozen=True)
class Evidence:
    """What a review looks at; a problem is empty where there is none.

    Attributes:
        contract: the model's contract, which loaded.
        runbook: text of the runbook.
        views: definitions of the views the contract names.
        newest: the newest computed day by view; None where none is.
        labels: labels known as of the moment that a training would learn from.
        as_of: the moment looked from.
        network: why network.py does not build.
        dags: why the model's DAGs do not parse.
        champion: semantic version in production; None before the first release.
        trace: why the champion's chain is not complete.
    """

    contract: ModelContract
    runbook: str
    views: Mapping[str, ViewDefinition]
    newest: Mapping[str, date | None]
    labels: int
    as_of: datetime
    network: str
    dags: str
    champion: str | None
    trace: str


@dataclass(frozen=True)
class Finding:
    """One line of the review; `fix` says what to do where it did not pass."""

    subject: str
    passed: bool
    detail: str
    fix: str = ""


Check = Callable[[Evidence], Iterator[str]]
"""Yields what is wrong; nothing where it passes."""


def review(evidence: Evidence) -> tuple[Finding, ...]:
    """Return every line of the review, in its order."""
    return tuple(_finding(subject, check, fix, evidence) for subject, check, fix in CHECKS)


def _finding(subject: str, check: Check, fix: str, evidence: Evidence) -> Finding:
    wrong = list(check(evidence))
    if wrong:
        return Finding(subject, passed=False, detail="; ".join(wrong), fix=fix)
    told = _FINE.get(subject)
    return Finding(subject, passed=True, detail=told(evidence) if told else "")


def _owner(evidence: Evidence) -> Iterator[str]:
    owner = evidence.contract.owner
    for key, value in owner.model_dump().items():
        if value.startswith(PLACEHOLDER) or value.endswith(_UNREACHABLE):
            yield f"owner.{key} is {value!r}"


def _question(evidence: Evidence) -> Iterator[str]:
    if evidence.contract.description.startswith(PLACEHOLDER):
        yield "description is not written yet"


def _runbook(evidence: Evidence) -> Iterator[str]:
    words = len(evidence.runbook.split())
    if words < _FEWEST_RUNBOOK_WORDS:
        yield f"{words} words; whoever is called at night needs more"
    if BLANK in evidence.runbook:
        yield f"{evidence.runbook.count(BLANK)} places still say {BLANK!r}"


def _labels(evidence: Evidence) -> Iterator[str]:
    needed = evidence.contract.training.minimum_rows
    if evidence.labels < needed:
        yield f"{evidence.labels} rows to train on as of {evidence.as_of.date()}, training needs {needed}"


def _thresholds(evidence: Evidence) -> Iterator[str]:
    gates = evidence.contract.gates
    for threshold in gates.thresholds:
        if _is_toothless(threshold):
            yield f"{threshold.metric.value} passes by chance"
    judged = {threshold.metric for threshold in gates.thresholds}
    if evidence.contract.task is Task.BINARY and Metric.EXPECTED_CALIBRATION_ERROR not in judged:
        yield "nothing bounds the calibration (expected_calibration_error)"


def _is_toothless(threshold: Threshold) -> bool:
    lowest, highest = metric_range(threshold.metric)
    if threshold.minimum is not None:
        return threshold.minimum <= _CHANCE.get(threshold.metric, lowest)
    return threshold.maximum is not None and threshold.maximum >= highest


def _baseline(evidence: Evidence) -> Iterator[str]:
    if not evidence.contract.gates.baseline.margin:
        yield f"{evidence.contract.gates.baseline.feature} alone may be as good as the model"


def _champion_gate(evidence: Evidence) -> Iterator[str]:
    gate = evidence.contract.gates.champion
    lowest, highest = metric_range(gate.metric)
    if gate.tolerance > _TIGHT * (highest - lowest):
        yield f"{gate.metric.value} may fall by {gate.tolerance:g} with every release"


def _slices(evidence: Evidence) -> Iterator[str]:
    if not evidence.contract.slices:
        yield "nobody looks at how it does for parts of the population"


def _ladder(evidence: Evidence) -> Iterator[str]:
    ladder = evidence.contract.serving.fallbacks
    if Fallback.PREVIOUS_VERSION not in ladder:
        yield "the version before is no rung"
    if not ladder or ladder[-1] not in {Fallback.REFUSE, Fallback.DEFAULT_SCORE}:
        yield "it does not say what happens when nothing answers"


def _rollout(evidence: Evidence) -> Iterator[str]:
    try:
        check_plan(evidence.contract)
    except ContractError as error:
        yield str(error)


def _objectives(evidence: Evidence) -> Iterator[str]:
    contract = evidence.contract
    if "objectives" not in contract.model_fields_set:
        yield "none are written; the defaults were promised by nobody"
    if contract.serving.deadline_ms < contract.objectives.latency_p99_ms:
        yield (
            f"a request falls back after {contract.serving.deadline_ms:g} ms, before the promised "
            f"{contract.objectives.latency_p99_ms:g} ms are over"
        )


def _approvers(evidence: Evidence) -> Iterator[str]:
    approvers = evidence.contract.approvers
    placeholders = [name for name in approvers.users if name.startswith(PLACEHOLDER)]
    if placeholders:
        yield f"{', '.join(placeholders)} is nobody"
    if len(approvers.users) - 1 < approvers.quorum:
        yield (
            f"whoever triggers may not approve, and without one of {len(approvers.users)} the quorum of "
            f"{approvers.quorum} is out of reach"
        )


def _monitoring(evidence: Evidence) -> Iterator[str]:
    missing = [name for name in _BLOCKS if getattr(evidence.contract.monitoring, name) is None]
    if missing:
        yield f"nothing under {', '.join(missing)}"


def _features(evidence: Evidence) -> Iterator[str]:
    for name, view in evidence.views.items():
        if not view.owner.strip() or view.owner.startswith(PLACEHOLDER):
            yield f"{name} has no owner"


def _freshness(evidence: Evidence) -> Iterator[str]:
    for name, view in evidence.views.items():
        newest = evidence.newest.get(name)
        if newest is None:
            yield f"{name} was never computed"
        elif datetime.combine(newest, time(), UTC) + view.ttl < evidence.as_of:
            yield f"{name} is from {newest}, its TTL is {format_duration(view.ttl)}"


def _clean(evidence: Evidence) -> Iterator[str]:
    if evidence.contract.training.allow_dirty:
        yield "a version may come from code that no commit holds"


def _stated(name: str) -> Check:
    def check(evidence: Evidence) -> Iterator[str]:
        problem = getattr(evidence, name)
        if problem:
            yield problem

    return check


CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("owner and on-call", _owner, "write people who can be reached under owner"),
    ("question", _question, "say under description what it answers"),
    ("runbook", _runbook, "write what to look at and what to do for each thing that can happen"),
    ("training data", _labels, "run <model>_labels further back, or wait for labels"),
    ("network", _stated("network"), "mend network.py or training.hyperparameters"),
    ("DAGs", _stated("dags"), "mend what the DAG's page says"),
    ("thresholds", _thresholds, "raise gates.thresholds to what the model is worth having for"),
    ("baseline", _baseline, "demand a gates.baseline.margin above 0"),
    ("champion gate", _champion_gate, "lower gates.champion.tolerance"),
    ("slices", _slices, "name under slices the columns of a view that part the population"),
    ("fallback ladder", _ladder, "begin serving.fallbacks with previous_version, end with refuse"),
    ("rollout", _rollout, "write a plan under rollout that a release can carry out"),
    ("objectives", _objectives, "write objectives, and a serving.deadline_ms that lets them be met"),
    ("approvers", _approvers, "name one more under approvers.users than must say yes"),
    ("monitoring", _monitoring, "configure every block under monitoring"),
    ("features owned", _features, "write an owner into the view's .yaml"),
    ("features fresh", _freshness, "run features_materialize"),
    ("commits only", _clean, "set training.allow_dirty to false"),
    ("champion's trace", _stated("trace"), "find what was altered with make verify-ledger; release anew"),
)
"""Subject, check, and what to do where it fails."""

_FINE: Mapping[str, Callable[[Evidence], str]] = {
    "owner and on-call": lambda e: f"{e.contract.owner.team}, {e.contract.owner.on_call}",
    "runbook": lambda e: f"{len(e.runbook.split())} words",
    "training data": lambda e: f"{e.labels:,} rows to train on as of {e.as_of.date()}",
    "slices": lambda e: ", ".join(part.column for part in e.contract.slices),
    "fallback ladder": lambda e: ", ".join(rung.value for rung in e.contract.serving.fallbacks),
    "approvers": lambda e: ", ".join(e.contract.approvers.users),
    "features owned": lambda e: ", ".join(f"{name} by {view.owner}" for name, view in e.views.items()),
    "champion's trace": lambda e: (
        f"{e.champion}: data, code, evaluation, approval" if e.champion else "no champion yet"
    ),
}
