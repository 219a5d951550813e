"""The monitor of scores: what each variant answers, against unseen training rows and against a week ago."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.packages import read_manifest
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, ContractError, ModelError, RegistryError
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict
from include.contracts.model import ModelContract
from include.contracts.monitoring import PredictionDrift, PredictionMetric
from include.monitoring.answered import Answered, answered_in
from include.monitoring.findings import alone, row_count, run_of, template
from include.monitoring.judgement import DriftReason, Judge
from include.monitoring.labelled_calibration import watch_calibration
from include.monitoring.looks import looks_per_week
from include.monitoring.reference_scores import reference_scores
from include.monitoring.score_shifts import SCORE_FLOORS, WEEK_AGO, score_shifts
from include.monitoring.scores import ScoreProfile, score_profile
from include.monitoring.seasons import with_last_week

MONITOR = Monitor.PREDICTION_DRIFT
_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class _Look:
    """What one run looks with."""

    settings: Settings
    contract: ModelContract
    ledger: Ledger
    store: ArtefactStore
    as_of: datetime
    before: tuple[Measurement, ...]


def watch_predictions(
    settings: Settings, contract: ModelContract, as_of: datetime, recorded_at: datetime
) -> MonitorRun:
    """Look at the scores of the windows before a moment, store what was seen, and return the run.

    Args:
        settings: says where log, ledger, labels and artefacts lie.
        contract: the model's.
        as_of: end of the windows.
        recorded_at: wall time.

    Raises:
        ContractError: the contract does not ask for this monitor.
        DataError: the prediction log is damaged.
        LedgerError: the ledger cannot be used.
    """
    drift = wanted(contract)
    with (
        closing(Ledger(settings.ledger_uri)) as ledger,
        closing(MeasurementStore(settings.ledger_uri)) as seen,
    ):
        before = seen.last_judged(contract.name, MONITOR, as_of)
        look = _Look(settings, contract, ledger, artefact_store(settings), as_of, before)
        found = [each for metric in drift.metrics for each in _measured(look, drift, metric)]
        run = run_of(found, as_of, recorded_at)
        seen.record(run, found)
    return run


def wanted(contract: ModelContract) -> PredictionDrift:
    """Return what a contract asks of this monitor.

    Raises:
        ContractError: nothing.
    """
    drift = contract.monitoring.prediction_drift
    if drift is None:
        raise ContractError(f"{contract.name}: the contract has no monitoring.prediction_drift")
    return drift


def score_judge(drift: PredictionDrift, metric: PredictionMetric) -> Judge:
    """Return how a contract wants shifts of scores judged."""
    return Judge(
        threshold=metric.threshold,
        looks_per_week=looks_per_week(drift.schedule),
        floors=SCORE_FLOORS,
        minimum_rows=drift.minimum_rows,
        window=metric.window,
    )


def _measured(look: _Look, drift: PredictionDrift, metric: PredictionMetric) -> Iterator[Measurement]:
    judge = score_judge(drift, metric)
    if metric.name == "confidence_calibration":
        yield from watch_calibration(
            look.settings, look.contract, look.as_of, metric, judge=judge, before=look.before
        )
        return
    variants = _answered(look, look.as_of - metric.window, look.as_of)
    if not variants:
        reason = DriftReason.NO_ROWS if look.ledger.route(look.contract.name) else DriftReason.NO_CHAMPION
        yield alone(_template(look, metric), Verdict.NO_DATA, reason)
        return
    week_ago = _answered(look, look.as_of - _WEEK - metric.window, look.as_of - _WEEK)
    for variant in variants:
        yield from _of_variant(look, metric, judge, variant, week_ago)


def _answered(look: _Look, start: datetime, end: datetime) -> list[Answered]:
    return answered_in(look.settings, look.contract.name, look.contract.signature, start, end)


def _of_variant(
    look: _Look, metric: PredictionMetric, judge: Judge, variant: Answered, week_ago: Sequence[Answered]
) -> list[Measurement]:
    of = _template(look, metric, variant)
    try:
        reference = _reference(look, variant.version)
    except (ArtefactError, ModelError, RegistryError) as error:
        return [alone(of, Verdict.BROKEN, DriftReason.REFERENCE_MISSING, what=str(error))]
    now = _profile(look, variant, reference)
    shifts = score_shifts(reference, now)
    for each in week_ago:
        if (each.variant, each.version) == (variant.variant, variant.version):
            before = _profile(look, each, reference)
            if before.independent >= judge.minimum_rows:
                shifts += score_shifts(before, now, WEEK_AGO)
    own = [each for each in look.before if each.variant == variant.variant]
    rows = row_count(of, now.rows, now.independent, judge.minimum_rows)
    return [rows, *with_last_week(judge(shifts, of, own))]


def _reference(look: _Look, name: str) -> ScoreProfile:
    version = look.ledger.known_version(look.contract.name, name)
    return reference_scores(look.store, look.contract, version, read_manifest(look.store, version))


def _profile(look: _Look, variant: Answered, reference: ScoreProfile) -> ScoreProfile:
    task = look.contract.task
    return score_profile(task, variant.outputs, reference.edges, variant.independent_ratio)


def _template(look: _Look, metric: PredictionMetric, variant: Answered | None = None) -> Measurement:
    return template(
        look.contract.name,
        MONITOR,
        variant.version if variant else None,
        look.as_of - metric.window,
        look.as_of,
        variant=variant.variant if variant else None,
    )
