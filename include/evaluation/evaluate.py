"""Evaluation stage: a candidate on the window it has not seen, against bounds, baseline and champion."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest
from include.adapters.snapshots import LABEL, UNIT, read_snapshot, rows_within
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, ContractError, DataError
from include.contracts.model import ModelContract
from include.contracts.packages import (
    EVALUATION_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    PARITY_METRIC,
    TRAINING_NAME,
    GoldenSet,
    TrainingRecord,
    Version,
)
from include.contracts.reports import EvaluationReport, GateResult
from include.contracts.windows import training_windows
from include.evaluation.baseline import baseline_metrics
from include.evaluation.gates import (
    baseline_gate,
    champion_gate,
    incomparable_champion,
    no_champion,
    parity_gate,
    threshold_gate,
)
from include.stats.bootstrap import paired_difference
from include.stats.metrics import compute_metrics, weighted_metric

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The test rows with the candidate's scores on them."""

    contract: ModelContract
    rows: pd.DataFrame
    labels: Array
    scores: Array
    metrics: dict[str, float]


def evaluate(
    settings: Settings, folder: ModelFolder, candidate_uri: str, champion: Version | None
) -> EvaluationReport:
    """Evaluate a candidate and write the report beside it; a gate that fails is a verdict, no error.

    Args:
        settings: where the artefact store is.
        folder: the model's folder, as it was when the candidate was trained.
        candidate_uri: what training returned.
        champion: the version in production, if there is one.

    Raises:
        ContractError: the contract has changed since the candidate was trained.
        ArtefactError: candidate, champion or training set are missing, altered or unreadable.
        DataError: the candidate's scores are not finite.
    """
    store = ArtefactStore(settings.artefacts_folder)
    record = TrainingRecord.model_validate_json(store.read(f"{candidate_uri}/{TRAINING_NAME}"))
    report = judge_candidate(store, folder.contract, candidate_uri, record, champion)
    store.write(f"{candidate_uri}/{EVALUATION_NAME}", report.model_dump_json(indent=2).encode())
    figures = {f"test_{name}": value for name, value in report.metrics.items()}
    Tracking(settings).log_metrics(record.run_id, figures)
    return report


def judge_candidate(
    store: ArtefactStore,
    contract: ModelContract,
    candidate_uri: str,
    record: TrainingRecord,
    champion: Version | None,
) -> EvaluationReport:
    """Do what `evaluate` does, writing nothing."""
    if record.contract_sha256 != contract.sha256:
        raise ContractError(f"{contract.name}: the contract changed since {candidate_uri} was trained")
    windows = training_windows(contract.training, contract.label, record.snapshot.as_of)
    frame = read_snapshot(store, record.snapshot)
    model = OnnxModel(store.path(f"{candidate_uri}/{MODEL_NAME}"), record.signature)
    judged = _judge(contract, model, rows_within(frame, windows.test))
    baseline = baseline_metrics(contract, rows_within(frame, windows.train), judged.rows)
    champion_metrics, against_champion = _against_champion(store, judged, champion)
    golden = GoldenSet.model_validate_json(store.read(f"{candidate_uri}/{GOLDEN_NAME}"))
    parity = parity_gate(_parity(model, record, golden))
    gates = (*_own_gates(judged, baseline), against_champion, parity)
    for gate in gates:
        log.info("%s: %s gate: %s: %s", contract.name, gate.kind.value, gate.verdict.value, gate.detail)
    return EvaluationReport(
        model=contract.name,
        as_of=record.snapshot.as_of,
        test_start=windows.test.start,
        test_end=windows.test.end,
        test_rows=len(judged.rows),
        metrics=judged.metrics,
        baseline_metrics=baseline,
        champion_version=champion.version if champion else None,
        champion_metrics=champion_metrics,
        gates=gates,
    )


def _judge(contract: ModelContract, model: OnnxModel, rows: pd.DataFrame) -> Judged:
    if rows.empty:
        raise DataError(f"{contract.name}: the test window has no rows")
    labels = rows[LABEL].to_numpy(np.float64)
    scores = model.predict(rows).astype(np.float64)
    return Judged(contract, rows, labels, scores, _metrics(contract, labels, scores, "the candidate"))


def _metrics(contract: ModelContract, labels: Array, scores: Array, whose: str) -> dict[str, float]:
    try:
        return compute_metrics(contract.task, labels, scores)
    except ValueError as error:
        raise DataError(
            f"{contract.name}: {whose} cannot be judged on {len(labels)} test rows: {error}"
        ) from error


def _own_gates(judged: Judged, baseline: dict[str, float]) -> tuple[GateResult, ...]:
    gates = judged.contract.gates
    name = gates.baseline.metric.value
    return (
        *(threshold_gate(each, judged.metrics, len(judged.rows)) for each in gates.thresholds),
        baseline_gate(gates.baseline, judged.metrics[name], baseline[name]),
    )


def _against_champion(
    store: ArtefactStore, judged: Judged, champion: Version | None
) -> tuple[dict[str, float], GateResult]:
    gate = judged.contract.gates.champion
    if champion is None:
        return {}, no_champion(gate)
    manifest = load_manifest(store, champion)
    lacking = tuple(item.name for item in manifest.signature.inputs if item.name not in judged.rows)
    if lacking:
        return {}, incomparable_champion(gate, champion.version, lacking)
    model = OnnxModel(store.path(f"{champion.package_uri}/{MODEL_NAME}"), manifest.signature)
    scores = model.predict(judged.rows).astype(np.float64)
    if scores.shape != judged.scores.shape:
        raise ArtefactError(
            f"champion {champion.version} gives {scores.shape[1]} outputs, "
            f"the candidate {judged.scores.shape[1]}"
        )
    metrics = _metrics(judged.contract, judged.labels, scores, f"champion {champion.version}")
    task, name = judged.contract.task, gate.metric.value
    paired = paired_difference(
        weighted_metric(gate.metric, task, judged.labels, judged.scores),
        weighted_metric(gate.metric, task, judged.labels, scores),
        judged.rows[UNIT].to_numpy(object),
        seed=judged.contract.training.seed,
    )
    return metrics, champion_gate(
        gate,
        paired,
        value=judged.metrics[name],
        champion_value=metrics[name],
        champion=champion.version,
        rows=len(judged.rows),
    )


def _parity(model: OnnxModel, record: TrainingRecord, golden: GoldenSet) -> float | None:
    """Return the difference training measured, or that of the golden predictions now if it is larger."""
    if PARITY_METRIC not in record.metrics:
        return None
    names = [item.name for item in record.signature.inputs]
    columns = {name: [case.features[name] for case in golden.cases] for name in names}
    expected = np.array([case.outputs for case in golden.cases])
    gap = float(np.abs(model.predict(columns) - expected).max())
    return max(record.metrics[PARITY_METRIC], gap / max(1.0, float(np.abs(expected).max())))
