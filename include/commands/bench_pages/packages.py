"""Packages of made-up versions: reports as long as real ones, a training set that can be proven, no model."""

from datetime import datetime, timedelta
from hashlib import sha256
from math import sin

import numpy as np
import pyarrow
import pyarrow.parquet

from include.adapters.artefact_home import artefact_store
from include.adapters.packages import package_uri, publish_package
from include.adapters.parquet import content_sha256
from include.config.settings import Settings
from include.contracts.model import ModelContract
from include.contracts.packages import EVALUATION_NAME, CodeState, Manifest, Snapshot, TrainingRecord
from include.contracts.reports import (
    Calibration,
    CalibrationBin,
    Comparison,
    Curve,
    CurveKind,
    EvaluationReport,
    GateKind,
    GateReason,
    GateResult,
    Histogram,
    MetricInterval,
    SliceFigures,
    SliceStatus,
    Verdict,
)

ROWS = 60_000
"""Of a training set."""
_SET = "snapshots/made-up.parquet"
_BINS = 20
_CURVE = 200
_BARS = 40
_SLICES = 12
_GATES = 24
_CONFIDENCE = 0.95


class Packages:
    """Writes packages into a platform's artefact store; all name one training set.

    Args:
        settings: where the store is.
        contract: of a model with the inputs that all have.
    """

    def __init__(self, settings: Settings, contract: ModelContract) -> None:
        self._store = artefact_store(settings)
        table = _training_set(contract)
        path = self._store.path(_SET)
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)
        self._set_sha256 = content_sha256(table)

    def publish(self, contract: ModelContract, version: str, champion: str | None, at: datetime) -> str:
        """Store a version's package; return its hash."""
        content = _report(contract, champion, at).model_dump_json().encode()
        record = self._record(contract, version, at)
        manifest = Manifest(**dict(record), files={EVALUATION_NAME: sha256(content).hexdigest()})
        return publish_package(self._store, manifest, {EVALUATION_NAME: content})

    def uri(self, contract: ModelContract, digest: str) -> str:
        """Return where a package lies in the store."""
        return package_uri(contract.name, digest)

    def _record(self, contract: ModelContract, version: str, at: datetime) -> TrainingRecord:
        return TrainingRecord(
            model=contract.name,
            signature=contract.signature,
            snapshot=Snapshot(
                sha256=self._set_sha256,
                uri=_SET,
                rows=ROWS,
                start=at - contract.training.history,
                end=at,
                feature_service=contract.features.service,
                feature_ttl_seconds=dict.fromkeys(contract.signature.views, 86_400.0),
                as_of=at,
            ),
            code=CodeState(commit="0" * 40, dirty=False, fingerprint="0" * 64, lock_sha256="0" * 64),
            contract_sha256=contract.sha256,
            hyperparameters={"hidden": 32},
            seed=7,
            metrics={"validation_loss": 0.4},
            requested_by="operator",
            run_id=f"run-{version}",
            trained_at=at,
            duration_seconds=40.0,
            hardware="made up",
        )


def _training_set(contract: ModelContract) -> pyarrow.Table:
    dice = np.random.default_rng(7)
    values = {item.name: dice.normal(size=ROWS) for item in contract.signature.inputs}
    return pyarrow.table({"unit": [str(number) for number in range(ROWS)], **values})


def _report(contract: ModelContract, champion: str | None, at: datetime) -> EvaluationReport:
    steps = tuple(number / _CURVE for number in range(_CURVE + 1))
    falling = tuple((_BARS - number) ** 2 for number in range(_BARS))
    return EvaluationReport(
        model=contract.name,
        as_of=at,
        test_start=at - timedelta(days=28),
        test_end=at,
        test_rows=10_000,
        metrics={"roc_auc": 0.82, "brier": 0.13, "log_loss": 0.4, "accuracy": 0.81},
        baseline_metrics={"roc_auc": 0.69},
        champion_version=champion,
        champion_metrics={"roc_auc": 0.815} if champion else {},
        comparisons=(_comparison(),) if champion else (),
        slices=tuple(_slice(number) for number in range(_SLICES)),
        calibration=_calibration(),
        curves=tuple(
            Curve(kind=kind, label="candidate", x=steps, y=tuple(each**0.3 for each in steps))
            for kind in (CurveKind.ROC, CurveKind.PRECISION_RECALL)
        ),
        histograms=tuple(
            Histogram(label=label, edges=tuple(np.linspace(0, 1, _BARS + 1).tolist()), counts=counts)
            for label, counts in (("negative", falling), ("positive", falling[::-1]))
        ),
        gates=tuple(_gate(number) for number in range(_GATES)),
    )


def _comparison() -> Comparison:
    return Comparison(
        metric="roc_auc",
        candidate=0.82,
        champion=0.815,
        difference=0.005,
        lower=0.001,
        upper=0.009,
        confidence=_CONFIDENCE,
    )


def _slice(number: int) -> SliceFigures:
    value = 0.8 + 0.02 * sin(number)
    interval = MetricInterval(low=value - 0.03, value=value, high=value + 0.03, confidence=_CONFIDENCE)
    return SliceFigures(
        view="customer_demographics",
        column="age",
        value=f"group {number}",
        rows=500,
        status=SliceStatus.JUDGED,
        metrics={"roc_auc": value},
        intervals={"roc_auc": interval},
    )


def _calibration() -> Calibration:
    scores = ((number + 0.5) / _BINS for number in range(_BINS))
    return Calibration(
        bins=tuple(
            CalibrationBin(
                rows=500,
                mean_score=each,
                observed=each,
                low=max(0.0, each - 0.03),
                high=min(1.0, each + 0.03),
            )
            for each in scores
        ),
        expected_calibration_error=0.011,
        expected_by_chance=0.009,
        debiased_error=0.004,
    )


def _gate(number: int) -> GateResult:
    return GateResult(
        kind=GateKind.SLICE,
        metric="roc_auc",
        verdict=Verdict.PASS,
        reason=GateReason.REACHED,
        subject=f"group {number}",
        value=0.8,
        bound=0.68,
        detail="roc_auc 0.8000 on 500 test rows; must be at least 0.6800",
    )
