"""The monitor of inputs: what a model was asked with, against what it learned from."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.engines import Engine, open_engine
from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.packages import read_manifest
from include.config.settings import EngineName, Settings
from include.contracts.errors import ArtefactError, ContractError, ModelError
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict
from include.contracts.model import ModelContract
from include.contracts.monitoring import FeatureDrift
from include.contracts.packages import Manifest, Version
from include.contracts.routes import ModelRoute
from include.monitoring.asked import Asked, asked_in
from include.monitoring.findings import alone, row_count, run_of, template
from include.monitoring.importance import input_importance
from include.monitoring.judgement import DriftReason, Judge, feature_floors
from include.monitoring.looks import looks_per_week
from include.monitoring.reference import Reference, Unusable, feature_reference
from include.monitoring.shifts import Shift, absence, input_shifts, staleness

_log = logging.getLogger(__name__)

MONITOR = Monitor.FEATURE_DRIFT


def watch_features(
    settings: Settings, contract: ModelContract, as_of: datetime, recorded_at: datetime
) -> MonitorRun:
    """Look at the inputs of the window before a moment, store what was seen, and return the run.

    What keeps the monitor from judging, such as a reference that does not fit, is a verdict and no error: a
    monitor that fails is silent.

    Args:
        settings: says where log, ledger, artefacts and datasets lie.
        contract: the model's.
        as_of: end of the window.
        recorded_at: wall time.

    Raises:
        ContractError: the contract does not ask for this monitor.
        DataError: the prediction log is damaged.
        LedgerError: the ledger cannot be used.
    """
    drift = wanted(contract)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        version, route = ledger.champion(contract.name), ledger.route(contract.name)
    of = template(contract.name, MONITOR, version.version if version else None, as_of - drift.window, as_of)
    with closing(MeasurementStore(settings.ledger_uri)) as store:
        if version is None or route is None:
            found = [alone(of, Verdict.NO_DATA, DriftReason.NO_CHAMPION)]
        else:
            before = store.last_judged(contract.name, MONITOR, as_of)
            found = _measured(settings, contract, of, version=version, route=route, before=before)
        run = run_of(found, as_of, recorded_at)
        store.record(run, found)
    return run


def wanted(contract: ModelContract) -> FeatureDrift:
    """Return what a contract asks of this monitor.

    Raises:
        ContractError: nothing.
    """
    drift = contract.monitoring.feature_drift
    if drift is None:
        raise ContractError(f"{contract.name}: the contract has no monitoring.feature_drift")
    return drift


def _measured(
    settings: Settings,
    contract: ModelContract,
    of: Measurement,
    *,
    version: Version,
    route: ModelRoute,
    before: Sequence[Measurement],
) -> list[Measurement]:
    drift, artefacts = wanted(contract), artefact_store(settings)
    try:
        manifest = read_manifest(artefacts, version)
    except ArtefactError as error:
        return [alone(of, Verdict.BROKEN, DriftReason.REFERENCE_MISSING, what=str(error))]
    reference = feature_reference(settings, artefacts, contract, drift, manifest)
    if isinstance(reference, Unusable):
        return [alone(of, Verdict.BROKEN, reference.reason, what=reference.what)]
    asked = asked_in(settings, contract.name, manifest.signature, of.window_start, of.window_end)
    if not asked.total:
        return [alone(of, Verdict.NO_DATA, DriftReason.NO_ROWS)]
    with _comparing(settings) as engine:
        shifts = _shifts(reference, asked, manifest, route, engine)
    rows = row_count(of, asked.total, asked.total * asked.rows.independent_ratio, drift.minimum_rows)
    return [rows, *judge_of(drift, _importance(artefacts, version, manifest))(shifts, of, before)]


def _importance(artefacts: ArtefactStore, version: Version, manifest: Manifest) -> dict[str, float]:
    """Return what each input moves; nothing where that cannot be told: all count as important then."""
    try:
        return input_importance(artefacts, version, manifest)
    except (ArtefactError, ModelError) as error:
        _log.warning("%s %s: what its inputs move is unknown: %s", version.model, version.version, error)
        return {}


@contextmanager
def _comparing(settings: Settings) -> Iterator[Engine | None]:
    """Give the engine to compare on; None where it is this process, which has quicker ways."""
    if settings.engine is EngineName.DUCKDB:
        yield None
        return
    with closing(open_engine(settings)) as engine:
        yield engine


def _shifts(
    reference: Reference, asked: Asked, manifest: Manifest, route: ModelRoute, engine: Engine | None
) -> list[Shift]:
    ratio = asked.rows.independent_ratio
    found = [absence(asked.rows.rows, asked.without_inputs, ratio)]
    if not asked.rows.rows:
        return found
    ttl = route.feature_ttl_seconds
    stale = [staleness(view, ages, ttl[view], ratio) for view, ages in asked.ages.items() if view in ttl]
    return [*found, *input_shifts(reference.rows, asked.rows, manifest.signature, engine), *stale]


def judge_of(drift: FeatureDrift, importance: dict[str, float]) -> Judge:
    """Return how a contract wants shifts of inputs judged.

    Args:
        drift: what it asks for.
        importance: share of each input in what moves the scores.
    """
    tests = drift.tests
    return Judge(
        threshold=tests.continuous_features.threshold,
        looks_per_week=looks_per_week(drift.schedule),
        floors=feature_floors(tests.continuous_features.minimum_effect, tests.categorical_features.threshold),
        minimum_rows=drift.minimum_rows,
        window=drift.window,
        importance=importance,
    )
