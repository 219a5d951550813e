"""Evaluation stage: a candidate on the window it has not seen, held against every gate of its contract."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.snapshots import read_snapshot, rows_within
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ContractError, ModelError
from include.contracts.model import ModelContract
from include.contracts.packages import (
    EVALUATION_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    PAGE_NAME,
    PARITY_METRIC,
    TRAINING_NAME,
    GoldenSet,
    TrainingRecord,
    Version,
)
from include.contracts.predictions import PredictionRow
from include.contracts.reports import EvaluationReport, GateResult, TritonMeasurement
from include.contracts.windows import Window, training_windows
from include.evaluation.baseline import baseline_metrics
from include.evaluation.benchmark import benchmark, window_figures, window_gates
from include.evaluation.champion import against_champion, open_champion
from include.evaluation.figures import figures
from include.evaluation.gates import baseline_gate, parity_gate, threshold_gate
from include.evaluation.page import report_page
from include.evaluation.plots import calibration, curves, histograms
from include.evaluation.robustness import robustness_gate, robustness_probes
from include.evaluation.scored import FAR_OFF, Scored, largest_difference, scored
from include.evaluation.skew_replay import logged_answers, replay, replay_gate
from include.evaluation.slices import slice_figures, slice_gates
from include.evaluation.triton import NotServed, measure_in_triton, triton_gates

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A candidate opened, with its test rows scored."""

    contract: ModelContract
    record: TrainingRecord
    model: OnnxModel
    graph: Path
    golden: GoldenSet
    train: pd.DataFrame
    test: Window
    scored: Scored


def evaluate(
    settings: Settings, folder: ModelFolder, candidate_uri: str, champion: Version | None
) -> EvaluationReport:
    """Evaluate a candidate, write report and page beside it; a gate that fails is a verdict, no error.

    Args:
        settings: where artefact store, Triton, prediction log and MLflow are.
        folder: the model's folder, as it was when the candidate was trained.
        candidate_uri: what training returned.
        champion: the version in production, if there is one.

    Raises:
        ContractError: what the contract judges by has changed since the candidate was trained.
        ArtefactError: candidate, champion or training set are missing, altered or unreadable.
        DataError: the candidate's scores are not finite, or the prediction log is damaged.
    """
    store = artefact_store(settings)
    record = TrainingRecord.model_validate_json(store.read(f"{candidate_uri}/{TRAINING_NAME}"))
    candidate = open_candidate(store, folder.contract, candidate_uri, record)
    served = measure_in_triton(settings, candidate.scored, record, candidate.graph)
    logged = logged_answers(settings, champion, record.snapshot.as_of) if champion else []
    report = judge_candidate(store, candidate, champion, served, logged)
    store.write(f"{candidate_uri}/{PAGE_NAME}", report_page(report).encode())
    store.write(f"{candidate_uri}/{EVALUATION_NAME}", report.model_dump_json(indent=2).encode())
    tracking = Tracking(settings)
    tracking.log_metrics(record.run_id, figures(report))
    tracking.log_file(record.run_id, store.path(f"{candidate_uri}/{PAGE_NAME}"))
    return report


def open_candidate(
    store: ArtefactStore, contract: ModelContract, candidate_uri: str, record: TrainingRecord
) -> Candidate:
    """Open a candidate, or a version's package, and score its test rows.

    Args:
        store: where it lies.
        contract: the model's.
        candidate_uri: folder with the graph and its golden predictions.
        record: how it came to be.

    Raises:
        ContractError, ArtefactError, DataError: as `evaluate`.
    """
    _check_judgement(contract, candidate_uri, record)
    windows = training_windows(contract.training, contract.label, record.snapshot.as_of)
    frame = read_snapshot(store, record.snapshot)
    graph = store.path(f"{candidate_uri}/{MODEL_NAME}")
    model = OnnxModel(graph, record.signature)
    return Candidate(
        contract=contract,
        record=record,
        model=model,
        graph=graph,
        golden=GoldenSet.model_validate_json(store.read(f"{candidate_uri}/{GOLDEN_NAME}")),
        train=rows_within(frame, windows.train),
        test=windows.test,
        scored=scored(contract, model, rows_within(frame, windows.test), "the candidate"),
    )


def judge_candidate(
    store: ArtefactStore,
    candidate: Candidate,
    champion: Version | None,
    served: TritonMeasurement | NotServed,
    logged: Sequence[PredictionRow],
) -> EvaluationReport:
    """Take all figures and hold them against the gates, writing nothing.

    Args:
        store: holds the champion's package.
        candidate: what to judge.
        champion: the version in production, if there is one.
        served: what Triton showed.
        logged: answers of the champion to score again.
    """
    contract, judged = candidate.contract, candidate.scored
    opened = open_champion(store, champion) if champion else None
    against = against_champion(judged, opened)
    baseline = baseline_metrics(contract, candidate.train, judged.rows)
    windows = window_figures(candidate.test, judged, against.scored)
    slices = slice_figures(judged)
    probes = robustness_probes(judged, candidate.model, candidate.record.signature)
    replayed = replay(opened, candidate.model, candidate.record.signature, logged) if opened else None
    gates = (
        *(threshold_gate(each, judged.metrics, len(judged.rows)) for each in contract.gates.thresholds),
        *window_gates(contract, windows),
        _baseline_gate(judged, baseline),
        against.gate,
        *slice_gates(judged, slices),
        robustness_gate(contract.gates.robustness, probes),
        parity_gate(_parity(candidate)),
        *triton_gates(contract, served),
        replay_gate(replayed),
    )
    for gate in gates:
        log.info("%s: %s gate: %s: %s", contract.name, gate.kind.value, gate.verdict.value, gate.detail)
    return EvaluationReport(
        model=contract.name,
        as_of=candidate.record.snapshot.as_of,
        test_start=candidate.test.start,
        test_end=candidate.test.end,
        test_rows=len(judged.rows),
        metrics=judged.metrics,
        baseline_metrics=baseline,
        champion_version=champion.version if champion else None,
        champion_metrics=against.scored.metrics if against.scored else {},
        benchmark=benchmark(contract, candidate.record.snapshot, judged.rows),
        windows=windows,
        comparisons=against.comparisons,
        slices=slices,
        calibration=calibration(judged),
        curves=curves(judged),
        histograms=histograms(judged),
        robustness=probes,
        triton=None if isinstance(served, NotServed) else served,
        skew_replay=replayed,
        gates=gates,
    )


def _check_judgement(contract: ModelContract, candidate_uri: str, record: TrainingRecord) -> None:
    """Refuse to judge by another measure than what was trained for; the rest of a contract may change."""
    same_contract = record.contract_sha256 == contract.sha256
    if not same_contract and record.judgement_sha256 != contract.judgement_sha256:
        raise ContractError(
            f"{contract.name}: inputs, label's delay, training windows, gates, slices, objectives in Triton "
            f"or resources of the contract changed since {candidate_uri} was trained; train again"
        )


def _baseline_gate(judged: Scored, baseline: dict[str, float]) -> GateResult:
    gate = judged.contract.gates.baseline
    return baseline_gate(gate, judged.metrics[gate.metric.value], baseline[gate.metric.value])


def _parity(candidate: Candidate) -> float | None:
    """Return the difference training measured, or that of the golden predictions now if it is larger."""
    record, golden = candidate.record, candidate.golden
    if PARITY_METRIC not in record.metrics:
        return None
    names = [item.name for item in record.signature.inputs]
    columns = {name: [case.features[name] for case in golden.cases] for name in names}
    expected = np.array([case.outputs for case in golden.cases])
    try:
        gap = largest_difference(candidate.model.predict(columns), expected)
    except ModelError:
        gap = FAR_OFF
    return max(record.metrics[PARITY_METRIC], gap)
